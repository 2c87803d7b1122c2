/**
 * What the publisher's tests share: clocks, a log that remembers, rounds made by hand, and waiting for a condition.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { KinesisClient } from '@aws-sdk/client-kinesis';
import { createKinesisClient } from '../../../lambda/kinesis/client.ts';
import type { KinesisRecord, Round } from '../../../lambda/pack/round.ts';
import type { Clock, Log } from '../../../lambda/ports/runtime.ts';
import { EMULATOR } from '../../support/kinesis.ts';

/** Real time, without jitter: every wait is as short as it can be. */
export const hurried: Clock = {
  now: () => Date.now(),
  sleep: async (ms, signal) => {
    await sleep(ms, undefined, { signal }).catch(() => undefined);
  },
  random: () => 0,
};

/** A clock that only sleeping moves. */
export function fakeClock(random = 0.5): Clock & { readonly sleeps: number[] } {
  let now = 1_000_000;
  const sleeps: number[] = [];
  return {
    sleeps,
    now: () => now,
    sleep: (ms) => {
      sleeps.push(ms);
      now += ms;
      return Promise.resolve();
    },
    random: () => random,
  };
}

/** A log that remembers its lines as text. */
export function memoryLog(): Log & { readonly lines: string[] } {
  const lines: string[] = [];
  const write = (level: string) => (message: string, fields?: Record<string, unknown>) =>
    void lines.push(`${level} ${message} ${JSON.stringify(fields ?? {})}`);
  return { lines, debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error') };
}

/** A round of entries, one a lane. */
export function round(...entries: (Partial<KinesisRecord> & { readonly text: string })[]): Round {
  const made = entries.map(({ text, partitionKey = `lane-${text}`, explicitHashKey }) => ({
    data: Buffer.from(text),
    partitionKey,
    explicitHashKey,
  }));
  return { entries: made, bytes: 0, userRecords: made.length };
}

/** The client that the function has, for an endpoint of the test. The SDK finds its credentials in the environment. */
export function clientOf(endpoint: string, requestTimeoutMs = 20_000): KinesisClient {
  process.env.AWS_ACCESS_KEY_ID = EMULATOR.credentials.accessKeyId;
  process.env.AWS_SECRET_ACCESS_KEY = EMULATOR.credentials.secretAccessKey;
  return createKinesisClient({ region: EMULATOR.region, endpoint, requestTimeoutMs });
}

/** Waits until something is so; the runner's time-out is the only limit. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await sleep(5);
}
