/**
 * Small wrong changes that are known by name. Each once passed all tests, and each has a test that fails with it now.
 *
 * `npm run test:mutants -- named` makes them one at a time and runs that test, which must fail. `npm test` sees to it that
 * the code which a row names is still there, and the test.
 */

/** One wrong change, and the test that must see it. */
export interface NamedMutant {
  /** What the product does with it. */
  readonly effect: string;
  /** The file, from the root. */
  readonly file: string;
  /** The code as it is; it is there once. */
  readonly code: string;
  /** What is put in its place. */
  readonly wrong: string;
  /** The test file, from the root. */
  readonly tests: string;
  /** The name of the test, without those of its suites. */
  readonly test: string;
  /** A server version that the test needs, because others do not come by. @default what the tests run on */
  readonly postgres?: string;
}
