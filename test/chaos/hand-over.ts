/**
 * What can go wrong while one run hands the slot over to the next: each is done to real processes and real backends at the
 * moment at which somebody waits for the lock. Knows neither a schedule nor what is published.
 */
import { setTimeout as wait } from 'node:timers/promises';
import { CONTROL_LOCK_SUFFIX } from '../../lambda/postgres/session.ts';
import type { Container } from './container.ts';
import type { Environment } from './environment.ts';

/** Who is there when something goes wrong. */
export interface HandOver {
  readonly environment: Environment;
  readonly holder: Container;
  readonly waiter: Container;
  /** The slot that they share. */
  readonly slot: string;
}

/** How long a container is stopped that goes on before its time is over. */
const PAUSE_MS = 1_500;

/** What is done, by what a test calls it. */
export const FAULTS = {
  'the successor is killed': async ({ waiter }: HandOver) => await waiter.kill(),
  'the holder is killed': async ({ holder }: HandOver) => await holder.kill(),
  'the holder is stopped for a moment': async ({ holder }: HandOver) => {
    holder.child.kill('SIGSTOP');
    await wait(PAUSE_MS);
    holder.child.kill('SIGCONT');
  },
  'the connection with the lock is terminated': async ({ environment, slot }: HandOver) =>
    await terminate(environment, slot),
  'the other connection is terminated': async ({ environment, slot }: HandOver) =>
    await terminate(environment, `${slot}${CONTROL_LOCK_SUFFIX}`),
} as const;

/** One of {@link FAULTS}. */
export type Fault = keyof typeof FAULTS;

/** @returns how many wait for a lock */
export async function waiters({ server }: Environment): Promise<number> {
  return (await server.sql(`SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted`)).length;
}

async function terminate(environment: Environment, slot: string): Promise<void> {
  await environment.server.sql('SELECT pg_terminate_backend($1)', [await environment.lockHolder(slot)]);
}
