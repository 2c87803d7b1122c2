// The lint rules, and with them the table of who may import whom (ARCHITECTURE.md).
import js from '@eslint/js';
import tseslint from 'typescript-eslint';

/**
 * One row of the import table: files of a room may not import what matches the patterns.
 * `process.env` is read in the handler, in bin/ and in tests only.
 */
const room = (files, patterns, { env = false, except = [] } = {}) => ({
  files,
  ignores: except,
  rules: {
    'no-restricted-imports': ['error', { patterns: patterns.map(([regex, message]) => ({ regex, message })) }],
    ...(env
      ? {}
      : {
          'no-restricted-properties': [
            'error',
            { object: 'process', property: 'env', message: 'Only the handler, bin/ and tests read the environment.' },
          ],
        }),
  },
});

const synth = ['(^|/)lib/|^aws-cdk-lib|^constructs', 'lambda/ knows nothing of lib/ or the CDK.'];
const handler = ['/handler\\.ts$', 'Nothing imports the handler but bin/ and tests.'];
const sdk = ['^@aws-sdk/|^@smithy/', 'This room knows no AWS.'];
const postgres = ['^pg($|-)|(^|/)postgres/', 'This room knows no PostgreSQL.'];
const kinesis = ['(^|/)kinesis/|^@aws-sdk/client-kinesis', 'This room knows no Kinesis.'];
const powertools = ['^@aws-lambda-powertools/|^@middy/', 'Only the handler composes Powertools and middy.'];
const node = ['^node:(fs|net|http|https|tls|child_process|process|timers|os|dns)', 'A pure room does no I/O.'];

export default tseslint.config(
  { ignores: ['node_modules/', 'dist/', 'cdk.out/'] },
  js.configs.recommended,
  ...tseslint.configs.strictTypeChecked.map((config) => ({ ...config, files: ['**/*.ts'] })),
  {
    files: ['**/*.ts'],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true, allowBoolean: true }],
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/no-non-null-assertion': 'error',
      '@typescript-eslint/no-confusing-void-expression': 'off',
      '@typescript-eslint/no-unnecessary-condition': ['error', { allowConstantLoopConditions: true }],
    },
  },
  {
    files: ['test/**/*.ts'],
    // node:test's describe and it return promises that the runner awaits by itself.
    rules: { '@typescript-eslint/no-floating-promises': ['error', { allowForKnownSafeCalls: [{ from: 'package', package: 'node:test', name: ['describe', 'it', 'test', 'suite', 'before', 'after', 'beforeEach', 'afterEach'] }] }] },
  },
  room(['lambda/{decode,format,pack}/**/*.ts'], [synth, handler, sdk, postgres, kinesis, powertools, node]),
  room(['lambda/*.ts'], [synth, handler, sdk, postgres, kinesis, powertools], { except: ['lambda/handler.ts', 'lambda/actions.ts', 'lambda/lifecycle.ts', 'lambda/reports.ts', 'lambda/aws-credentials.ts', 'lambda/telemetry.ts', 'lambda/world.ts'] }),
  room(['lambda/handler.ts'], [synth], { env: true }),
  room(['lambda/postgres/**/*.ts'], [synth, handler, kinesis, powertools, ['(^|/)(format|pack)/', 'postgres imports decode and errors only.']]),
  room(['lambda/kinesis/**/*.ts'], [synth, handler, postgres, powertools, ['(^|/)(decode|format)/', 'kinesis imports pack and errors only.']]),
  room(['lib/**/*.ts'], [sdk, postgres, ['(^|/)lambda/', 'lib/ ships the function as a bundle; it imports none of it.']]),
);
