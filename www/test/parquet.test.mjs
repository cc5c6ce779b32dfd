/** Parquet files that pyarrow wrote (tests/fixtures/parquet): their rows, and what a run makes of them. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { parquetRows } from '../src/engine/worker/parquet.js';
import { openTiny, workspace } from './browser.mjs';

let page, trainer, recipe;
before(async () => {
  page = await workspace('parquet');
  await openTiny(page);
  trainer = await page.trainer.client();
  recipe = await trainer.validateRecipe({ device: 'cpu' });
});
after(() => page.close());

const fixture = async (name) =>
  new Uint8Array(await readFile(new URL(`../../tests/fixtures/parquet/${name}`, import.meta.url)));
const lines = (bytes) => new TextDecoder().decode(bytes).trimEnd().split('\n');

test('rows are those that pyarrow wrote', async () => {
  const written = lines(await fixture('chats.jsonl'));
  for (const compression of ['none', 'snappy', 'zstd']) {
    const read = lines(await parquetRows('chats.parquet', await fixture(`chats-${compression}.parquet`)));
    assert.equal(read.length, written.length);
    read.forEach((line, row) => {
      const { id, ...rest } = JSON.parse(line);
      const { id: writtenId, ...writtenRest } = JSON.parse(written[row]);
      assert.deepEqual(rest, writtenRest, `${compression}, row ${row}`);
      // A number of 64 bits is not rounded.
      assert.equal(String(id), /"id": (\d+)/.exec(written[row])[1], `${writtenId}`);
    });
  }
});

test('a run learns the same tokens of it, whatever the file is called', async () => {
  const summary = async (name, bytes) => (await trainer.openData(name, bytes, recipe)).report;
  const expected = await summary('chats.jsonl', await fixture('chats.jsonl'));
  assert.equal(expected.shape, 'messages');
  for (const name of ['chats.parquet', 'chats.jsonl']) {
    const { shape, rows, tokens, trained_tokens } = await summary(name, await fixture('chats-zstd.parquet'));
    assert.deepEqual(
      { shape, rows, tokens, trained_tokens },
      {
        shape: 'messages',
        rows: expected.rows,
        tokens: expected.tokens,
        trained_tokens: expected.trained_tokens,
      },
    );
  }
});

test('what cannot be read is named, and the open file stays', async () => {
  const refused = (bytes) =>
    assert.rejects(trainer.openData('chats.parquet', bytes, recipe), (error) => {
      assert.deepEqual([error.kind, error.key], ['invalid_data', 'chats.parquet']);
      return /^chats\.parquet: (is compressed with gzip, .*snappy|cannot be read as parquet \()/.test(
        error.message,
      );
    });
  await refused(await fixture('chats-gzip.parquet'));
  const whole = await fixture('chats-snappy.parquet');
  await refused(whole.subarray(0, whole.length - 40));
  const damaged = whole.slice();
  damaged.fill(255, 4, 400);
  await refused(damaged);
});
