import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vite';

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

// headless.html is the page without an interface that `cargo xtask train` drives; bench.html times steps.
const pages = ['index.html', 'headless.html', 'bench.html'].map(here).filter((path) => existsSync(path));

export default defineConfig({
  // Relative addresses: the built page works in any folder of any static host.
  base: './',
  resolve: { alias: { 'loralet-wasm': process.env.LORALET_PKG ?? here('../pkg') } },
  build: {
    target: 'es2022',
    rolldownOptions: { input: pages },
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    chunkSizeWarningLimit: 1000,
  },
  worker: { format: 'es' },
  server: { fs: { allow: [here('..')] } },
});
