import { fileURLToPath } from 'node:url';
import { defineConfig, mergeConfig } from 'vite';
import { common } from './vite.config';

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

/**
 * The npm package: `index.js`, the engine, and `element.js`, which loads the rest when it is used. Wasm, worker and the model
 * `tiny` are assets beside them, each named by `new URL('…', import.meta.url)`, which browsers and bundlers understand.
 */
export default defineConfig(
  mergeConfig(common, {
    publicDir: false,
    build: {
      outDir: here('dist-package'),
      emptyOutDir: true,
      // A preload would write into the head of somebody else's page.
      modulePreload: false,
      rolldownOptions: {
        input: { index: here('src/package/loralet.ts'), element: here('src/element/index.ts') },
        preserveEntrySignatures: 'strict',
        output: {
          entryFileNames: '[name].js',
          chunkFileNames: 'chunks/[name]-[hash].js',
          assetFileNames: 'assets/[name]-[hash][extname]',
        },
      },
    },
  }),
);
