/** Options of `replicate` that do not go together. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { refuseContradictions } from '../../../bin/replicate/option-conflicts.ts';
import type { ReplicateOptions } from '../../../bin/replicate/options.ts';
import { ReplicaError } from '../../../replica/errors.ts';

const OPTIONS: ReplicateOptions = { to: 'postgres://a@b/c', stream: 's' };

describe('options that contradict each other', () => {
  for (const [over, said] of [
    [{ verify: true, finish: true }, /^REPLICA_USAGE: --verify only compares, and --finish would have no effect\./],
    [{ verify: true, createTables: 'x', fast: true, once: true }, /and --create-tables, --fast, --once would/],
    [
      { verify: true, skipMissing: true, triggers: true, source: 's' },
      /and --skip-missing, --triggers, --source would/,
    ],
    [{ verify: true, pgDump: 'x' }, /and --pg-dump would/],
    [{ pgDump: 'x' }, /--pg-dump is the program of --create-tables, which was not given\./],
    [{ startAfter: 1n, createTables: 'x' }, /--start-after says .* and --create-tables makes tables without rows\./],
    [{ yes: true }, /--yes sets the sequences of --finish, which was not given\./],
    [{ skipLacking: true }, /--skip-lacking is about what --verify compares, which was not given\./],
    [{ finish: true, fast: true }, /--finish is not for --fast/],
    [{ finish: true, once: true }, /--finish waits until .* and --once ends/],
    [{ startAfter: 1n, awaitSnapshot: true }, /--start-after says .* and --await-snapshot/],
  ] as const)
    it(`are refused: ${Object.keys(over).join(', ')}`, () => {
      assert.throws(
        () => refuseContradictions({ ...OPTIONS, ...over }),
        (error: unknown) =>
          error instanceof ReplicaError && said.test(error.message) && error.message.includes('Nothing was done.'),
      );
    });

  for (const over of [
    {},
    { verify: true, from: 'postgres://a@b/c', skipLacking: true },
    { finish: true, yes: true, skipTruncated: true },
    { fast: true, awaitSnapshot: true, once: true, skipTruncated: true },
    { createTables: 'x', fast: true, takeOver: true },
    { createTables: 'x', pgDump: 'y', awaitSnapshot: true, finish: true },
    { startAfter: 1n, once: true, source: 's' },
  ] satisfies Partial<ReplicateOptions>[])
    it(`are not: ${JSON.stringify(Object.keys(over))}`, () => refuseContradictions({ ...OPTIONS, ...over }));
});
