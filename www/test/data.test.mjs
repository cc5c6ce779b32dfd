/** Data: what a file is taken for, and what a bad one leaves behind. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { CHATS, bytes, openTiny, workspace } from './browser.mjs';

let page;
before(async () => (page = await workspace('data')));
after(() => page.close());

const read = (name, text) => page.data.read(name, bytes(text), null);

test('a model comes first', async () => {
  assert.equal(await read('cats.jsonl', CHATS), false);
  assert.deepEqual([page.data.error.kind, page.data.error.key], ['not_ready', 'model']);
  await openTiny(page);
  assert.equal(page.model.open.label, 'tiny');
  assert.equal(page.model.isEncoder, false);
});

test('files that are no model leave the one that is open', async () => {
  const chosen = (name, text) =>
    Object.defineProperty(new File([text], name), 'webkitRelativePath', { value: '' });
  assert.equal(await page.model.openLocal([chosen('picture.png', 'x')]), false);
  assert.equal(page.model.error.problem.kind, 'no_weights');
  assert.equal(await page.model.openLocal([chosen('broken.gguf', 'GGUF')]), false);
  const { place, problem } = page.model.error;
  assert.deepEqual([place, problem.kind, problem.key], ['local', 'invalid_model_file', 'broken.gguf']);
  assert.match(problem.text, /^broken\.gguf: /, 'a file’s name keeps its letters');
  assert.equal(page.model.open.label, 'tiny');
});

test('the objective follows from the rows', async () => {
  const rows = {
    sft: CHATS,
    text: '{"text": "The cat sleeps."}\n{"text": "The dog runs."}',
    dpo: '{"prompt": "a", "chosen": "b", "rejected": "c"}\n{"prompt": "d", "chosen": "e", "rejected": "f"}',
    kto: '{"prompt": "a", "completion": "b", "label": true}\n{"prompt": "d", "completion": "e", "label": false}',
    classify: '{"text": "good", "label": "yes"}\n{"text": "bad", "label": "no"}',
  };
  for (const [objective, text] of Object.entries(rows)) {
    assert.ok(await read(`${objective}.jsonl`, text), page.data.error?.text);
    assert.equal(page.recipe.value.objective, objective);
  }
});

test('an objective that was chosen stays while it fits', async () => {
  const pairs =
    '{"prompt": "a", "chosen": "b", "rejected": "c"}\n{"prompt": "d", "chosen": "e", "rejected": "f"}';
  await read('pairs.jsonl', pairs);
  page.recipe.set('objective', 'orpo', false);
  assert.ok(await read('pairs.jsonl', pairs));
  assert.equal(page.recipe.value.objective, 'orpo');
});

const BAD = [
  ['empty.jsonl', '', 'invalid_data', {}],
  ['broken.jsonl', '{"text": "one"}\n{"text": "two"\n', 'invalid_data_line', { line: '2' }],
  ['sheet.xlsx', 'PK', 'invalid_data', {}],
];
for (const [name, text, kind, args] of BAD) {
  test(`a bad file, ${name}, is said and leaves the one that is open`, async () => {
    assert.ok(await read('cats.jsonl', CHATS));
    const { open } = page.data;
    assert.equal(await read(name, text), false);
    const { error } = page.data;
    assert.deepEqual([error.kind, error.key], [kind, name], error.text);
    for (const [arg, value] of Object.entries(args)) assert.equal(error.args[arg], value);
    assert.equal(page.data.open, open);
    assert.equal(page.data.busy, false);
  });
}

test('what mends one file is not done to another', async () => {
  await read('cats.jsonl', CHATS);
  page.recipe.addFix('drop_duplicates');
  await page.data.reread();
  assert.deepEqual(
    page.data.open.summary.report.changes.map(({ fix }) => fix),
    ['drop_duplicates'],
  );
  await read('dogs.jsonl', CHATS.replaceAll('cat', 'dog'));
  assert.deepEqual(page.recipe.fixes, []);
  assert.deepEqual(page.data.open.summary.report.changes, []);
});

test('a probe of one’s own is kept where a bad one comes after it', async () => {
  const { probe } = page;
  const file = (name, text) => new File([text], name);
  await probe.openFile(file('mine.txt', 'The mill is old.\n\n\nThe river is deep.\n'));
  assert.equal(probe.open.summary.examples, 2);
  await probe.openFile(file('empty.txt', ''));
  assert.deepEqual([probe.error.kind, probe.error.key], ['invalid_data', 'empty.txt']);
  assert.equal(probe.open.name, 'mine.txt');
  await probe.close();
  assert.deepEqual([probe.open, probe.error], [null, null]);
});
