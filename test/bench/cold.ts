/**
 * A container from nothing, as Lambda starts one: Node.js, AWS's own runtime client, the function's bundle, then its first
 * run and a second one, which find nothing to do. Beside an empty function. `npm run bench -- --only cold`; installs the
 * runtime client where it is not there, which is compiled.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bundleFunction } from '../../scripts/bundle.ts';
import { median, type SpeedLine } from '../../scripts/speed.ts';
import { installRuntimeClient, startContainer } from '../deploy/runtime.ts';
import type { BenchEnvironment } from './environment.ts';

const ROUNDS = 7;

/** What the numbers are about. */
export const COLD_ABOUT = 'a container from nothing under AWS’s runtime client, and its first runs, which find nothing';

/** @param environment - what it runs on */
export async function benchCold(environment: BenchEnvironment): Promise<SpeedLine[]> {
  const client = installRuntimeClient(console.error);
  const folder = mkdtempSync(join(tmpdir(), 'pg2kinesis-cold-'));
  const empty = mkdtempSync(join(tmpdir(), 'pg2kinesis-empty-'));
  const options = {
    client,
    handler: 'handler.handler',
    functionName: 'pg2kinesis',
    memoryMib: 1024,
    timeoutSeconds: 900,
    environment: { ...environment.variables, SLOT_NAME: 'cold' },
  };
  const times: Record<'empty' | 'start' | 'first' | 'warm', number[]> = { empty: [], start: [], first: [], warm: [] };
  try {
    await bundleFunction(folder);
    writeFileSync(join(empty, 'handler.mjs'), 'export const handler = async () => null;\n');
    await environment.server.createSlot('cold');
    // In turns, so that what else the machine does meets both alike.
    for (let round = 0; round < ROUNDS; round++) {
      const baseline = await startContainer({ ...options, folder: empty });
      times.empty.push(baseline.startMs);
      await baseline.stop();
      const container = await startContainer({ ...options, folder });
      times.start.push(container.startMs);
      for (const which of ['first', 'warm'] as const) {
        const began = performance.now();
        const { error } = await container.invoke({ action: 'run', maxSeconds: 50 });
        if (error !== undefined) throw new Error(error.errorMessage);
        times[which].push(performance.now() - began);
      }
      await container.stop();
    }
    await environment.server.sql(`SELECT pg_drop_replication_slot('cold')`);
  } finally {
    for (const each of [folder, empty]) rmSync(each, { recursive: true, force: true });
  }
  const line = (subject: string, values: readonly number[]): SpeedLine => ({
    workload: 'cold',
    subject,
    changes: 0,
    wallMs: median(values),
  });
  return [
    line('an empty function starts', times.empty),
    line('the function starts', times.start),
    line('its first run', times.first),
    line('its second run', times.warm),
  ];
}
