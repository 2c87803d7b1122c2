/**
 * What a minute's changes take, for docs/deploy.md's prices: `npm run bench -- --only cost`. For each format and compression
 * a backlog of one minute at 10, 1,000 and 20,000 changes a second is drained by one run, held to the share of a core that
 * Lambda gives at the default memory. With `--save` the figures go into docs/cost.json.
 */
import type { Cost, CostLine } from '../../scripts/cost.ts';
import { median } from '../../scripts/speed.ts';
import { startContainer } from '../chaos/container.ts';
import { cpuMs, limitCpu } from './cpu-limit.ts';
import type { BenchEnvironment } from './environment.ts';
import { WORKLOADS } from './workloads.ts';

const RATES = [10, 1_000, 20_000];
const MEMORY_MIB = 1024;
const SHARE = 0.58;
/** The first is not counted. */
const ROUNDS = 6;

const lines = (format: string, compression: string) => ({
  FORMAT: format,
  AGGREGATION: 'lines',
  COMPRESSION: compression,
});

/** What is measured, by what the table calls it. */
const FORMATS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  '`json`': { FORMAT: 'json' },
  '`csv-payload`': { FORMAT: 'csv-payload' },
  '`csv`': { FORMAT: 'csv' },
  '`dms`': { FORMAT: 'dms' },
  '`debezium`': { FORMAT: 'debezium' },
  '`json`, lines': lines('json', 'none'),
  '`json`, lines, gzip': lines('json', 'gzip'),
  '`json`, lines, zstd': lines('json', 'zstd'),
  '`csv-payload`, lines, gzip': lines('csv-payload', 'gzip'),
  '`csv-payload`, lines, zstd': lines('csv-payload', 'zstd'),
};

/** Drains the same backlog again and again in one container, as on a schedule: all but the first find it warm. */
async function drain(environment: BenchEnvironment, settings: Readonly<Record<string, string>>, changes: number) {
  const { server } = environment;
  const container = await startContainer({ ...environment.variables, ...settings, SLOT_NAME: 'copied' });
  const pid = container.child.pid ?? 0;
  const release = limitCpu(pid, SHARE);
  const taken: Omit<CostLine, 'format' | 'rate' | 'changes'>[] = [];
  try {
    // Where a run takes seconds, what the first of a container takes does not show.
    const rounds = changes > 100_000 ? 1 : ROUNDS;
    for (let round = 0; round < rounds; round++) {
      await server.sql(`SELECT pg_copy_logical_replication_slot('written', 'copied', false)`);
      await environment.billed();
      const cpu = cpuMs(pid) ?? NaN;
      const began = performance.now();
      const { published, bytes } = await container.run({ action: 'drain' }, 900_000);
      const wallMs = performance.now() - began;
      const functionCpuMs = (cpuMs(pid) ?? NaN) - cpu;
      if (published !== changes) throw new Error(`${published} of ${changes} changes were published`);
      const { records: kinesisRecords, roundedBytes, putUnits } = await environment.billed();
      if (round > 0 || rounds === 1)
        taken.push({ functionCpuMs, wallMs, bytes, kinesisRecords, roundedBytes, putUnits });
      await server.sql(`SELECT pg_drop_replication_slot('copied')`);
    }
  } finally {
    release();
    await container.kill();
  }
  return taken;
}

/** @param environment - what it runs on. @param machine - its name */
export async function benchCost(environment: BenchEnvironment, machine: string): Promise<Cost> {
  const { server } = environment;
  const small = WORKLOADS.find(({ name }) => name === 'small');
  if (small === undefined) throw new Error('there is no workload "small"');
  const measured: CostLine[] = [];
  for (const rate of RATES) {
    const changes = Math.round((rate * 60) / 30) * 30;
    await small.prepare(server);
    await server.createSlot('written');
    await small.write(server, changes);
    for (const [format, settings] of Object.entries(FORMATS)) {
      const taken = await drain(environment, settings, changes);
      const of = (name: keyof (typeof taken)[number]) => median(taken.map((each) => each[name]));
      measured.push({
        format,
        rate,
        changes,
        functionCpuMs: of('functionCpuMs'),
        wallMs: of('wallMs'),
        bytes: of('bytes'),
        kinesisRecords: of('kinesisRecords'),
        roundedBytes: of('roundedBytes'),
        putUnits: of('putUnits'),
      });
    }
    await server.sql(`SELECT pg_drop_replication_slot('written'); DROP TABLE t`);
  }
  return { machine, memoryMib: MEMORY_MIB, lines: measured };
}
