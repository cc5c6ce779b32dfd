import tseslint from 'typescript-eslint';

/** Which folders of `src/` a folder may not import from: the engine knows no interface, the interface no page. */
const closed = (files, folders, why) => ({
  files: [files],
  rules: {
    'no-restricted-imports': [
      'error',
      { patterns: [{ regex: `^\\.\\.?/(.*/)?(${folders.join('|')})/`, message: why }] },
    ],
  },
});

export default tseslint.config(
  { ignores: ['dist', 'src/engine/generated', 'node_modules', 'public'] },
  ...tseslint.configs.strict,
  {
    rules: {
      '@typescript-eslint/switch-exhaustiveness-check': 'off',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_' }],
    },
  },
  {
    files: ['src/**/*.ts'],
    languageOptions: {
      parserOptions: { project: './tsconfig.json', tsconfigRootDir: new URL('.', import.meta.url).pathname },
    },
    rules: {
      '@typescript-eslint/switch-exhaustiveness-check': 'error',
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-misused-promises': ['error', { checksVoidReturn: false }],
    },
  },
  closed('src/engine/**/*.ts', ['ui', 'element', 'page'], 'The engine knows no interface.'),
  closed('src/ui/**/*.ts', ['element', 'page'], 'Components know nothing of the page that they are on.'),
  closed('src/element/**/*.ts', ['page'], 'The element stands on pages of others.'),
  closed(
    'src/page/**/*.ts',
    ['element'],
    'The page and the element are two shells over the same components.',
  ),
);
