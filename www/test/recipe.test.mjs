/** Settings as they are typed: what the trainer refuses stands at its setting. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { until, workspace } from './browser.mjs';

let page;
before(async () => (page = await workspace('recipe')));
after(() => page.close());

const settled = (isTrue) => until(page.recipe, isTrue);

test('the defaults are the trainer’s, on the device that it was started with', () => {
  assert.equal(page.recipe.value.device, 'cpu');
  assert.equal(page.recipe.get('lora.rank'), 16);
  assert.ok(page.recipe.valid);
});

test('a value that makes no sense is refused at its setting, until it is another', async () => {
  const { recipe } = page;
  recipe.set('lora.rank', 0);
  await settled(() => !recipe.valid);
  const { kind, key, args, text } = recipe.errors['lora.rank'];
  assert.deepEqual([kind, key, args.value], ['invalid_setting', 'lora.rank', '0']);
  assert.match(text, /^lora\.rank is 0, but .*\.$/);
  recipe.set('lora.rank', 8);
  assert.deepEqual(recipe.errors, {});
  await recipe.check();
  assert.ok(recipe.valid);
});

test('what is not even a number stands beside what the trainer refuses', async () => {
  const { recipe } = page;
  recipe.set('train.batch_size', 0);
  await settled(() => !recipe.valid);
  recipe.reject('train.learning_rate', 'It must be a number.');
  assert.deepEqual(Object.keys(recipe.errors), ['train.batch_size', 'train.learning_rate']);
  recipe.set('train.batch_size', 6);
  recipe.set('train.learning_rate', 1e-3);
  await recipe.check();
  assert.ok(recipe.valid);
});

test('a whole recipe is taken, or refused with its key', async () => {
  const { recipe } = page;
  const refused = (kind, key) => (error) => {
    assert.deepEqual([error.kind, error.key], [kind, key], error.message);
    return true;
  };
  await assert.rejects(recipe.replace('{ "train": '), refused('invalid_recipe', null));
  await assert.rejects(
    recipe.replace('{ "train": { "learning_rat": 1 } }'),
    (error) =>
      refused('unknown_key', 'train.learning_rat')(error) && error.args.suggestion === 'train.learning_rate',
  );
  await assert.rejects(
    recipe.replace('{ "train": { "epochs": -1 } }'),
    refused('invalid_setting', 'train.epochs'),
  );
  assert.equal(recipe.get('train.batch_size'), 6, 'the one before is gone');
  await recipe.replace('{ "train": { "max_steps": 2 }, "device": "cpu" }');
  assert.deepEqual([recipe.get('train.max_steps'), recipe.get('train.batch_size')], [2, 4]);
});

test('a setting that changes which rows are read has the data read again, any other has not', async () => {
  const { recipe } = page;
  const before = recipe.onDataSetting;
  let readings = 0;
  recipe.onDataSetting = () => (readings += 1);
  recipe.set('lora.rank', 4);
  await recipe.check();
  assert.equal(readings, 0);
  recipe.addFix('drop_duplicates');
  recipe.addFix('redact');
  recipe.removeFix('drop_duplicates');
  await recipe.check();
  assert.deepEqual(recipe.fixes, ['redact']);
  assert.equal(readings, 3);
  recipe.set('train.max_seq_length', recipe.get('train.max_seq_length'));
  recipe.set('objective', 'text', false);
  await recipe.check();
  assert.equal(readings, 3);
  recipe.onDataSetting = before;
});

test('the lesson on overfitting gives the settings back as they were', async () => {
  const { lesson, recipe } = page;
  const before = structuredClone(recipe.value);
  lesson.overfit();
  await recipe.check();
  assert.deepEqual([recipe.get('train.epochs'), recipe.get('lora.rank'), recipe.valid], [20, 64, true]);
  lesson.undo();
  assert.deepEqual([recipe.value, lesson.before], [before, null]);
});
