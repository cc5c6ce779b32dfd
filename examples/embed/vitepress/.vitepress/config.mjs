import { defineConfig } from 'vitepress';

export default defineConfig({
  title: 'How models learn',
  vue: { template: { compilerOptions: { isCustomElement: (tag) => tag === 'loralet-trainer' } } },
  vite: { optimizeDeps: { exclude: ['loralet'] } },
});
