/** <loralet-trainer> from the npm package, on pages of others: a strict host, a frame, a bundler. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { cp, mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { after, before, test } from 'node:test';
import { axeFindsNothing, fits } from './axe.mjs';
import { STRICT, WWW, host, packed, temporaryFolder, unpack } from './host.mjs';
import { CHATS, onlyWorkers, openPage, startBrowser, startServer, zipEntries } from './setup.mjs';

const EXAMPLES = fileURLToPath(new URL('../../examples/embed', import.meta.url));
const RECIPE = { train: { max_steps: 12, learning_rate: 0.005 }, eval: { eval_steps: 4 } };
const recipe = (changes = {}) =>
  JSON.stringify({ ...RECIPE, train: { ...RECIPE.train, ...changes } }).replaceAll('"', '&quot;');

let folder, tarball, browser, strict, lax, server;
before(
  async () => {
    server = await startServer();
    folder = await temporaryFolder('pages');
    tarball = await packed();
    await mkdir(join(folder.path, 'loralet'));
    unpack(tarball, join(folder.path, 'loralet'));
    await writeFile(join(folder.path, 'cats.jsonl'), CHATS);
    await cp(join(WWW, 'public/models/tiny'), join(folder.path, 'tiny-folder'), { recursive: true });
    strict = await host(folder.path, { 'content-security-policy': STRICT });
    // A sandboxed frame without an origin of its own reads these like any other site.
    lax = await host(folder.path, { 'access-control-allow-origin': '*' });
    browser = await startBrowser();
  },
  { timeout: 1_800_000 },
);
after(async () => {
  await browser?.close();
  strict?.stop();
  lax?.stop();
  await folder?.remove();
  server?.stop();
});

let pages = 0;
/** A page with this in its `<main>`, on the strict host unless told otherwise. */
async function open(main, { on = strict, ...options } = {}) {
  const name = `page-${(pages += 1)}.html`;
  await writeFile(
    join(folder.path, name),
    `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>A page</title>
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <script type="module" src="./loralet/element.js"></script></head>
    <body><main><h1>A page</h1>${main}</main></body></html>`,
  );
  return openPage(browser, `${on.url}${name}`, options, async (page) => {
    page.refused = [];
    page.on('console', (message) => {
      if (/Content Security Policy/i.test(message.text())) page.refused.push(message.text());
    });
    // Whatever the elements tell, in order.
    await page.addInitScript(() => {
      window.told = [];
      for (const name of ['ready', 'step', 'finish', 'error'])
        window.addEventListener(`loralet-${name}`, ({ target, detail }) =>
          window.told.push({ id: target.id, name, detail: structuredClone(detail) }),
        );
    });
  });
}

const trainer = (id, attributes = '', inside = '') =>
  `<loralet-trainer id="${id}" model="tiny" device="cpu" recipe="${recipe()}" ${attributes}>${inside}</loralet-trainer>`;
const main = (element) => element.locator('[data-test=main]');
/** Waits until the element says so; what it says instead, where something failed, is the test's error. */
async function status(element, words) {
  const said = element.locator('[data-test=status]').filter({ hasText: words });
  const failed = element.locator('[data-test=error]');
  await said.or(failed).first().waitFor({ timeout: 60_000 });
  if ((await failed.count()) > 0) assert.fail(await failed.first().innerText());
}
const told = (page, id, name) =>
  page.evaluate(([id, name]) => window.told.filter((one) => one.id === id && one.name === name), [id, name]);

async function looksRight(page, state) {
  for (const [width, colorScheme] of [
    [320, 'light'],
    [800, 'dark'],
  ]) {
    await page.setViewportSize({ width, height: 900 });
    await page.emulateMedia({ colorScheme });
    await axeFindsNothing(page, `${state}, ${width} px, ${colorScheme}`);
    await fits(page, state);
  }
}

