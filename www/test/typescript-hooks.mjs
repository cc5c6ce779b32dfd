/** What typescript.mjs registers: imports are found and read as Vite finds and reads them. */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

const PACKAGE = new URL('../../pkg/', import.meta.url).href;

/** Those of tsconfig.json that change what is written. */
const compilerOptions = {
  target: ts.ScriptTarget.ES2022,
  module: ts.ModuleKind.ESNext,
  experimentalDecorators: true,
  useDefineForClassFields: false,
  inlineSourceMap: true,
};

export function resolve(specifier, context, next) {
  // The address of a file is the server's to give; nobody asks for it here.
  if (/\?.*url$/.test(specifier)) return found(`data:text/javascript,export default undefined`);
  if (specifier.startsWith('loralet-wasm/')) {
    const url = new URL(specifier.slice('loralet-wasm/'.length), PACKAGE);
    if (!existsSync(url)) throw new Error('pkg/ is not there: cargo xtask build makes it');
    return found(url.href);
  }
  if (specifier.startsWith('.')) {
    const url = new URL(specifier, context.parentURL);
    if (url.href.startsWith(PACKAGE)) return found(url.href);
    const source = new URL(url.href.replace(/\.js$/, '.ts'));
    if (source.protocol === 'file:' && existsSync(source)) return found(source.href);
  }
  return next(specifier, context);
}

export async function load(url, context, next) {
  if (url.endsWith('.json')) {
    const source = `export default ${await readFile(fileURLToPath(url), 'utf8')}`;
    return { format: 'module', source, shortCircuit: true };
  }
  if (!url.endsWith('.ts')) return next(url, context);
  const fileName = fileURLToPath(url);
  const { outputText } = ts.transpileModule(await readFile(fileName, 'utf8'), { compilerOptions, fileName });
  return { format: 'module', source: outputText, shortCircuit: true };
}

function found(url) {
  return { url, format: 'module', shortCircuit: true };
}
