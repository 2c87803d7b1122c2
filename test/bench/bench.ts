/**
 * What a drain costs: `npm run bench`. A real PostgreSQL, the real handler in a process of its own, and peers on the same
 * WAL, all in turn; medians of the rounds. Prints a table, and with `--save` writes docs/speed.json, from which `npm run docs`
 * makes the page's tables and README's picture. Asserts nothing but that everything was published.
 *
 *     npm run bench -- --changes 100000 --only small,wide --against HEAD~20
 *     npm run bench -- --only small,distinct,compression --compression none,gzip,zstd --peers none
 *     npm run bench -- --only small --formats json,module,debezium,dms
 *     npm run bench -- --only cost,cold,pipelines
 *
 * `--against`: a commit or another checkout, measured in turn with this one. `--peers none`: without those who read the same WAL.
 * `--read-ahead-off`: the same drains with READ_AHEAD=off, too. `--pgoutput`, and `--wal2json` with the folder of the plugin: by that plugin, too, and beside its own peers.
 */
import { writeFileSync } from 'node:fs';
import { availableParallelism, cpus, loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import { costTable } from '../../scripts/cost.ts';
import { median, type Speed, type SpeedLine, speedText } from '../../scripts/speed.ts';
import { type Checkout, checkoutOf } from './checkout.ts';
import { benchCold, COLD_ABOUT } from './cold.ts';
import { compressionTable } from './compression.ts';
import { benchCost } from './cost.ts';
import { type BenchEnvironment, type Invocation, pathOf, startEnvironment } from './environment.ts';
import { PEERS, type Plugin } from './peers.ts';
import { benchPipelines, PIPELINES_ABOUT } from './pipelines.ts';
import { type Workload, WORKLOADS } from './workloads.ts';

const { values: options } = parseArgs({
  options: {
    changes: { type: 'string', default: '200000' },
    rounds: { type: 'string', default: '3' },
    only: { type: 'string', default: '' },
    formats: { type: 'string', default: 'json,csv-payload' },
    shares: { type: 'string', default: '0.58,0.29' },
    against: { type: 'string' },
    compression: { type: 'string', default: '' },
    peers: { type: 'string', default: 'all' },
    pgoutput: { type: 'boolean', default: false },
    'read-ahead-off': { type: 'boolean', default: false },
    wal2json: { type: 'string', default: '' },
    save: { type: 'boolean', default: false },
  },
});
const CHANGES = Number(options.changes);
const ROUNDS = Number(options.rounds);
/** Beside test_decoding. */
const MORE_PLUGINS: readonly Plugin[] = [
  ...(options.pgoutput ? (['pgoutput'] as const) : []),
  ...(options.wal2json === '' ? [] : (['wal2json'] as const)),
];
const DRAIN = { action: 'drain' };
const IDLE_RUNS = 25;

/** One thing that is measured, many times. */
interface Subject {
  readonly name: string;
  readonly share?: number;
  /** The slot's. @default test_decoding */
  readonly plugin?: Plugin;
  /** Whether it is another version of the function. */
  readonly isOther?: boolean;
  measure(environment: BenchEnvironment, slot: string, changes: number): Promise<Sample>;
}

/** One measurement. */
type Sample = Omit<SpeedLine, 'workload' | 'subject' | 'changes' | 'share'>;

/** How else a drain is done. */
interface Variant {
  readonly checkout?: string;
  readonly plugin?: Plugin;
  readonly compression?: string;
  readonly readAhead?: boolean;
}

/** A drain by the function. */
function drainBy(
  format: string,
  more: Workload['settings'] = {},
  share = 1,
  { checkout, plugin, compression, readAhead = true }: Variant = {},
): Subject {
  const parts = [
    format,
    plugin,
    compression === undefined ? undefined : `lines, ${compression}`,
    checkout && options.against,
    readAhead ? undefined : 'READ_AHEAD=off',
  ];
  const name = parts.filter((part) => part !== undefined).join(', ');
  const settings = {
    FORMAT: format,
    ...(format === 'module' ? { FORMATTER: pathOf('formatter.ts') } : {}),
    ...more,
    ...(readAhead ? {} : { READ_AHEAD: 'off' }),
    ...(compression === undefined ? {} : { AGGREGATION: 'lines', COMPRESSION: compression }),
    ...(plugin === undefined ? {} : { PLUGIN: plugin, ...(plugin === 'pgoutput' ? { PUBLICATIONS: 'bench' } : {}) }),
  };
  const how = { share, ...(checkout === undefined ? {} : { checkout }) };
  return {
    name,
    share,
    isOther: checkout !== undefined,
    ...(plugin === undefined ? {} : { plugin }),
    async measure(environment, slot, changes) {
      const [first] = await environment.invoke(slot, settings, [DRAIN], how);
      if (first?.answer.published !== changes || !first.answer.caughtUp)
        throw new Error(`not all was published: ${JSON.stringify(first?.answer)}`);
      const { answer } = first;
      const sizes = { bytes: answer.bytes, kinesisRecords: answer.kinesisRecords };
      return { wallMs: first.ms, functionCpuMs: first.cpuMs, maxRssMb: first.maxRssMb, ...sizes };
    },
  };
}

function subjectsOf({ name, settings }: Workload): Subject[] {
  const formats = options.formats.split(',');
  const asked = Object.entries(PEERS).filter(
    ([, { plugin }]) => options.peers !== 'none' && (plugin === 'test_decoding' || MORE_PLUGINS.includes(plugin)),
  );
  const compressions = options.compression === '' ? [] : options.compression.split(',');
  const peers = asked.map(([peer, { plugin, read }]): Subject => ({
    name: peer,
    plugin,
    async measure(environment, slot) {
      const { ms, cpuMs, maxRssMb } = await read(environment, slot);
      return {
        wallMs: ms,
        ...(cpuMs === undefined ? {} : { functionCpuMs: cpuMs }),
        ...(maxRssMb === undefined ? {} : { maxRssMb }),
      };
    },
  }));
  const shares = name === 'small' && options.shares !== '' ? options.shares.split(',').map(Number) : [];
  const aheadOff: readonly Variant[] = options['read-ahead-off'] ? [{ readAhead: false }] : [];
  return [
    ...peers,
    ...formats.flatMap((format) => [
      drainBy(format, settings),
      ...aheadOff.map((variant) => drainBy(format, settings, 1, variant)),
      ...MORE_PLUGINS.flatMap((plugin) =>
        [{ plugin }, ...aheadOff.map((variant) => ({ ...variant, plugin }))].map((variant) =>
          drainBy(format, settings, 1, variant),
        ),
      ),
      ...(against === undefined ? [] : [drainBy(format, settings, 1, { checkout: against.path })]),
      ...compressions.map((compression) => drainBy(format, settings, 1, { compression })),
    ]),
    ...shares.flatMap((share) =>
      formats.flatMap((format) => [{}, ...aheadOff].map((variant) => drainBy(format, settings, share, variant))),
    ),
  ];
}

/** Drains one workload by everything, in turn. */
async function bench(environment: BenchEnvironment, workload: Workload): Promise<SpeedLine[]> {
  const { server } = environment;
  const changes = Math.round((CHANGES * (workload.size ?? 1)) / 30) * 30;
  await workload.prepare(server);
  if (options.pgoutput) await server.sql('CREATE PUBLICATION bench FOR ALL TABLES');
  await server.createSlot('written');
  const end = await workload.write(server, changes);
  const samples = new Map<Subject, Sample[]>(subjectsOf(workload).map((subject) => [subject, []]));
  for (let round = 0; round < ROUNDS; round++) {
    for (const [subject, taken] of samples) {
      const plugin = subject.plugin ?? 'test_decoding';
      await server.sql(`SELECT pg_copy_logical_replication_slot('written', 'copied', false, $1)`, [plugin]);
      const before = environment.serverCpuMs();
      const sample = await subject.measure(environment, 'copied', changes).catch((error: unknown) => {
        // The other version may not have the format yet.
        if (subject.isOther !== true || !String(error).includes('CONFIG_INVALID')) throw error;
        console.log(`${subject.name} is not measured: that version refuses the settings`);
        samples.delete(subject);
      });
      // A walsender that is gone leaves its slot a moment later.
      while ((await server.sql(`SELECT FROM pg_replication_slots WHERE active`)).length > 0);
      const after = environment.serverCpuMs();
      if (sample !== undefined)
        taken.push(before === undefined || after === undefined ? sample : { ...sample, serverCpuMs: after - before });
      await server.sql(`SELECT pg_drop_replication_slot('copied')`);
    }
  }
  await end?.();
  await server.sql(
    `SELECT pg_drop_replication_slot('written'); DROP PUBLICATION IF EXISTS bench; DROP SCHEMA public CASCADE; CREATE SCHEMA public`,
  );
  return [...samples].map(([{ name, share = 1 }, taken]) => ({
    workload: workload.name,
    subject: name,
    changes,
    ...(share < 1 ? { share } : {}),
    ...medianOf(taken),
  }));
}

/** Each number's median. */
function medianOf(taken: readonly Sample[]): Sample {
  const of = (name: keyof Sample): number | undefined => {
    const numbers = taken.map((sample) => sample[name]).filter((value) => value !== undefined);
    return numbers.length === 0 ? undefined : median(numbers);
  };
  const names = ['functionCpuMs', 'serverCpuMs', 'bytes', 'kinesisRecords', 'maxRssMb'] as const;
  const rest = names.map((name) => [name, of(name)] as const).filter(([, value]) => value !== undefined);
  return { wallMs: of('wallMs') ?? NaN, ...(Object.fromEntries(rest) as Partial<Sample>) };
}

/** A run that finds nothing: the first of a process, and those after it. */
async function benchIdle(environment: BenchEnvironment): Promise<SpeedLine[]> {
  await environment.server.createSlot('idle');
  const payloads = Array.from({ length: IDLE_RUNS }, () => ({ action: 'run', maxSeconds: 50 }));
  const lines: SpeedLine[] = [];
  for (const checkout of against === undefined ? [undefined] : [undefined, against.path]) {
    const taken: Invocation[][] = [];
    for (let round = 0; round < ROUNDS; round++)
      taken.push(await environment.invoke('idle', {}, payloads, checkout === undefined ? {} : { checkout }));
    const line = (name: string, runs: readonly Invocation[]): SpeedLine => ({
      workload: 'idle',
      subject: checkout === undefined ? name : `${name}, ${options.against}`,
      changes: 0,
      ...medianOf(runs.map(({ ms, cpuMs, maxRssMb }) => ({ wallMs: ms, functionCpuMs: cpuMs, maxRssMb }))),
    });
    lines.push(
      line(
        'first run',
        taken.flatMap((runs) => runs.slice(0, 1)),
      ),
      line(
        'warm run',
        taken.flatMap((runs) => runs.slice(5)),
      ),
    );
  }
  return lines;
}

const wanted = options.only === '' ? undefined : options.only.split(',');
if (wanted?.includes('compression') !== false) console.log(compressionTable());
// Beside a package from npm that does the same. They print by themselves.
if (wanted?.includes('decoder') !== false) await import('./decode.bench.ts');
if (wanted?.includes('packer') !== false) await import('./pack.bench.ts');
const against: Checkout | undefined = options.against === undefined ? undefined : checkoutOf(options.against);
const environment = await startEnvironment(
  options.wal2json === '' ? {} : { dynamic_library_path: `$libdir:${options.wal2json}` },
);
try {
  const lines: SpeedLine[] = [];
  for (const workload of WORKLOADS) {
    if (wanted !== undefined && !wanted.includes(workload.name)) continue;
    lines.push(...(await bench(environment, workload)));
    console.log(speedText(lines.filter((line) => line.workload === workload.name)));
  }
  if (wanted?.includes('idle') !== false) {
    const idle = await benchIdle(environment);
    console.log(speedText(idle));
    lines.push(...idle);
  }
  if (wanted?.includes('cold') !== false) {
    const cold = await benchCold(environment);
    console.log(speedText(cold));
    lines.push(...cold);
  }
  if (wanted?.includes('pipelines') !== false) {
    const pipelines = await benchPipelines(environment, CHANGES, ROUNDS);
    console.log(speedText(pipelines));
    lines.push(...pipelines);
  }
  const machine = `${availableParallelism()} cores (${cpus()[0]?.model ?? 'unknown'}), Node.js ${process.versions.node}, PostgreSQL ${Math.floor(environment.server.versionNum / 10_000)}.${environment.server.versionNum % 10_000}`;
  if (wanted?.includes('cost') !== false) {
    const cost = await benchCost(environment, machine);
    console.log(costTable(cost));
    if (options.save) save('cost.json', cost);
  }
  const speed: Speed = {
    machine,
    load: loadavg()[1] ?? 0,
    rounds: ROUNDS,
    workloads: {
      ...Object.fromEntries(WORKLOADS.map(({ name, about }) => [name, about])),
      cold: COLD_ABOUT,
      pipelines: PIPELINES_ABOUT,
    },
    lines,
  };
  if (options.save && lines.length > 0) save('speed.json', speed);
} finally {
  await environment.stop();
  against?.dispose();
}

/** Writes figures from which `npm run docs` makes tables. */
function save(name: string, figures: object): void {
  writeFileSync(new URL(`../../docs/${name}`, import.meta.url), `${JSON.stringify(figures, undefined, 2)}\n`);
}
