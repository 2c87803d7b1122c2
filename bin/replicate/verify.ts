/**
 * `pg2kinesis replicate --verify`: compares the copy with the source, while both are written to. A state of the source is
 * held, and the replica that is at work stops at that very state for a moment, so that it can be held at the copy, too.
 */
import { systemClock } from '../../lambda/clock.ts';
import { formatLsn } from '../../lambda/decode/lsn.ts';
import { ReplicaError } from '../../replica/errors.ts';
import type { PostgresAddress } from '../../replica/postgres/address.ts';
import {
  compareTable,
  type Comparison,
  type Difference,
  lockTables,
  tablesToCompare,
} from '../../replica/postgres/compare.ts';
import { connectTarget, type TargetConnection } from '../../replica/postgres/connection.ts';
import { type ExportedState, exportState } from '../../replica/postgres/exported-snapshot.ts';
import { readDatabaseIdentity, refuseOtherSource } from '../../replica/postgres/source-identity.ts';
import { StopAt } from '../../replica/postgres/stop-at-lsn.ts';
import { jsonLine } from '../cli/render/answer.ts';
import { EXIT, type Terminal, writeLine } from '../cli/terminal.ts';
import type { ReplicateOptions } from './options.ts';
import { connectFrom } from './source-setup.ts';

/** A table may be truncated between the state and its lock. */
const MAX_ATTEMPTS = 10;
const POLL_MS = 200;
/** How often it says what it waits for. */
const TELL_MS = 10_000;

/**
 * Compares.
 *
 * @param options - of the command
 * @param address - of the target
 * @param terminal - environment and output
 * @param limits - `signal` ends it; `patienceMs`: how long transactions that write may keep it, and the replica, waiting
 * @returns the exit status: 1 where it was ended before all was compared
 * @throws {ReplicaError} VERIFY_IMPOSSIBLE; COPY_DIFFERS; REPLICA_USAGE where the source is not that of the copy
 */
export async function verify(
  options: ReplicateOptions,
  address: PostgresAddress,
  terminal: Terminal,
  { signal, patienceMs }: { readonly signal: AbortSignal; readonly patienceMs: number },
): Promise<number> {
  const isOver = (): boolean => signal.aborted;
  const source = await connectFrom(options, terminal, '--verify');
  const { name = 'pg2kinesis' } = options;
  const identity = await readDatabaseIdentity(source.client).finally(() => source.client.end());
  const control = await connectTarget(address);
  const held = await connectTarget(address);
  try {
    await refuseOtherSource(identity, control.client, name);
    const stopAt = new StopAt(control.client, name);
    await stopAt.here();
    const { state, comparison } = await holdSource(source.address, control.client, patienceMs);
    try {
      await refuseBehind(stopAt, state.lsn);
      await stopAt.set(state.lsn);
      await awaitCopy(stopAt, state.lsn, terminal, signal);
      if (isOver()) return endedEarly(terminal);
      // Again: a copy that has only begun learns from the marks which server it is of.
      await refuseOtherSource(identity, control.client, name);
      await held.client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
      await lockTables(held.client, comparison.tables);
      await stopAt.goOn();
      terminal.stderr.write(`Comparing at ${formatLsn(state.lsn)}. The replica goes on.\n`);
      const { tables } = comparison;
      let differing = 0;
      let rows = 0;
      for (const table of tables) {
        if (isOver()) return endedEarly(terminal);
        const found = await compareTable(state.client, held.client, table);
        rows += found.rows;
        if (!isEqual(found)) differing++;
        print(table.name, found, terminal, options.json === true);
      }
      const left = leftOut(comparison);
      for (const what of left) writeLine(terminal.stderr, `${what}, and was not compared.`);
      refuseUnequal(differing, tables.length, options.skipLacking === true ? 0 : left.length, state.lsn);
      terminal.stderr.write(`Equal: ${tables.length} tables, ${rows} rows, at ${formatLsn(state.lsn)}.\n`);
      return EXIT.ok;
    } finally {
      await state.close();
    }
  } finally {
    // With the control connection the replica's stop is gone, however this ends.
    await control.client.end().catch(() => undefined);
    await held.client.end().catch(() => undefined);
  }
}

/** What of the source was not compared, and why. */
function leftOut({ lacking, lackingColumns, keyless }: Comparison): string[] {
  return [
    ...lacking.map((table) => `${table} is not at the copy`),
    ...lackingColumns.map((column) => `The column ${column} is not at the copy`),
    ...keyless.map((table) => `${table} has no primary key`),
  ];
}

