/** What the page says of figures. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { stepFigures } from '../src/engine/index.js';
import { forgetting, forgettingSentence } from '../src/ui/words/forgetting.js';
import { bytes, duration, loss, percent, plural, short } from '../src/ui/words/format.js';
import { learning } from '../src/ui/words/learning.js';
import { Milestones } from '../src/ui/words/milestones.js';
import { overfitting } from '../src/ui/words/overfitting.js';
import { differences, measured, setting } from '../src/ui/words/run-differences.js';
import { sentence } from '../src/ui/words/sentence.js';

test('numbers are short', () => {
  assert.deepEqual([short(134_515_008), short(1_234), short(7)], ['135 M', '1.2 k', '7']);
  assert.deepEqual([bytes(999), bytes(2_500_000), bytes(1.5e9)], ['999 B', '2.5 MB', '1.50 GB']);
  assert.deepEqual([duration(59), duration(61), duration(Number.NaN)], ['59 s', '1 min 1 s', '–']);
  assert.deepEqual([loss(0.12345), loss(12.345)], ['0.123', '12.35']);
  assert.deepEqual(
    [percent(0.5), percent(1), plural(1, 'row'), plural(2, 'row')],
    ['50.0 %', '100 %', '1 row', '2 rows'],
  );
});

test('a sentence begins with a capital and ends with a stop, and a name keeps its letters', () => {
  assert.equal(sentence('the model is gone'), 'The model is gone.');
  assert.equal(sentence('config.json is missing'), 'config.json is missing.');
  assert.equal(sentence('loralet/tiny: not found!'), 'loralet/tiny: not found!');
});

/** Steps with a training loss that falls, and a validation loss each second step. */
function steps(validation) {
  return validation.flatMap((value, place) => [
    { step: 2 * place + 1, loss: 2 - 0.1 * place, evaluation: null },
    { step: 2 * place + 2, loss: 1.95 - 0.1 * place, evaluation: { loss: value } },
  ]);
}

test('overfitting is said once the held-out loss has risen for a while', () => {
  assert.equal(overfitting([]), null);
  assert.equal(overfitting(steps([2, 1.5, 1.4, 1.3, 1.2])), null);
  assert.equal(overfitting(steps([2, 1.5, 1.6, 1.4])), null);
  assert.match(overfitting(steps([2, 1.5, 1.6, 1.7, 1.8])), /lowest at step 4 .* all 3 validations since/);
});

test('a run learns, or has stopped improving, or learns by heart', () => {
  const flat = steps([2, 1.5, 1.5, 1.499, 1.5]).map((report) => ({ ...report, loss: 1 }));
  const unmeasured = (loss) =>
    Array.from({ length: 24 }, (_, place) => ({ step: place + 1, loss: loss(place), evaluation: null }));
  assert.deepEqual(
    [[], steps([2]), steps([2, 1.5, 1.4, 1.3]), flat, steps([2, 1.5, 1.6, 1.7, 1.8])].map(learning),
    [null, null, 'is learning', 'has stopped improving', 'is learning by heart'],
  );
  assert.equal(learning(unmeasured((place) => 2 - place / 20)), 'is learning');
  assert.equal(learning(unmeasured(() => 2)), 'has stopped improving');
  assert.equal(learning(unmeasured(() => 2).slice(0, 10)), null);
});

test('forgetting is a rise of the probe', () => {
  const report = (base_probe_loss, probe_loss) => ({ base_probe_loss, probe_loss });
  assert.equal(forgetting([report(1, null)]), null);
  const risen = [report(1, null), report(null, 1.5)];
  assert.deepEqual(forgetting(risen), { base: 1, now: 1.5, rise: 0.5 });
  assert.match(forgettingSentence(risen), /risen by 0\.50 .* 1\.6 times less likely/);
  assert.equal(forgettingSentence([report(1, null), report(null, 1.1)]), null);
});

test('runs differ in the settings whose values are not the same', () => {
  const run = (recipe) => ({ recipe });
  const runs = [
    run({ lora: { rank: 4, target_modules: ['q_proj'] }, seed: 1 }),
    run({ lora: { rank: 8, target_modules: ['q_proj'] }, seed: 1, packing: true }),
  ];
  assert.deepEqual(differences(runs), ['lora.rank']);
  assert.deepEqual([setting(runs[1], 'lora.rank'), setting(runs[0], 'packing')], ['8', '–']);
  assert.equal(setting(runs[0], 'lora.target_modules'), 'q_proj');
});

test('what advances is told now and then', () => {
  const milestones = new Milestones();
  const told = [];
  for (let second = 0; second <= 60; second += 1) {
    const words = milestones.tell('training', second / 60, String(second), second * 1000);
    if (told.at(-1) !== Number(words)) told.push(Number(words));
  }
  assert.equal(told[0], 0);
  assert.ok(told.length > 5 && told.length <= 11, String(told));
  assert.ok(
    told.slice(1).every((second, place) => second - told[place] >= 5),
    String(told),
  );
  assert.equal(milestones.tell('another', 0, 'anew', 61_000), 'anew');
});

test('what an objective measures is told by its label, in records of old too', () => {
  const classification = { accuracy: 0.9, macro_f1: 0.8, majority_share: 0.5, labels: [], confusion: [] };
  assert.equal(measured({ loss: 1, preference: null, classification, reward: null }), 'accuracy 90.0 %');
  assert.equal(measured({ loss: 1, embedding: { recall_at_1: null, spearman: 0.25 } }), 'Spearman 0.250');
  assert.equal(measured({ loss: 1, perplexity: 2.7 }), null);
  assert.equal(measured(null), null);
  const step = { step: 1, loss: 0, rollout: { reward: 0.5, reward_std: 0.1, kl: null } };
  assert.deepEqual(
    stepFigures(step).map(({ name, value }) => [name, value]),
    [
      ['reward', 0.5],
      ['spread of rewards', 0.1],
    ],
  );
  assert.deepEqual(stepFigures({ step: 1, loss: 1, rollout: null }, 'loss'), []);
  // The loss of a run that learns from its own answers says nothing of learning by heart.
  const rewarded = steps([2, 1.5, 1.6, 1.7, 1.8]).map((report) => ({ ...report, rollout: { reward: 1 } }));
  assert.equal(overfitting(rewarded), null);
});
