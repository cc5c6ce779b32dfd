import { defineConfig } from 'vite';

export default defineConfig({
  base: './',
  oxc: { jsx: { runtime: 'automatic' } },
  // The development server would move the script away from its wasm.
  optimizeDeps: { exclude: ['loralet'] },
});