/** @throws {ReplicaError} COPY_DIFFERS; VERIFY_IMPOSSIBLE where there was nothing to compare */
function refuseUnequal(differing: number, tables: number, notCompared: number, lsn: bigint): void {
  const at = `the source as it was at ${formatLsn(lsn)}`;
  if (differing > 0) throw new ReplicaError('COPY_DIFFERS', `${differing} of ${tables} tables differ from ${at}.`);
  if (notCompared > 0)
    throw new ReplicaError(
      'COPY_DIFFERS',
      `${tables} tables are equal to ${at}; ${notCompared} tables or columns of it were not compared.`,
      {
        remedy:
          'Make the copy anew with what it lacks. If the copy is not to have it, start with --skip-lacking: it is named then, and is no difference.',
      },
    );
  if (tables === 0)
    throw new ReplicaError('VERIFY_IMPOSSIBLE', `There is no table that both have in ${at}. Nothing was compared.`, {
      remedy: 'Correct --from or --to: they lead to databases without tables in common.',
    });
}

/** A source that is behind the copy can say nothing of what the copy holds. @throws {ReplicaError} VERIFY_IMPOSSIBLE */
async function refuseBehind(stopAt: StopAt, lsn: bigint): Promise<void> {
  const at = await stopAt.cut();
  if (at <= lsn) return;
  throw new ReplicaError(
    'VERIFY_IMPOSSIBLE',
    `The server of --from is at ${formatLsn(lsn)}, and the copy at ${formatLsn(at)} already. Nothing was compared.`,
    { remedy: 'Give the source itself with --from. If it is a standby, wait until it has received everything.' },
  );
}

/** Nothing is known of a copy that was not compared to the end. */
function endedEarly({ stderr }: Terminal): number {
  stderr.write('Ended before all tables were compared. Start it again.\n');
  return EXIT.failed;
}

/** Holds a state of the source, in which no table is truncated until it was compared. */
async function holdSource(
  address: PostgresAddress,
  target: TargetConnection['client'],
  patienceMs: number,
): Promise<{ readonly state: ExportedState; readonly comparison: Comparison }> {
  for (let attempt = 1; ; attempt++) {
    const state = await exportState(address, 'pg2kinesis_verify', patienceMs);
    try {
      const comparison = await tablesToCompare(state.client, target);
      if (await lockTables(state.client, comparison.tables)) return { state, comparison };
      if (attempt === MAX_ATTEMPTS)
        throw new ReplicaError(
          'VERIFY_IMPOSSIBLE',
          'Tables of the source are truncated or rewritten all the time. Nothing was compared.',
        );
    } catch (error) {
      await state.close();
      throw error;
    }
    await state.close();
  }
}

/** Waits until the copy has come to an LSN. */
async function awaitCopy(stopAt: StopAt, lsn: bigint, terminal: Terminal, signal: AbortSignal): Promise<void> {
  let toldAt = systemClock.now();
  for (;;) {
    const at = await stopAt.cut();
    if (at >= lsn || signal.aborted) return;
    if (systemClock.now() - toldAt >= TELL_MS) {
      toldAt = systemClock.now();
      terminal.stderr.write(
        `Waiting for the copy to come to ${formatLsn(lsn)}; it is at ${formatLsn(at)}. That takes a replica at work, and a change that is published, or a drain.\n`,
      );
    }
    await systemClock.sleep(POLL_MS, signal);
  }
}

function isEqual({ missing, extra, different }: Difference): boolean {
  return missing.length + extra.length + different.length === 0;
}

function print(table: string, found: Difference, { stdout }: Terminal, json: boolean): void {
  const { rows, missing, extra, different, isMore } = found;
  if (json) {
    const equal = isEqual(found);
    const keys = equal ? {} : { missing, extra, different, more: isMore };
    stdout.write(jsonLine({ event: 'verify', table, equal, rows, ...keys }));
    return;
  }
  const parts = Object.entries({ missing, extra, different })
    .filter(([, keys]) => keys.length > 0)
    .map(([kind, keys]) => `${kind}: ${keys.join(', ')}`);
  writeLine(
    stdout,
    `${table}: ${parts.length === 0 ? `equal, ${rows} rows` : `${parts.join('; ')}${isMore ? '; and more' : ''}`}`,
  );
}