test(
  'on a static host with a strict policy it trains, answers and hands out',
  { timeout: 240_000 },
  async () => {
    const rows = `<script type="application/jsonl">${CHATS.replaceAll('sleeps on the roof', 'hides in the barn')}</script>`;
    const page = await open(
      trainer('roof', `data="./cats.jsonl" prompts='["Where is cat number 7?"]'`) +
        trainer('barn', '', `<h2>Barn</h2>${rows}`),
    );
    const before = await page.evaluate(() => [document.head.innerHTML, document.body.childElementCount]);
    const [roof, barn] = [page.locator('#roof'), page.locator('#barn')];
    await status(roof, 'tiny learns from cats.jsonl in 12 steps');
    await status(barn, 'tiny learns from 24 lines');
    await looksRight(page, 'idle');
    // Nothing but the script itself is there before a press.
    const heavy = () =>
      strict.asked.filter((path) => /wasm|worker|safetensors|jsonl|work-|models|samples/.test(path));
    assert.deepEqual(heavy(), []);

    await main(roof).press('Enter');
    await status(roof, 'Done: 12 steps');
    assert.equal(await roof.evaluate((element) => element.shadowRoot.activeElement?.dataset.test), 'main');
    const [ready] = await told(page, 'roof', 'ready');
    assert.deepEqual(ready.detail, { model: 'tiny', device: 'cpu' });
    const steps = await told(page, 'roof', 'step');
    assert.deepEqual(
      steps.map(({ detail }) => detail.step),
      Array.from({ length: 12 }, (_, index) => index + 1),
    );
    assert.ok(steps.at(-1).detail.loss < steps[0].detail.loss / 2, 'it learned nothing');
    const [finish] = await told(page, 'roof', 'finish');
    assert.deepEqual([finish.detail.how, finish.detail.report.step], ['finished', 12]);

    await roof.getByRole('button', { name: 'Where is cat number 7?' }).click();
    await roof.locator('article.tuned[aria-busy=false] [part=answer]').filter({ hasText: 'roof' }).waitFor();
    await looksRight(page, 'answered');

    // The other one trains on its own, through its methods.
    await barn.evaluate((element) => element.start());
    await status(barn, 'Done: 12 steps');
    const asked = (element, options) =>
      element.evaluate((element, options) => element.ask('Where is cat number 7?', options), options);
    assert.match(await asked(barn), /barn/);
    assert.match(await asked(roof), /roof/);
    assert.doesNotMatch(await asked(roof, { model: 'base' }), /roof/);
    const zip = await roof.evaluate(async (element) => [
      ...new Uint8Array(await (await element.adapter('peft')).arrayBuffer()),
    ]);
    const names = zipEntries(Buffer.from(zip));
    assert.ok(
      names.includes('adapter_model.safetensors') && names.includes('adapter_config.json'),
      `${names}`,
    );

    // The page is as it was: no node, no key, no file, and no rule of its policy was broken.
    assert.deepEqual(
      await page.evaluate(() => [document.head.innerHTML, document.body.childElementCount]),
      before,
    );
    const kept = await page.evaluate(async () => {
      const files = [];
      for await (const name of (await navigator.storage.getDirectory()).keys()) files.push(name);
      return [files, localStorage.length, sessionStorage.length, document.cookie];
    });
    assert.deepEqual(kept, [[], 0, 0, '']);
    assert.deepEqual([page.refused, page.thrown, await told(page, 'roof', 'error')], [[], [], []]);
    assert.equal(page.workers().length, 2, 'one thread each');
    await page.evaluate(() => document.querySelector('#roof').remove());
    await page.waitForFunction((count) => document.querySelectorAll('loralet-trainer').length === count, 1);
    await onlyWorkers(page, 1);
    assert.equal(page.workers().length, 1, 'the other has none any more');
    await page.context().close();
  },
);

test(
  'it pauses, goes on and stops by keyboard, and the focus stays with it',
  { timeout: 120_000 },
  async () => {
    const page = await open(trainer('one', `data="./cats.jsonl" recipe="${recipe({ max_steps: 4000 })}"`));
    const one = page.locator('#one');
    await one.evaluate((element, json) => (element.recipe = json), { train: { max_steps: 4000 } });
    const focus = () => one.evaluate((element) => element.shadowRoot.activeElement?.dataset.test ?? null);
    await main(one).press('Enter');
    await status(one, 'Step 2');
    await looksRight(page, 'training');
    await main(one).press('Enter');
    await status(one, 'Paused at step');
    assert.equal(await focus(), 'main');
    await main(one).press('Enter');
    await status(one, /^\s*Step \d+ of 4000/);
    await one.locator('[data-test=stop]').press('Enter');
    await status(one, 'Stopped after step');
    assert.equal(await focus(), 'main');
    const [{ detail }] = await told(page, 'one', 'finish');
    assert.equal(detail.how, 'stopped');
    // Stopped while it loads, it is as it was.
    await one.evaluate((element) => element.remove());
    await page.evaluate(
      (html) => document.querySelector('main').insertAdjacentHTML('beforeend', html),
      trainer('two', 'data="./cats.jsonl"'),
    );
    const two = page.locator('#two');
    await main(two).press('Enter');
    await two.locator('[data-test=stop]').press('Enter');
    await status(two, 'tiny learns from');
    assert.deepEqual([await told(page, 'two', 'error'), page.thrown], [[], []]);
    await page.context().close();
  },
);

