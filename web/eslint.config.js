import js from '@eslint/js';
import reactHooks from 'eslint-plugin-react-hooks';
import tseslint from 'typescript-eslint';

/** The rooms of src/, in the order in which they may import: each from those before its own group, and from its own. */
const ROOMS = [['api'], ['shared'], ['viewer', 'findings', 'model'], ['upload', 'study'], ['app']];

const importDirection = ROOMS.flatMap((group, place) =>
  group.map((room) => ({
    files: [`src/${room}/**`],
    ignores: ['src/**/*.test.*'],
    rules: {
      'no-restricted-imports': [
        'error',
        {
          patterns: ROOMS.slice(place)
            .flat()
            .filter((other) => other !== room)
            .concat('test')
            .map((other) => ({ group: [`../${other}/*`], message: `${room}/ does not import from ${other}/.` })),
        },
      ],
    },
  })),
);

export default tseslint.config(
  { ignores: ['node_modules', 'eslint.config.js', 'src/api/openapi.d.ts'] },
  js.configs.recommended,
  ...tseslint.configs.strictTypeChecked,
  ...tseslint.configs.stylisticTypeChecked,
  reactHooks.configs.flat['recommended-latest'],
  {
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
    },
  },
  ...importDirection,
);
