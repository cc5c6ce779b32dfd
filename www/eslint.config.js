import tseslint from 'typescript-eslint';

/**
 * Which folders of `src/` a folder may not import from: the engine knows no interface, the interface no page. Outside, the
 * engine is what its `index.ts` says.
 */
const closed = (folder, folders, why) => ({
  files: [`${folder}/**/*.ts`],
  rules: {
    'no-restricted-imports': [
      'error',
      {
        patterns: [
          { regex: `^\\.\\.?/(.*/)?(${folders.join('|')})/`, message: why },
          ...(folder === 'src/engine'
            ? []
            : [{ regex: '/engine/(?!index\\.js$)', message: 'Import from engine/index.js.' }]),
        ],
      },
    ],
  },
});

/** What belongs to the page that components are on. */
const ofThePage = ['document', 'location', 'history', 'localStorage', 'sessionStorage'];

/** State belongs to a workspace, of which several may stand on one page. */
const moduleState = [
  'Program > VariableDeclaration[kind=let]',
  'Program > ExportNamedDeclaration > VariableDeclaration[kind=let]',
  ...['Program', 'Program > ExportNamedDeclaration'].map(
    (place) =>
      `${place} > VariableDeclaration > VariableDeclarator > NewExpression[callee.name=/^(Map|Set|WeakMap|WeakSet|AbortController|.*Store|Workspace)$/]`,
  ),
];

export default tseslint.config(
  { ignores: ['dist', 'dist-tools', 'dist-package', 'src/engine/generated', 'node_modules', 'public'] },
  ...tseslint.configs.strict,
  {
    rules: {
      '@typescript-eslint/switch-exhaustiveness-check': 'off',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_' }],
    },
  },
  {
    files: ['src/**/*.ts', 'tools/**/*.ts'],
    languageOptions: {
      parserOptions: { project: './tsconfig.json', tsconfigRootDir: new URL('.', import.meta.url).pathname },
    },
    rules: {
      '@typescript-eslint/switch-exhaustiveness-check': 'error',
      '@typescript-eslint/no-floating-promises': 'error',
      // What comes over the border to WebAssembly has a type.
      '@typescript-eslint/no-unsafe-argument': 'error',
      '@typescript-eslint/no-unsafe-assignment': 'error',
      '@typescript-eslint/no-unsafe-call': 'error',
      '@typescript-eslint/no-unsafe-member-access': 'error',
      '@typescript-eslint/no-unsafe-return': 'error',
      '@typescript-eslint/no-misused-promises': ['error', { checksVoidReturn: false }],
    },
  },
  {
    files: [
      'src/engine/**/*.ts',
      'src/ui/**/*.ts',
      'src/element/**/*.ts',
      'src/lessons/**/*.ts',
      'src/package/**/*.ts',
    ],
    // An entry makes the workspace of its page.
    ignores: ['src/lessons/main.ts'],
    rules: {
      'no-restricted-syntax': [
        'error',
        ...moduleState.map((selector) => ({ selector, message: 'State belongs to a workspace.' })),
      ],
    },
  },
  {
    files: ['src/ui/**/*.ts'],
    rules: {
      'no-restricted-globals': ['error', ...ofThePage],
      'no-restricted-properties': [
        'error',
        ...['window', 'globalThis', 'self'].flatMap((object) =>
          ofThePage.map((property) => ({ object, property })),
        ),
      ],
    },
  },
  closed('src/engine', ['ui', 'element', 'page', 'lessons'], 'The engine knows no interface.'),
  closed('src/ui', ['element', 'page', 'lessons'], 'Components know nothing of the page that they are on.'),
  closed('src/element', ['page', 'lessons'], 'The element stands on pages of others.'),
  closed(
    'src/package',
    ['ui', 'element', 'page', 'lessons'],
    'The engine in the package knows no interface.',
  ),
  closed(
    'src/page',
    ['element', 'lessons'],
    'The page and the element are two shells over the same components.',
  ),
  closed('src/lessons', ['element'], 'Lessons are a page of their own over the same components.'),
);
