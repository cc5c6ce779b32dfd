import { fileURLToPath } from 'node:url';
import { defineConfig, mergeConfig } from 'vite';
import { common } from './vite.config';

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

/**
 * Pages that do not ship: headless.html, which `cargo xtask train` drives, bench.html, which times steps, and
 * two-workspaces.html for a test. They lie beside the page on the local server.
 */
const pages = ['headless.html', 'bench.html', 'two-workspaces.html'];

export default defineConfig(
  mergeConfig(common, {
    root: here('tools'),
    publicDir: false,
    build: {
      outDir: here('dist-tools'),
      emptyOutDir: true,
      rolldownOptions: { input: pages.map((page) => here(`tools/${page}`)) },
    },
  }),
);
