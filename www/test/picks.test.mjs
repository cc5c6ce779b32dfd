/** Picks and the run table: what is kept, and what becomes of it. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { CHATS, bytes, disk, openTiny, until, workspace } from './browser.mjs';

let page;
before(async () => {
  page = await workspace('picks');
  await openTiny(page);
});
after(() => page.close());

function judge(prompt, answers, verdict) {
  page.picks.pair = { prompt, answers, step: null };
  return page.picks.pick(verdict);
}

test('two different answers are sampled to be judged', async () => {
  await page.picks.sample({ prompt: 'Where is Mia?', maxNewTokens: 8, temperature: 1.5 });
  assert.equal(page.picks.error, null);
  const { answers } = page.picks.pair;
  assert.notEqual(answers[0], answers[1]);
  await page.picks.sample({ prompt: 'Where is Mia?', maxNewTokens: 4, temperature: 0 });
  assert.deepEqual([page.picks.error.kind, page.picks.pair], ['same_answers', null]);
});

test('picks become rows for each objective', async () => {
  await judge('one', ['a', 'b'], 'first');
  await judge('two', ['c', 'd'], 'second');
  await judge('three', ['e', 'f'], 'both_bad');
  const rows = (objective) =>
    page.picks
      .rows(objective)
      .trim()
      .split('\n')
      .map((row) => JSON.parse(row));
  assert.deepEqual(rows('dpo'), [
    { prompt: 'one', chosen: 'a', rejected: 'b' },
    { prompt: 'two', chosen: 'd', rejected: 'c' },
  ]);
  assert.deepEqual(
    rows('kto').map(({ completion, label }) => [completion, label]),
    [
      ['a', true],
      ['b', false],
      ['c', false],
      ['d', true],
      ['e', false],
      ['f', false],
    ],
  );
  assert.deepEqual([page.picks.count('dpo'), page.picks.count('kto')], [2, 6]);
});

test('they are there in another workspace of the same storage, and in no other', async () => {
  const lists = [];
  for (const name of ['picks', 'elsewhere']) {
    const other = await workspace(name);
    await openTiny(other);
    lists.push(other.picks.list.map(({ prompt }) => prompt));
    await other.close();
  }
  assert.deepEqual(lists, [['one', 'two', 'three'], []]);
});

test('the last is taken back, and what could not be kept is kept with the next', async () => {
  await page.picks.undo();
  assert.equal(page.picks.pair.prompt, 'three');
  page.picks.skip();
  disk.left = 0;
  await judge('four', ['g', 'h'], 'first');
  disk.left = null;
  assert.equal(page.picks.error.kind, 'storage');
  await judge('five', ['i', 'j'], 'first');
  assert.equal(page.picks.error, null);
  const again = await workspace('picks');
  await openTiny(again);
  assert.deepEqual(
    again.picks.list.map(({ prompt }) => prompt),
    ['one', 'two', 'four', 'five'],
  );
  await again.close();
});

test('they are trained on', async () => {
  await page.useData(page.picks.use('dpo'));
  assert.equal(page.data.open.summary.report.shape, 'preference');
  page.recipe.set('train.max_steps', 2);
  await page.training.start();
  await until(page.training, () => page.training.state === 'finished');
  // Untrained, an adapter prefers neither: ln 2.
  assert.ok(Math.abs(page.training.reports[0].loss - Math.LN2) < 1e-6);
});

test('a run is repeated, or it is said what that takes', async () => {
  const [run] = page.runs.records;
  page.recipe.set('lora.rank', 2);
  await page.runs.repeat(run);
  assert.equal(page.recipe.get('lora.rank'), run.recipe.lora.rank);
  assert.match(page.runs.said, /with the same model and data: start to repeat it/);
  await page.useData(page.data.read('cats.jsonl', bytes(CHATS), null));
  await page.runs.repeat(run);
  assert.match(page.runs.said, /open the data "my-picks\.jsonl"/);
});

test('a record that cannot be read stays until a person deletes it', async () => {
  let folder = disk.root;
  for (const name of ['loralet', 'workspaces', 'picks', 'runs'])
    folder = await folder.getDirectoryHandle(name);
  const stream = await (await folder.getFileHandle('theirs.json', { create: true })).createWritable();
  await stream.write('{"version": 9}');
  await stream.close();
  await page.runs.load();
  assert.deepEqual(page.runs.unreadable, ['theirs.json']);
  assert.equal(await (await page.runs.readFile('theirs.json')).text(), '{"version": 9}');
  await page.runs.forgetFile('theirs.json');
  assert.deepEqual([page.runs.unreadable, page.runs.error], [[], null]);
  const [run] = page.runs.records;
  page.runs.show(run.id, false);
  assert.equal(page.runs.shown.size, 0);
  await page.runs.forget(run);
  await page.runs.load();
  assert.deepEqual(page.runs.records, []);
});
