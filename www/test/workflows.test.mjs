/** The workflows of `.github/workflows`, as far as they can be read without GitHub. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { readFile, readdir } from 'node:fs/promises';
import { test } from 'node:test';
import { parse } from 'yaml';

const ROOT = new URL('../../', import.meta.url);
const WORKFLOWS = new URL('.github/workflows/', ROOT);
const read = (path) => readFile(new URL(path, ROOT), 'utf8');

test('each workflow is YAML, and runs commands that there are', async () => {
  const commands = [...(await read('README.md')).matchAll(/^- `cargo xtask (\w+)/gm)].map(([, name]) => name);
  const files = await readdir(WORKFLOWS);
  assert.deepEqual(files.sort(), ['package.yml', 'site.yml', 'suite.yml']);
  for (const file of files) {
    // A key that is there twice, or a tab, is an error.
    const workflow = parse(await readFile(new URL(file, WORKFLOWS), 'utf8'), { strict: true });
    assert.deepEqual(Object.keys(workflow).slice(0, 3), ['name', 'on', 'permissions'], file);
    for (const [name, job] of Object.entries(workflow.jobs)) {
      const where = `${file}, ${name}`;
      assert.match(job['runs-on'], /^ubuntu-/, where);
      for (const needed of [job.needs ?? []].flat()) assert.ok(workflow.jobs[needed], where);
      for (const step of job.steps) {
        assert.ok(Boolean(step.uses) !== Boolean(step.run), `${where}: a step either uses or runs`);
        if (step.uses) assert.match(step.uses, /^[\w-]+\/[\w-]+@v\d+$/, where);
        const used = [...(step.run ?? '').matchAll(/cargo xtask (\w+)/g)].map(([, command]) => command);
        assert.deepEqual(
          used.filter((command) => !commands.includes(command)),
          [],
          where,
        );
        const lock = step.with?.['cache-dependency-path'];
        assert.ok(!lock || existsSync(new URL(lock, ROOT)), where);
      }
    }
  }
});
