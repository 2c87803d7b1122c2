/**
 * One pipeline beside two that share the tables of a database: by a filter, and by publications, with which the server leaves out
 * what the other one publishes. The two run at the same time, each with a slot and a process of its own: their processor
 * times are added. `npm run bench -- --only pipelines`.
 */
import { median, type SpeedLine } from '../../scripts/speed.ts';
import type { BenchEnvironment } from './environment.ts';

const TABLES = ['orders', 'events'] as const;
const COLUMNS = 'id bigint PRIMARY KEY, name text, balance numeric, at timestamptz, note text, n int';
const ROW = `'user ' || i, i * 1.5, now(), md5(i::text) || md5(i::text) || md5(i::text), i`;

/** One who reads: its plugin, and the settings of each of its pipelines. */
interface Subject {
  readonly name: string;
  readonly plugin: 'test_decoding' | 'pgoutput';
  readonly pipelines: readonly Readonly<Record<string, string>>[];
}

const byPublication = (publication: string) => ({ PLUGIN: 'pgoutput', PUBLICATIONS: publication });

const SUBJECTS: readonly Subject[] = [
  { name: 'one pipeline', plugin: 'test_decoding', pipelines: [{}] },
  {
    name: 'two, by TABLE_INCLUDE_LIST',
    plugin: 'test_decoding',
    pipelines: TABLES.map((table) => ({ TABLE_INCLUDE_LIST: `public\\.${table}` })),
  },
  { name: 'one pipeline, pgoutput', plugin: 'pgoutput', pipelines: [byPublication('both')] },
  { name: 'two, by publication', plugin: 'pgoutput', pipelines: TABLES.map((table) => byPublication(table)) },
];

/** What the numbers are about. */
export const PIPELINES_ABOUT =
  'small rows of two tables in turn, five changes a transaction, by one pipeline and by two at once; processor times of both';

/**
 * @param environment - what it runs on
 * @param changes - of both tables together
 * @param rounds - the medians of so many
 */
export async function benchPipelines(
  environment: BenchEnvironment,
  changes: number,
  rounds: number,
): Promise<SpeedLine[]> {
  const { server } = environment;
  for (const table of TABLES)
    await server.sql(`CREATE TABLE ${table} (${COLUMNS}); CREATE PUBLICATION ${table} FOR TABLE ${table}`);
  await server.sql(`CREATE PUBLICATION "both" FOR TABLE ${TABLES.join(', ')}`);
  await server.createSlot('written');
  const transactions = Math.round(changes / 10);
  const inserts = TABLES.map(
    (table) => `INSERT INTO ${table} SELECT i * 5 + j, ${ROW} FROM generate_series(0, 4) j; COMMIT`,
  );
  await server.sql(`DO $$ BEGIN FOR i IN 1..${transactions} LOOP ${inserts.join('; ')}; END LOOP; END $$`);
  const lines: SpeedLine[] = [];
  for (const { name, plugin, pipelines } of SUBJECTS) {
    const taken: { wallMs: number; functionCpuMs: number; serverCpuMs: number; bytes: number }[] = [];
    for (let round = 0; round < rounds; round++) {
      for (const i of pipelines.keys())
        await server.sql(`SELECT pg_copy_logical_replication_slot('written', $1, false, $2)`, [`copied${i}`, plugin]);
      const serverBefore = environment.serverCpuMs() ?? NaN;
      const drained = await Promise.all(
        pipelines.map((settings, i) =>
          environment.invoke(`copied${i}`, { FORMAT: 'json', ...settings }, [{ action: 'drain' }]),
        ),
      );
      const invocations = drained.flat();
      const sum = (of: (each: (typeof invocations)[number]) => number) =>
        invocations.reduce((total, each) => total + of(each), 0);
      if (sum(({ answer }) => answer.published) !== transactions * 10)
        throw new Error(`${name}: not all was published`);
      const serverCpuMs = (environment.serverCpuMs() ?? NaN) - serverBefore;
      taken.push({
        // The slower one's: they begin together.
        wallMs: Math.max(...invocations.map(({ ms }) => ms)),
        functionCpuMs: sum(({ cpuMs }) => cpuMs),
        serverCpuMs,
        bytes: sum(({ answer }) => answer.bytes),
      });
      for (const i of pipelines.keys()) await server.sql('SELECT pg_drop_replication_slot($1)', [`copied${i}`]);
    }
    const of = (each: keyof (typeof taken)[number]) => median(taken.map((sample) => sample[each]));
    lines.push({
      workload: 'pipelines',
      subject: name,
      changes: transactions * 10,
      wallMs: of('wallMs'),
      functionCpuMs: of('functionCpuMs'),
      serverCpuMs: of('serverCpuMs'),
      bytes: of('bytes'),
    });
  }
  await server.sql(`SELECT pg_drop_replication_slot('written'); DROP PUBLICATION "both"`);
  for (const table of TABLES) await server.sql(`DROP TABLE ${table}; DROP PUBLICATION ${table}`);
  return lines;
}