test('what makes no sense is one sentence in its place', { timeout: 120_000 }, async () => {
  const cases = {
    'no-data': [trainer('no-data'), 'data', /no data/],
    model: [trainer('model', 'data="./cats.jsonl"').replace('"tiny"', '"big"'), 'model', /model is "big"/i],
    json: [
      trainer('json', 'data="./cats.jsonl"').replace(/recipe="[^"]*"/, 'recipe="{"'),
      'recipe',
      /not valid JSON/,
    ],
    views: [trainer('views', 'data="./cats.jsonl" views="trane"'), 'views', /"trane"/],
  };
  const later = {
    setting: [
      trainer('setting', 'data="./cats.jsonl"').replace('max_steps', 'max_stepz'),
      'train.max_stepz',
      /max_steps/,
    ],
    lost: [trainer('lost', 'data="./dogs.jsonl"'), 'dogs.jsonl', /not found on 127/],
  };
  const page = await open([...Object.values(cases), ...Object.values(later)].map(([html]) => html).join(''));
  for (const [id, [, key, words]] of Object.entries({ ...cases, ...later })) {
    const element = page.locator(`#${id}`);
    if (id in later) {
      const refused = await element.evaluate((one) => one.start().catch(({ kind, key }) => ({ kind, key })));
      assert.equal(refused.key, key);
    }
    await element.getByRole('alert').filter({ hasText: words }).waitFor();
    const errors = await told(page, id, 'error');
    assert.deepEqual(
      errors.map(({ detail }) => detail.key),
      [key],
      id,
    );
    assert.match(errors[0].detail.message, words);
  }
  await looksRight(page, 'errors');
  // Mended, it works.
  await page.locator('#lost').evaluate((element) => element.setAttribute('data', './cats.jsonl'));
  await main(page.locator('#lost')).click();
  await status(page.locator('#lost'), 'Done');
  assert.equal(await page.locator('#lost').getByRole('alert').count(), 0);
  await page.context().close();
});

test(
  'models come from an address and from a mirror, and only they are kept',
  { timeout: 180_000 },
  async () => {
    const at = (id, model, more) =>
      trainer(id, `data="./cats.jsonl" ${more ?? ''}`).replace('model="tiny"', `model="${model}"`);
    const page = await open(
      at('folder', './tiny-folder/') + at('hub', 'loralet/tiny', `hub="${server.url}hub" keep="cats"`),
      { on: lax },
    );
    for (const id of ['folder', 'hub']) {
      await main(page.locator(`#${id}`)).click();
      await status(page.locator(`#${id}`), 'Done: 12 steps');
    }
    const losses = async (id) => (await told(page, id, 'step')).map(({ detail }) => detail.loss);
    assert.deepEqual(await losses('folder'), await losses('hub'));
    const files = await page.evaluate(async () => {
      const list = async (place, path) => {
        const names = [];
        for await (const [name, handle] of place.entries())
          names.push(
            ...(handle.kind === 'directory' && path.length < 3
              ? await list(handle, [...path, name])
              : [[...path, name].join('/')]),
          );
        return names.sort();
      };
      return list(await navigator.storage.getDirectory(), []);
    });
    assert.ok(
      files.every((name) => /^loralet\/(models|workspaces\/cats)\//.test(name)),
      files.join('\n'),
    );
    assert.equal(files.filter((name) => name.startsWith('loralet/models/')).length >= 2, true);
    await page.reload();
    // The run that was to be kept is offered again.
    await page.locator('#hub').evaluate((element) => element.load());
    await page
      .locator('#hub')
      .getByRole('region', { name: 'Earlier run' })
      .getByText('A finished run is kept here.')
      .waitFor();
    await page.context().close();
  },
);

test('it works in a frame, also in one whose origin is nobody', { timeout: 180_000 }, async () => {
  await writeFile(
    join(folder.path, 'unit.html'),
    `<!doctype html><html lang="en"><title>A unit</title><script type="module" src="./loralet/element.js"></script>
     <main>${trainer('unit', 'data="./cats.jsonl"')}</main></html>`,
  );
  for (const sandbox of ['allow-scripts allow-same-origin', 'allow-scripts']) {
    const page = await open(
      `<iframe title="A unit" sandbox="${sandbox}" src="./unit.html" width="300" height="700"></iframe>`,
      { on: lax },
    );
    const unit = page.frameLocator('iframe').locator('#unit');
    await main(unit).click();
    await status(unit, 'Done: 12 steps');
    assert.match(await unit.evaluate((element) => element.ask('Where is cat number 7?')), /roof/);
    assert.deepEqual(page.thrown, []);
    await page.context().close();
  }
});

test(
  'it works where nothing is secure, as on a school’s own server',
  { timeout: 120_000 },
  async (context) => {
    const other = await startBrowser(['--host-resolver-rules=MAP school.test 127.0.0.1']);
    context.after(() => other.close());
    await writeFile(
      join(folder.path, 'school.html'),
      `<!doctype html><html lang="en"><title>A school</title><script type="module" src="./loralet/element.js"></script>
     <main>${trainer('one', 'data="./cats.jsonl"')}</main></html>`,
    );
    const page = await other.newPage();
    page.thrown = [];
    page.on('pageerror', (error) => page.thrown.push(error.message));
    await page.goto(`${strict.url.replace('127.0.0.1', 'school.test')}school.html`);
    assert.equal(await page.evaluate(() => window.isSecureContext), false);
    await main(page.locator('#one')).click();
    await status(page.locator('#one'), 'Done: 12 steps');
    assert.deepEqual(page.thrown, []);
  },
);

test(
  'installed into a Vite project it trains, with and without the element',
  { timeout: 240_000 },
  async (context) => {
    const project = await temporaryFolder('project');
    context.after(() => project.remove());
    const write = (name, text) => writeFile(join(project.path, name), text);
    await write('package.json', '{ "name": "project", "private": true, "type": "module" }');
    await write(
      'index.html',
      `<!doctype html><html lang="en"><title>A project</title><script type="module" src="./main.ts"></script>
     <main>${trainer('element', 'data="./cats.jsonl"')}</main></html>`,
    );
    await write(
      'main.ts',
      `import 'loralet/element';
    import { Loralet, carriedModel, type StepReport } from 'loralet';
    const element = document.querySelector('loralet-trainer')!;
    const losses: number[] = [];
    element.addEventListener('loralet-step', ({ detail }) => losses.push(detail.loss));
    element.addEventListener('loralet-error', ({ detail }) => console.error(detail.kind, detail.message));
    async function engine(rows: string) {
      const trainer = await new Loralet().start({ device: 'cpu' });
      await trainer.openModel(await carriedModel(), 'tiny');
      const recipe = await trainer.validateRecipe(${JSON.stringify(RECIPE)});
      await trainer.openData('cats.jsonl', new TextEncoder().encode(rows), recipe);
      const run = await trainer.begin(recipe);
      const steps: StepReport[] = [];
      run.addEventListener('step', ({ detail }) => steps.push(detail));
      await run.ended;
      return steps.map(({ loss }) => loss);
    }
    Object.assign(window, { losses, engine });`,
    );
    await mkdir(join(project.path, 'public'));
    await write('public/cats.jsonl', CHATS);
    const run = (program, ...given) =>
      execFileSync(program, given, { cwd: project.path, encoding: 'utf8', stdio: 'pipe' });
    run('npm', 'install', '--offline', '--no-audit', '--no-fund', tarball);
    // A project's own checks, as strict as they go.
    const tsc = join(WWW, 'node_modules/typescript/bin/tsc');
    const checks = ['--noEmit', '--strict', '--target', 'es2022', '--lib', 'es2023,dom', '--module'];
    run('node', tsc, ...checks, 'esnext', '--moduleResolution', 'bundler', 'main.ts');
    run('node', tsc, ...checks, 'nodenext', '--moduleResolution', 'nodenext', 'main.ts');
    run('node', join(WWW, 'node_modules/vite/bin/vite.js'), 'build');
    const built = await host(join(project.path, 'dist'), { 'content-security-policy': STRICT });
    context.after(() => built.stop());
    const page = await openPage(browser, built.url);
    await main(page.locator('#element')).click();
    await status(page.locator('#element'), 'Done: 12 steps');
    const [losses, engine] = await page.evaluate(
      async (rows) => [window.losses, await window.engine(rows)],
      CHATS,
    );
    assert.equal(losses.length, 12);
    assert.deepEqual(engine, losses);
    assert.deepEqual(page.thrown, []);
    await page.context().close();
    built.stop();
    await project.remove();
  },
);

test('manifest, documentation and element say the same', { timeout: 60_000 }, async () => {
  const manifest = JSON.parse(await readFile(join(folder.path, 'loralet/custom-elements.json'), 'utf8'));
  const [{ attributes, members, events, cssParts, cssProperties }] = manifest.modules[0].declarations;
  const names = (list) => list.map(({ name }) => name).sort();
  const page = await open(trainer('one', 'data="./cats.jsonl"'));
  const found = await page.evaluate(async () => {
    await customElements.whenDefined('loralet-trainer');
    const { prototype, observedAttributes } = customElements.get('loralet-trainer');
    const styles = document
      .querySelector('#one')
      .shadowRoot.adoptedStyleSheets.flatMap(({ cssRules }) => [...cssRules].map(({ cssText }) => cssText))
      .join(' ');
    return { observedAttributes, methods: Object.getOwnPropertyNames(prototype), styles };
  });
  assert.deepEqual(names(attributes), [...found.observedAttributes].sort());
  for (const name of names(members)) assert.ok(found.methods.includes(name), name);
  assert.deepEqual([...new Set(found.styles.match(/--loralet-[a-z-]+/g))].sort(), names(cssProperties));
  const documentation = await readFile(new URL('../../docs/element.md', import.meta.url), 'utf8');
  for (const name of [attributes, members, events, cssParts, cssProperties].flatMap(names))
    assert.ok(documentation.includes(`\`${name}`), `docs/element.md does not tell of ${name}`);
  await page.context().close();
});

/** A page of an example of examples/embed beside the package, as its README says, on a host of its own. */
async function example(context, name, prepare) {
  const { path, remove } = await temporaryFolder(name);
  context.after(remove);
  await cp(join(EXAMPLES, name), path, { recursive: true });
  await cp(join(EXAMPLES, 'goat.jsonl'), join(path, 'goat.jsonl'));
  const inside = (await prepare(path)) ?? path;
  const served = await host(inside, { 'access-control-allow-origin': '*' });
  context.after(() => served.stop());
  return openPage(browser, served.url);
}

const besides = async (path) => {
  await mkdir(join(path, 'loralet'));
  unpack(tarball, join(path, 'loralet'));
};

test('the example in plain HTML', { timeout: 120_000 }, async (context) => {
  const page = await example(context, 'html', besides);
  const [goat, bell] = [page.locator('loralet-trainer').first(), page.locator('loralet-trainer').last()];
  await main(goat).click();
  await status(goat, 'Done: 60 steps');
  assert.match(await goat.evaluate((element) => element.ask('Who is Ozzy?')), /goat/i);
  await main(bell).click();
  await status(bell, 'Done: 30 steps');
  assert.match(await bell.evaluate((element) => element.ask('What does the bell say?')), /ding/i);
  assert.deepEqual(page.thrown, []);
  await page.context().close();
});

test('the example of a learning platform', { timeout: 120_000 }, async (context) => {
  const page = await example(context, 'lms', besides);
  const unit = page.frameLocator('iframe');
  await unit.locator('[data-test=main]').click();
  await unit.locator('#result').filter({ hasText: 'Done: the model knows who Ozzy is.' }).waitFor();
  assert.deepEqual(page.thrown, []);
  await page.context().close();
});

test('the example in React', { timeout: 120_000 }, async (context) => {
  const page = await example(context, 'react', async (path) => {
    await mkdir(join(path, 'node_modules/loralet'), { recursive: true });
    unpack(tarball, join(path, 'node_modules/loralet'));
    for (const name of ['react', 'react-dom', 'scheduler', 'vite'])
      await symlink(join(WWW, 'node_modules', name), join(path, 'node_modules', name));
    await mkdir(join(path, 'public'));
    await cp(join(path, 'goat.jsonl'), join(path, 'public/goat.jsonl'));
    execFileSync('node', [join(WWW, 'node_modules/vite/bin/vite.js'), 'build'], { cwd: path, stdio: 'pipe' });
    return join(path, 'dist');
  });
  await main(page.locator('loralet-trainer')).click();
  await page.locator('#progress').filter({ hasText: 'After step 60 of 60' }).waitFor({ timeout: 60_000 });
  await page.locator('#answer').filter({ hasText: /goat/i }).waitFor();
  assert.deepEqual(page.thrown, []);
  await page.context().close();
});
