/**
 * Makes the documentation site of `../docs/*.md`, beside the npm package that its live parts are:
 *
 *     npm run docs -- ../out/site/docs
 *
 * The folder above it is the built page, whose samples the live parts learn from.
 */
import { cp, mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { argv } from 'node:process';
import { fileURLToPath } from 'node:url';
import { CONTENTS } from './contents.mjs';
import { render, titleOf } from './markdown.mjs';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const TEXTS = here('../../docs');
const PACKAGE = here('../dist-package');
const REPOSITORY = 'https://github.com/loralet/loralet';
/** Nothing from elsewhere but models that a reader asks for. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self' 'wasm-unsafe-eval'",
  "worker-src 'self' blob:",
  "connect-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "form-action 'none'",
  "base-uri 'none'",
].join('; ');

export async function buildDocs(out) {
  const names = CONTENTS.flatMap(({ pages }) => pages);
  const texts = new Map();
  for (const name of names) texts.set(name, await readFile(join(TEXTS, `${name}.md`), 'utf8'));
  const forgotten = (await readdir(TEXTS)).filter(
    (file) => file.endsWith('.md') && !texts.has(file.slice(0, -3)),
  );
  if (forgotten.length > 0) throw new Error(`docs/contents.mjs has no ${forgotten.join(', ')}`);

  const titles = new Map([...texts].map(([name, text]) => [name, titleOf(text)]));
  const links = [];
  const pictures = new Set();
  const pages = new Map();
  for (const [name, text] of texts) {
    const toHref = (target) => {
      if (/^[a-z]+:/.test(target)) return target;
      if (target.startsWith('../')) return `${REPOSITORY}/blob/main/${target.slice(3)}`;
      if (/\.(png|svg)$/.test(target)) {
        pictures.add(target);
        return target;
      }
      const [, file, fragment] = /^(?:([\w-]+)\.md)?(?:#(.*))?$/.exec(target) ?? [];
      if (file === undefined && fragment === undefined) throw new Error(`${name}.md links to ${target}`);
      links.push({ name, target, file: file ?? name, fragment });
      return (file ? fileOf(file) : '') + (fragment ? `#${fragment}` : '');
    };
    const toName = (file) => shortOf(titles.get(file) ?? file);
    pages.set(name, render(text, name, toHref, toName));
  }
  for (const { name, target, file, fragment } of links) {
    const page = pages.get(file);
    if (!page || (fragment && !page.headings.some(({ id }) => id === fragment)))
      throw new Error(`${name}.md links to ${target}, which is not there`);
  }

  await rm(out, { recursive: true, force: true });
  await mkdir(join(out, 'live'), { recursive: true });
  for (const [name, page] of pages) {
    await writeFile(join(out, fileOf(name)), layout(name, page, titles));
    for (const [place, code] of page.examples.entries()) {
      const example = `${name}-${place + 1}`;
      await writeFile(join(out, 'live', `${example}.js`), asModule(example, code));
    }
  }
  for (const picture of pictures) await cp(join(TEXTS, picture), join(out, picture));
  for (const file of ['page.css', 'docs.js']) await cp(here(file), join(out, file));
  await cp(PACKAGE, join(out, 'loralet'), { recursive: true, filter: (path) => !/\/types(\/|$)/.test(path) });
  return pages.size;
}

/** An example as readers see it, but for where the package is and where it prints. */
function asModule(example, code) {
  return `const { console } = globalThis.examples[${JSON.stringify(example)}];\n${code.replaceAll(
    /from '(loralet)'/g,
    "from '../loralet/index.js'",
  )}`;
}

function fileOf(name) {
  return name === 'README' ? 'index.html' : `${name}.html`;
}

function layout(name, { html, headings }, titles) {
  const title = titles.get(name);
  const isLive = html.includes('<loralet-trainer');
  const order = [...titles.keys()];
  const at = order.indexOf(name);
  const step = (place, word, rel) =>
    order[place] === undefined
      ? '<span></span>'
      : `<a rel="${rel}" href="${fileOf(order[place])}"><small>${word}</small>${escape(titles.get(order[place]))}</a>`;
  const parts = headings.filter(({ level }) => level === 2);
  return `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8" />
    <meta name="viewport" content="width=device-width, initial-scale=1" />
    <meta http-equiv="Content-Security-Policy" content="${POLICY}" />
    <meta name="referrer" content="no-referrer" />
    <title>${escape(title)}${name === 'README' ? '' : ' · Loralet'}</title>
    <link rel="icon" href="../icon.svg" type="image/svg+xml" />
    <link rel="stylesheet" href="page.css" />
    ${isLive ? '<script type="module" src="loralet/element.js"></script>' : ''}
    <script type="module" src="docs.js"></script>
  </head>
  <body>
    <a class="skip" href="#main">To the text</a>
    <header>
      <a class="brand" href="index.html"><img src="../icon.svg" alt="" width="28" height="28" /> Loralet</a>
      <nav aria-label="Loralet">
        <a href="../index.html">Studio</a>
        <a href="../lessons.html">Lessons</a>
        <a href="${REPOSITORY}">Source</a>
      </nav>
    </header>
    <div class="columns">
      <details class="contents" open>
        <summary>Contents</summary>
        <nav aria-label="Contents">
          ${CONTENTS.map((part) => section(part, name, titles)).join('\n          ')}
        </nav>
      </details>
      <main id="main">
        <article>
${html}
        </article>
        <nav class="steps" aria-label="Before and after">
          ${step(at - 1, 'Before', 'prev')}
          ${step(at + 1, 'Next', 'next')}
        </nav>
      </main>
      ${
        parts.length > 1
          ? `<nav class="parts" aria-label="On this page"><p>On this page</p><ul>${parts
              .map(({ id, title }) => `<li><a href="#${id}">${escape(title)}</a></li>`)
              .join('')}</ul></nav>`
          : ''
      }
    </div>
  </body>
</html>
`;
}

function section({ title, pages }, current, titles) {
  const entries = pages.map((name) => {
    const here = name === current ? ' aria-current="page"' : '';
    return `<li><a href="${fileOf(name)}"${here}>${escape(name === 'README' ? 'Start' : shortOf(titles.get(name)))}</a></li>`;
  });
  return `<p>${title}</p><ul>${entries.join('')}</ul>`;
}

/** Headings say after a colon what more there is. */
function shortOf(title) {
  return title.replace(/:.*/, '');
}

function escape(text) {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}

if (argv[1] === fileURLToPath(import.meta.url)) {
  const out = resolve(argv[2] ?? here('../../out/site/docs'));
  console.log(`${await buildDocs(out)} pages of documentation in ${out}`);
}
