/** The modules of the mutation gate: what is mutated, by which tests, and what share of the mutants they must kill. */

/** A module of lambda/ under mutation. */
export interface Module {
  readonly name: string;
  /** The files that are mutated, as a glob. */
  readonly mutate: string;
  /** The test files that may kill its mutants, as globs: each has to find one at least. */
  readonly tests: readonly string[];
  /** Of 100 mutants that are not equivalent, how many must be killed. */
  readonly least: number;
  /** How many mutants are tried where all of them would take hours; all of them unless given. */
  readonly sample?: number;
  /** A mutant is tried by tests that take so long together, the quickest first. @default all that reach it */
  readonly mostMs?: number;
}

/** @returns the test files of a folder with these names */
const testsOf = (folder: string, names: string): string[] =>
  names.split(' ').map((name) => `test/lambda/${folder}/${name}.test.ts`);

export const MODULES: readonly Module[] = [
  {
    name: 'decode',
    mutate: 'lambda/decode/**/*.ts',
    tests: ['test/lambda/decode/**/!(*.pg).test.ts'],
    least: 95,
  },
  {
    name: 'format',
    mutate: 'lambda/format/**/*.ts',
    tests: ['test/lambda/format/**/!(*.pg).test.ts', 'test/lambda/transform/**/*.test.ts'],
    least: 95,
  },
  {
    name: 'pack',
    mutate: 'lambda/pack/**/*.ts',
    tests: ['test/lambda/pack/**/*.test.ts'],
    least: 95,
  },
  {
    name: 'kinesis',
    mutate: 'lambda/kinesis/**/*.ts',
    tests: testsOf(
      'kinesis',
      'classify client describe-stream publisher publisher-answers access-refusals request-body renewal sdk-environment',
    ),
    least: 90,
  },
  {
    name: 'transform',
    mutate: 'lambda/transform/**/*.ts',
    tests: ['test/lambda/transform/**/*.test.ts', 'test/lambda/run/!(*.pg).test.ts'],
    least: 90,
  },
  {
    name: 'run',
    mutate: 'lambda/run/**/*.ts',
    tests: ['test/lambda/run/!(*.pg).test.ts', ...testsOf('transform', 'formatter logical-messages')],
    least: 90,
  },
  {
    name: 'postgres',
    mutate: 'lambda/postgres/**/*.ts',
    tests: [
      'test/lambda/postgres/**/*.test.ts',
      ...testsOf('actions', 'actions.pg failed-run.pg server-history slot-lifecycle.pg slot-states.pg snapshot.pg'),
      ...testsOf('plugins', 'altered-tables.pg equality.pg plugin-change.pg publication-advice.pg publications.pg'),
      ...testsOf('run', 'overlapping-migrations.pg standby.pg undecodable.pg'),
      'test/lambda/snapshot/*.pg.test.ts',
    ],
    least: 90,
    sample: 300,
    mostMs: 120_000,
  },
];
