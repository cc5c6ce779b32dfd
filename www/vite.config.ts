import { fileURLToPath } from 'node:url';
import { defineConfig, type UserConfig } from 'vite';
import { serviceWorker } from './offline/precache.mjs';

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

/** What the page has in common with the pages of `tools/`. */
export const common: UserConfig = {
  // Relative addresses: the built page works in any folder of any static host.
  base: './',
  resolve: { alias: { 'loralet-wasm': process.env.LORALET_PKG ?? here('../pkg') } },
  build: {
    target: 'es2022',
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    chunkSizeWarningLimit: 1000,
  },
  worker: { format: 'es' },
  server: { fs: { allow: [here('..')] } },
};

/** The pages that ship: the studio, and the lessons, and what keeps them on a device. */
export default defineConfig({
  ...common,
  plugins: [serviceWorker()],
  build: { ...common.build, rolldownOptions: { input: ['index.html', 'lessons.html'].map(here) } },
});
