/** Runs: begun, paused, kept, gone on with in another workspace, lost with their trainer. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CHATS, bytes, disk, openTiny, until, workspace } from './browser.mjs';

const STEPS = 8;

async function ready(name, rows = CHATS) {
  const page = await workspace(name);
  await openTiny(page);
  await choose(page, rows);
  return page;
}

async function choose(page, rows = CHATS) {
  for (const [path, value] of Object.entries({
    'train.max_steps': STEPS,
    'train.learning_rate': 0.005,
    'lora.rank': 4,
    'eval.eval_steps': 4,
    'eval.probe': false,
  }))
    page.recipe.set(path, value);
  await page.useData(page.data.read('cats.jsonl', bytes(rows), null));
}

const stands = (page, state) =>
  until(page.training, () => page.training.state === state && !page.training.busy);
const kept = (page) => until(page.training, () => page.training.isKept);
const losses = ({ training }) =>
  training.reports.map(({ step, loss, evaluation }) => [step, loss, evaluation?.loss ?? null]);

test('a run learns, is recorded, and its adapter can be had', async () => {
  const page = await ready('whole');
  await page.training.start();
  await stands(page, 'finished');
  const all = losses(page);
  assert.equal(all.length, STEPS);
  assert.ok(all.at(-1)[1] < all[0][1], `from ${all[0]} to ${all.at(-1)}`);
  assert.ok(page.training.hasAdapter);
  const [record] = page.runs.records;
  assert.deepEqual(
    [record.state, record.curve.map(({ step, loss, validation }) => [step, loss, validation])],
    ['finished', all],
  );
  const files = await (await page.trainer.client()).adapterFiles();
  assert.ok(files.some(({ name }) => name === 'adapter_model.safetensors'));
  await page.close();
});

test('step by step, then on: the losses are the same', async () => {
  const [whole, steps] = [await ready('one'), await ready('other')];
  await whole.training.start();
  await stands(whole, 'finished');
  await steps.training.step();
  await until(steps.training, () => steps.training.last?.step === 1);
  assert.equal(steps.training.state, 'paused');
  await steps.training.step();
  await until(steps.training, () => steps.training.last?.step === 2);
  await steps.training.resume();
  await stands(steps, 'finished');
  assert.deepEqual(losses(steps), losses(whole));
  await Promise.all([whole.close(), steps.close()]);
});

test('two workspaces train at once and do not meet', async () => {
  const rows = CHATS.replaceAll('sleeps on the roof', 'hides in the barn');
  const [left, right] = [await ready('left'), await ready('right', rows)];
  const alone = await ready('alone', rows);
  await alone.training.start();
  await stands(alone, 'finished');
  await Promise.all([left.training.start(), right.training.start()]);
  await Promise.all([stands(left, 'finished'), stands(right, 'finished')]);
  assert.deepEqual(losses(right), losses(alone));
  assert.notDeepEqual(losses(left), losses(right));
  assert.deepEqual([left.runs.records.length, right.runs.records.length], [1, 1]);
  await Promise.all([left, right, alone].map((page) => page.close()));
});

test('a kept run is left to the workspace that has it, and gone on with after that', async () => {
  const first = await ready('shared');
  await first.training.start(true);
  for (let step = 1; step <= 3; step += 1) {
    await first.training.step();
    await until(first.training, () => first.training.last?.step === step);
  }
  await kept(first);

  const second = await workspace('shared');
  await openTiny(second);
  assert.deepEqual([second.training.saved.step, second.training.saved.elsewhere], [3, true]);
  await second.training.resumeSaved();
  assert.equal(second.training.error.kind, 'in_use');
  await second.training.discard(second.training.saved.key);
  assert.equal(second.training.error.kind, 'in_use');
  const elsewhere = await workspace('not shared');
  assert.equal(elsewhere.training.saved, null);

  await first.close();
  await until(second.training, () => second.training.saved?.elsewhere === false);
  await second.training.resumeSaved();
  assert.equal(second.training.error, null);
  assert.deepEqual([second.training.state, second.training.last.step], ['paused', 3]);
  await second.training.resume();
  await stands(second, 'finished');
  const whole = await ready('uninterrupted');
  await whole.training.start();
  await stands(whole, 'finished');
  assert.deepEqual(losses(second), losses(whole));
  // It is one run, in the table too.
  assert.deepEqual(
    second.runs.records.map(({ state, curve }) => [state, curve.length]),
    [['finished', STEPS]],
  );
  await Promise.all([second, elsewhere, whole].map((page) => page.close()));
});

test('what cannot be kept is said, and training goes on', async () => {
  const page = await ready('full');
  disk.left = 0;
  await page.training.start();
  await stands(page, 'finished');
  await until(page.training, () => page.training.savesUnderWay === 0);
  disk.left = null;
  assert.match(page.training.unkept, /^The run could not be kept: the browser has no room left/);
  assert.match(page.runs.refused, /no room left/);
  assert.equal(page.training.reports.length, STEPS);
  await page.close();
});

test('after its trainer broke the run waits at its last checkpoint in another', async () => {
  const page = await ready('broken');
  await page.training.start(true);
  await page.training.step();
  await until(page.training, () => page.training.last?.step === 1);
  await kept(page);
  const before = await page.trainer.client();
  // As the browser says it of a worker that has ended.
  before.spawned.worker.onerror({ message: 'out of memory' });
  await until(page.training, () => page.trainer.starts === 2 && !page.training.busy);
  assert.equal(page.training.error.kind, 'worker');
  assert.match(page.training.error.text, /back at its last checkpoint, step 1, on the CPU/);
  assert.notEqual(await page.trainer.client(), before);
  await page.training.resume();
  await stands(page, 'finished');
  assert.equal(page.training.reports.length, STEPS);
  before.terminate();
  await page.close();
});

test('the answers of base and tuned model, and a question that is stopped', async () => {
  const page = await ready('answers');
  await page.training.start();
  await stands(page, 'finished');
  const question = {
    prompt: 'Where is cat number 7?',
    system: '',
    maxNewTokens: 12,
    temperature: 0,
    answer: '',
  };
  await page.compare.ask(question);
  assert.equal(page.compare.error, null);
  assert.equal(page.compare.tuned.step, STEPS);
  assert.ok(page.compare.base.report.tokens > 0 && page.compare.tuned.report.tokens > 0);
  const asked = page.compare.ask({ ...question, maxNewTokens: 200 });
  page.compare.cancel();
  await asked;
  assert.equal(page.compare.busy, false);
  assert.equal(page.compare.tuned.report, null);
  await page.close();
});

test('a sweep fills the table and leaves the trainer as it was', async () => {
  const page = await ready('sweep');
  page.sweep.change({ settings: [{ key: 'lora.rnk', values: '2, 4' }] });
  await page.sweep.estimate();
  assert.equal(page.sweep.error.key, 'lora.rnk');
  page.sweep.change({ settings: [{ key: 'lora.rank', values: '2, 4' }] });
  await page.sweep.estimate();
  assert.equal(page.sweep.error, null);
  assert.ok(page.sweep.seconds > 0);
  await page.sweep.start();
  assert.deepEqual(
    page.runs.records.map(({ state, recipe }) => [state, recipe.lora.rank]),
    [
      ['finished', 2],
      ['finished', 4],
    ],
  );
  assert.match(page.sweep.said, /^The sweep is done\. Run [12] has the lowest validation loss/);
  assert.deepEqual([page.training.state, page.training.active], ['idle', false]);
  await page.close();
});
