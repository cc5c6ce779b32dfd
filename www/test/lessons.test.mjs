/** Lessons: what they say is complete, and a class link carries a version whole or not at all. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import './browser.mjs';

globalThis.window = { location: { origin: 'https://school.example', pathname: '/lessons.html' } };
const { COURSE } = await import('../src/lessons/course/course.ts');
const { en } = await import('../src/lessons/words/en.ts');
const { LONGEST, pack, unpack } = await import('../src/lessons/class-link.ts');
const { addressOf, placeOf } = await import('../src/lessons/address.ts');

test('everything that a lesson shows has words', () => {
  for (const lesson of COURSE) {
    const said = en.lessons[lesson.id];
    assert.deepEqual(Object.keys(said.fields), Object.keys(lesson.fields), lesson.id);
    assert.deepEqual(
      Object.keys(said.steps),
      lesson.steps.map(({ id }) => id),
      lesson.id,
    );
    for (const step of lesson.steps) {
      const words = said.steps[step.id];
      assert.deepEqual(Object.keys(words.guesses), step.guesses, `${lesson.id}, ${step.id}`);
      for (const view of step.views)
        for (const name of view.names ?? [view.name]) {
          const caption = view.kind === 'curves' ? `${name} short` : name;
          assert.ok(words.captions[caption], `${lesson.id}, ${step.id}: nothing stands over "${caption}"`);
        }
    }
  }
});

test('what a step shows has been found by then', () => {
  for (const lesson of COURSE) {
    const found = new Set();
    for (const step of lesson.steps) {
      step.actions.forEach(({ name }) => found.add(name));
      for (const view of step.views)
        for (const name of view.names ?? [view.name])
          assert.ok(found.has(name), `${lesson.id}, ${step.id}: nobody finds "${name}"`);
    }
    assert.ok(found.has(lesson.curve), lesson.id);
  }
});

test('a class link brings the same version of every lesson, and is short enough', async () => {
  for (const { id, fields, rows, settings } of COURSE) {
    const link = addressOf(id, await pack({ fields, rows, settings }));
    assert.ok(link.length <= LONGEST, `${id}: ${link.length} characters`);
    const place = placeOf(new URL(link).hash);
    assert.equal(place.lesson, id);
    assert.deepEqual(await unpack(place.packed), { fields, rows, settings });
  }
});

test('a link that was cut, changed or made by somebody else is refused in a sentence', async () => {
  const { fields, rows, settings } = COURSE[0];
  const whole = await pack({ fields, rows, settings });
  const version = { version: 1, fields, settings, rows: [['a', 'b']] };
  const other = async (changes) => {
    const stream = new Blob([JSON.stringify({ ...version, ...changes })]).stream();
    const bytes = await new Response(stream.pipeThrough(new CompressionStream('deflate-raw'))).arrayBuffer();
    return Buffer.from(bytes).toString('base64url');
  };
  assert.deepEqual((await unpack(await other({}))).rows, [{ prompt: 'a', completion: 'b' }]);
  const bad = [
    whole.slice(0, -8),
    `${whole.slice(0, 40)}AAAA${whole.slice(44)}`,
    '?',
    await other({ version: 2 }),
    await other({ rows: [] }),
    await other({ rows: [['a', 1]] }),
    await other({ settings: { train: { max_steps: 4 } } }),
    await other({ fields: { name: ['a'] } }),
    // A small link that would take gigabytes.
    await other({ fields: { name: 'a'.repeat(4e6) } }),
  ];
  for (const link of bad)
    await assert.rejects(unpack(link), {
      kind: 'unreadable',
      key: 'class',
      message: /class link is not whole/,
    });
});
