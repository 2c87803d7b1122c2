// The lint rules, and with them the table of who may import whom (ARCHITECTURE.md).
import js from '@eslint/js';
import simpleImportSort from 'eslint-plugin-simple-import-sort';
import tseslint from 'typescript-eslint';

/**
 * One row of the import table: files of a module may not import what matches the patterns.
 * `process.env` is read in the handler, in bin/ and in tests only.
 */
const module = (files, patterns, { env = false, except = [] } = {}) => ({
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

const synth = [
  '(^|/)lib/(?!formatter/)|^aws-cdk-lib|^constructs',
  'lambda/ knows nothing of lib/ or the CDK, but the types of a formatter.',
];
const handler = ['/handler\\.ts$', 'Nothing imports the handler but bin/ and tests.'];
const above = ['(^|/)(actions/|container\\.ts$)', 'Only actions, the handler and bin/ know actions and the container.'];
const sdk = ['^@aws-sdk/|^@smithy/', 'This module knows no AWS.'];
const postgres = ['^pg($|-)|(^|/)postgres/', 'This module knows no PostgreSQL.'];
const kinesis = ['(^|/)kinesis/|^@aws-sdk/client-kinesis', 'This module knows no Kinesis.'];
const powertools = ['^@aws-lambda-powertools/|^@middy/', 'Only the handler composes Powertools and middy.'];
const node = ['^node:(fs|net|http|https|tls|child_process|process|timers|os|dns)', 'A pure module does no I/O.'];

const around = ['(^|/)(health|telemetry)/', 'Only actions, the handler and bin/ know health and telemetry.'];

/** What no file below actions, postgres and kinesis may import. */
const inner = [synth, handler, above, sdk, postgres, kinesis, powertools];

export default tseslint.config(
  // docs/examples/ is compiled by test/lib/package.test.ts, as an app of its user's: with the packed types.
  { ignores: ['node_modules/', 'dist/', 'cdk.out/', 'docs/examples/'] },
  js.configs.recommended,
  ...tseslint.configs.strictTypeChecked.map((config) => ({ ...config, files: ['**/*.ts'] })),
  {
    files: ['**/*.ts'],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    plugins: { 'simple-import-sort': simpleImportSort },
    rules: {
      'simple-import-sort/imports': ['error', { groups: [['^node:', '^@?\\w', '^\\.\\.', '^\\.']] }],
      'simple-import-sort/exports': 'error',
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
    rules: {
      '@typescript-eslint/no-floating-promises': [
        'error',
        {
          allowForKnownSafeCalls: [
            {
              from: 'package',
              package: 'node:test',
              name: ['describe', 'it', 'test', 'suite', 'before', 'after', 'beforeEach', 'afterEach'],
            },
          ],
        },
      ],
    },
  },
  // lambda/, from the bottom up. What a row does not forbid, it may import; nothing imports the handler.
  module(
    ['lambda/{decode,format,pack,snapshot}/**/*.ts'],
    [...inner, around, node, ['(^|/)(transform|run|settings|ports)/', 'A pure module imports pure modules.']],
  ),
  module(
    ['lambda/settings/**/*.ts'],
    [...inner, around, ['(^|/)(transform|run|format|pack|snapshot)/', 'settings imports decode and errors only.']],
  ),
  module(
    ['lambda/health/**/*.ts'],
    [
      ...inner,
      [
        '(^|/)(transform|run|format|pack|snapshot|telemetry)/',
        'health checks facts; it imports settings and decode only.',
      ],
    ],
  ),
  module(['lambda/transform/**/*.ts'], [...inner, around, ['(^|/)run/', 'transform knows no run.']]),
  module(['lambda/run/**/*.ts'], [...inner, around]),
  module(
    ['lambda/postgres/**/*.ts'],
    [
      synth,
      handler,
      above,
      kinesis,
      powertools,
      [
        '(^|/)(format|pack|transform|run|settings|health|telemetry)/',
        'postgres imports decode, snapshot, errors and ports only.',
      ],
    ],
  ),
  module(
    ['lambda/kinesis/**/*.ts'],
    [
      synth,
      handler,
      above,
      postgres,
      powertools,
      [
        '(^|/)(decode|format|transform|run|settings|snapshot|health|telemetry)/',
        'kinesis imports pack, errors and ports only.',
      ],
    ],
  ),
  module(
    ['lambda/telemetry/**/*.ts'],
    [
      synth,
      handler,
      above,
      postgres,
      kinesis,
      sdk,
      [
        '(^|/)(decode|format|pack|transform|run|settings|snapshot|health)/',
        'telemetry knows errors, ports and metrics.',
      ],
    ],
  ),
  module(['lambda/actions/**/*.ts', 'lambda/container.ts', 'lambda/aws-credentials.ts'], [synth, handler, powertools]),
  module(
    [
      'lambda/ports/**/*.ts',
      'lambda/{errors,metrics,clock,printable,lost-slot,peek-errors,publications,slow-notice,formatter-module}.ts',
    ],
    [...inner, around],
  ),
  module(['lambda/plugin-parts.ts'], [synth, handler, above, sdk, kinesis, powertools]),
  module(['lambda/handler.ts'], [synth], { env: true }),
  // replica/: the other end of the stream.
  module(
    ['replica/rules/**/*.ts', 'replica/errors.ts'],
    [
      ['(^|/)lib/|^aws-cdk-lib|^constructs', 'The rules know no consumer library and no CDK.'],
      ['(^|/)lambda/(?!decode/lsn|printable)', 'Of the function, the rules know LSNs only.'],
      sdk,
      postgres,
      powertools,
      node,
    ],
  ),
  module(
    ['replica/store/**/*.ts'],
    [
      ['(^|/)(lib|lambda)/|^aws-cdk-lib|^constructs', 'The store knows what the rules know.'],
      sdk,
      postgres,
      powertools,
    ],
  ),
  module(
    ['replica/postgres/**/*.ts'],
    [
      ['(^|/)lib/|^aws-cdk-lib|^constructs', 'The target knows no stream and no CDK.'],
      ['(^|/)lambda/(?!decode/lsn|postgres/)', 'Of the function, the target knows LSNs and how to connect.'],
      sdk,
      kinesis,
      powertools,
    ],
  ),
  module(
    ['replica/function/**/*.ts'],
    [['(^|/)lib/(?!consumer/)|^aws-cdk-lib|^constructs', 'The function knows the consumer library and no CDK.'], sdk],
    { except: ['replica/function/handler.ts'] },
  ),
  module(
    ['lib/**/*.ts'],
    [sdk, postgres, ['(^|/)lambda/', 'lib/ ships the function as a bundle; it imports none of it.']],
    { except: ['lib/consumer/**/*.ts'] },
  ),
  module(
    ['lib/consumer/**/*.ts'],
    [['^\\.\\./|^(?!node:|\\.)', 'lib/consumer/ is bundled into readers of the stream: it imports itself.']],
  ),
);
