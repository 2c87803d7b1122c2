/**
 * Mutants that no test can kill, because what the product does is the same with them. The score does not count them.
 *
 * A row of `equivalents/` names the file, why nobody can tell the two apart, and each line as it is and as the mutant has
 * it. Rows whose mutant is killed, or is not there any more, are reported and have to go.
 *
 * Not such a mutant: one of a text that somebody reads. What an error says is tested where it is thrown.
 */
import { DECODE } from './equivalents/decode.ts';
import { DECODE_TEST_DECODING } from './equivalents/decode-test-decoding.ts';
import { DECODE_WAL2JSON } from './equivalents/decode-wal2json.ts';
import { FORMAT } from './equivalents/format.ts';
import { FORMAT_JSON } from './equivalents/format-json.ts';
import { KINESIS } from './equivalents/kinesis.ts';
import { PACK } from './equivalents/pack.ts';
import { POSTGRES } from './equivalents/postgres.ts';
import { RUN } from './equivalents/run.ts';
import { TRANSFORM } from './equivalents/transform.ts';

/** Mutants of one file that are equivalent for the same reason. */
export interface EquivalentMutants {
  readonly file: string;
  readonly reason: string;
  /** The line as it is, and as the mutant has it; both without the indentation, as the gate prints them. */
  readonly changes: readonly (readonly [before: string, after: string])[];
}

/** One such mutant. */
export interface EquivalentMutant {
  readonly file: string;
  readonly before: string;
  readonly after: string;
}

export const EQUIVALENT_MUTANTS: readonly EquivalentMutant[] = [
  DECODE,
  DECODE_TEST_DECODING,
  DECODE_WAL2JSON,
  FORMAT,
  FORMAT_JSON,
  KINESIS,
  PACK,
  POSTGRES,
  RUN,
  TRANSFORM,
]
  .flat()
  .flatMap(({ file, changes }) => changes.map(([before, after]) => ({ file, before, after })));
