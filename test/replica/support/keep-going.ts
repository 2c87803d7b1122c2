/**
 * What keeps going while servers crash and processes are killed: writers at a source, containers of the function, a replica.
 * Knows no table.
 */
import assert from 'node:assert/strict';
import { setTimeout as wait } from 'node:timers/promises';
import type pg from 'pg';
import { eventually, NAME } from '../../chaos/environment.ts';
import type { PostgresServer } from '../../support/postgres.ts';
import type { Random } from '../rules/model/random.ts';
import { kill, type ReplicaRig } from './replica-rig.ts';

/** Something that is done again and again until it is told to stop, and fails at once where it fails. */
export interface Going {
  readonly signal: AbortSignal;
  readonly random: Random;
  /** While it is true, writers wait: the machine is too slow for all of it. */
  readonly isHeld?: () => boolean;
}

/** @returns whether the server was made to go away under a statement */
export function isConnectionLost(error: unknown): boolean {
  const { code, message = '' } = error as { code?: string; message?: string };
  return /^(57P0|08|ECONN|EPIPE)/.test(code ?? '') || /Connection terminated|not queryable/.test(message);
}

/**
 * Writes transaction after transaction, across crashes of the server.
 *
 * @param server - where; asked anew after a crash, when another may be the primary
 * @param write - one transaction
 * @param pauseMs - at most, between two
 */
export async function keepWriting(
  server: () => PostgresServer,
  write: (client: pg.Client) => Promise<void>,
  { signal, random, isHeld = () => false }: Going,
  pauseMs: number,
): Promise<void> {
  let client: pg.Client | undefined;
  for (; !signal.aborted; await wait(random.int(pauseMs))) {
    if (isHeld()) continue;
    try {
      client ??= await server().client();
      await write(client);
    } catch (error) {
      if (!isConnectionLost(error)) throw error;
      await client?.end().catch(() => undefined);
      client = undefined;
    }
  }
  await client?.end().catch(() => undefined);
}

/** What became of the containers. */
export interface Runs {
  answers: number;
  kills: number;
  /** Codes that runs failed with. */
  readonly errors: Record<string, number>;
}

/**
 * Runs the function again and again, a new container every few runs; the last run of each is killed in the middle.
 *
 * @param over - what its containers are told, each anew where it is a function
 * @param runs - where they are counted, for a test that waits for some of them
 */
export async function keepRunning(
  { environment }: ReplicaRig,
  { signal, random }: Going,
  over: Readonly<Record<string, string>> | (() => Readonly<Record<string, string>>) = {},
  runs: Runs = { answers: 0, kills: 0, errors: {} },
): Promise<Runs> {
  const goesOn = () => !signal.aborted;
  while (goesOn()) {
    const container = await environment.container({ MARKS: 'on', ...(typeof over === 'function' ? over() : over) });
    for (let run = 0; run < 3 && goesOn(); run++) {
      const invoked = container.invoke({ action: 'run', maxSeconds: 10 });
      if (run === 2) await wait(random.int(300)).then(() => container.kill());
      const ending = await invoked;
      if (ending === 'killed') runs.kills++;
      else if (ending.error === undefined) runs.answers++;
      else runs.errors[ending.error.name] = (runs.errors[ending.error.name] ?? 0) + 1;
    }
    await container.kill();
  }
  return runs;
}

/** How replicas ended. */
export interface Replicas {
  kills: number;
  /** Those that ended by themselves, by their exit status. */
  readonly ended: Record<number, number>;
  /** What the last one that did so said. */
  said: string;
}

/**
 * Has a replica at work, and kills it again and again once it has applied something.
 *
 * @param flags - of the command
 * @param mayEnd - exit statuses that are right by now
 * @param onKill - called whenever one was killed
 */
export async function keepReplicating(
  rig: ReplicaRig,
  { signal, random }: Going,
  flags: readonly string[],
  mayEnd: () => readonly number[],
  onKill: () => void = () => undefined,
): Promise<Replicas> {
  const replicas: Replicas = { kills: 0, ended: {}, said: '' };
  while (!signal.aborted) {
    const replica = rig.begin(flags);
    let said = '';
    replica.stderr?.on('data', (text: Buffer) => (said += text.toString()));
    replica.stdout?.resume();
    const before = await cutOf(rig);
    await eventually(async () => {
      if (signal.aborted || replica.exitCode !== null) return true;
      const now = await cutOf(rig);
      return now !== undefined && now !== before;
    }, 'a replica applies something');
    await wait(random.int(1_200));
    if (replica.exitCode === null) {
      await kill(replica);
      replicas.kills++;
      onKill();
    } else {
      const { exitCode } = replica;
      assert.ok(mayEnd().includes(exitCode), `a replica ended by itself with ${exitCode}: ${said}`);
      replicas.ended[exitCode] = (replicas.ended[exitCode] ?? 0) + 1;
      replicas.said = said;
    }
  }
  return replicas;
}

/** What is applied, by the target; undefined: nothing, or the server does not answer. */
async function cutOf({ target }: ReplicaRig): Promise<string | undefined> {
  const rows = await target.sql<{ cut: string }>('SELECT cut::text FROM pg2kinesis.replica').catch(() => []);
  return rows[0]?.cut;
}

/** @returns how many bytes of the WAL of a source its slot is behind; undefined: the server does not answer */
export async function bytesBehind({ source }: ReplicaRig): Promise<number | undefined> {
  const rows = await source
    .sql<{ behind: string }>(
      `SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), confirmed_flush_lsn)::text AS behind FROM pg_replication_slots WHERE slot_name = $1`,
      [NAME],
    )
    .catch(() => []);
  return rows[0] === undefined ? undefined : Number(rows[0].behind);
}
