/**
 * How fast a replica writes, against COPY of the same rows and against a statement a row, into one server in one run.
 * `npm run bench:replica`. Reading the stream is not part of it: records are made here. COPY is 1. An argument
 * says how many rows.
 */
import { setImmediate } from 'node:timers/promises';
import { connectTarget } from '../../replica/postgres/connection.ts';
import { copyRows } from '../../replica/postgres/copy.ts';
import { PositionStore } from '../../replica/postgres/position-store.ts';
import { PostgresTarget } from '../../replica/postgres/target.ts';
import { Applier } from '../../replica/rules/applier.ts';
import { Intake } from '../../replica/rules/intake.ts';
import { Shards } from '../../replica/rules/shards.ts';
import { SpillStore } from '../../replica/store/spill-store.ts';
import { startPostgres } from '../support/postgres.ts';
import { fastCommand, type FastSubject, streamFunction } from './replica-fast.ts';
import { changeText, laneName, LanePacker, type Packed, rowOf, TABLE } from './replica-records.ts';

const ROWS = Number(process.argv[2] ?? 200_000);

/** Gives a consistent replica records as a stream would. */
class Feed {
  readonly #packer = new LanePacker(400);
  readonly #intake: Intake;
  readonly #store: SpillStore;
  #sequence = 0;
  constructor(intake: Intake, store: SpillStore) {
    this.#intake = intake;
    this.#store = store;
  }
  add(id: number, text: string): void {
    for (const packed of this.#packer.add(id, text)) this.#put(packed);
  }
  mark(lsn: string): void {
    for (const packed of this.#packer.mark(lsn)) this.#put(packed);
  }
  #put({ lane, texts }: Packed): void {
    const sequence = String(++this.#sequence);
    this.#intake.take({ shard: 's', sequence, arrivedMs: 0, partitionKey: laneName(lane), texts });
    this.#store.spill(this.#intake.lanes);
  }
}

const server = await startPostgres({ settings: { shared_buffers: '256MB', max_wal_size: '4GB' } });
try {
  await server.sql(TABLE);
  const connection = await connectTarget({ ...server.connection, sslMode: 'disable', sslRootCert: undefined });
  const positions = new PositionStore(connection.client, 'bench');
  const saved = await positions.begin({ arn: 'none', createdMs: 1 }, { takeOver: false, awaitsSnapshot: false });
  const intake = new Intake(saved, new Shards());
  const store = new SpillStore();
  const target = new PostgresTarget(connection, positions, { allowTriggers: false, skipMissing: false });
  const applier = new Applier({ intake, target, store, turn: setImmediate });
  const feed = new Feed(intake, store);
  let lsn = 16;
  const seconds = async (work: () => Promise<unknown>): Promise<number> => {
    const start = performance.now();
    await work();
    return (performance.now() - start) / 1000;
  };
  const apply = async (): Promise<void> => {
    while ((await applier.step()) !== undefined);
  };
  /** Transactions of 10 changes, and marks now and then, as a drain puts them. @returns seconds: of reading, and of applying */
  const changes = async (op: string, round: number): Promise<[number, number]> => {
    let [reading, applying] = [0, 0];
    for (let from = 0; from < ROWS; from += 20_000) {
      const records = Array.from({ length: 20_000 }, (_, i) => {
        const at = `0/${(lsn + Math.floor(i / 10)).toString(16).toUpperCase()}`;
        return changeText(op, rowOf(from + i, round), at, (i % 10) + 1);
      });
      lsn += 2_000;
      reading += await seconds(() => {
        for (const [i, text] of records.entries()) feed.add(from + i, text);
        feed.mark(`0/${(lsn - 1).toString(16).toUpperCase()}`);
        return Promise.resolve();
      });
      applying += await seconds(apply);
    }
    return [reading, applying];
  };
  /** The same, applied as they come. @returns seconds, of reading and applying */
  const changesFast = async (subject: FastSubject, op: string, round: number): Promise<number> => {
    let applying = 0;
    for (let from = 0; from < ROWS; from += 20_000) {
      const packer = new LanePacker(400);
      const packed: Packed[] = [];
      for (let i = 0; i < Math.min(20_000, ROWS - from); i++) {
        const at = `0/${(lsn + Math.floor(i / 10)).toString(16).toUpperCase()}`;
        packed.push(...packer.add(from + i, changeText(op, rowOf(from + i, round), at, (i % 10) + 1)));
      }
      lsn += 2_000;
      packed.push(...packer.mark(`0/${(lsn - 1).toString(16).toUpperCase()}`));
      applying += await seconds(() => subject.apply(packed));
    }
    return applying;
  };
  const line = (id: number): string => {
    const { name, balance, note } = rowOf(id, 0);
    return `${id}\t${name}\t${balance}\t2026-01-02T03:04:05.678901Z\tt\t{"a": 1}\t${id % 7}\t${note}`;
  };
  const lines = Array.from({ length: ROWS }, (_, id) => line(id));
  const fast = { 'replicate --fast': await fastCommand(server), StreamReplica: streamFunction(server) };
  const figures: Record<string, number[]> = { copy: [], reading: [], 'new rows': [], updates: [] };
  for (const name of Object.keys(fast)) for (const what of ['new rows', 'updates']) figures[`${name}, ${what}`] = [];
  for (let round = 0; round < 3; round++) {
    await server.sql('TRUNCATE public.rows');
    const client = connection.client;
    figures['copy']?.push(await seconds(() => copyRows(client, 'public.rows', lines)));
    await server.sql('TRUNCATE public.rows');
    const [reading, inserts] = await changes('INSERT', 0);
    figures['reading']?.push(reading);
    figures['new rows']?.push(inserts);
    figures['updates']?.push((await changes('UPDATE', round + 1))[1]);
    for (const [name, subject] of Object.entries(fast)) {
      await server.sql('TRUNCATE public.rows');
      figures[`${name}, new rows`]?.push(await changesFast(subject, 'INSERT', 0));
      figures[`${name}, updates`]?.push(await changesFast(subject, 'UPDATE', round + 1));
      const [row] = await server.sql<{ n: number }>('SELECT count(*)::int AS n FROM public.rows');
      if (row?.n !== ROWS) throw new Error(`${name} has applied ${row?.n ?? 0} rows.`);
    }
  }
  const few = ROWS / 20;
  await server.sql('TRUNCATE public.rows');
  const single = await seconds(async () => {
    for (let id = 0; id < few; id++) {
      const { name, balance, note } = rowOf(id, 0);
      await connection.client.query({
        name: 'one',
        text: `INSERT INTO public.rows VALUES ($1, $2, $3, '2026-01-02T03:04:05.678901Z', true, '{"a": 1}', $4, $5) ON CONFLICT (id) DO UPDATE SET name = excluded.name`,
        values: [id, name, balance, id % 7, note],
      });
    }
  });
  const best = (name: string): number => Math.min(...(figures[name] ?? []));
  const copy = best('copy');
  for (const name of Object.keys(figures))
    console.log(
      `${name.padEnd(28)} ${best(name).toFixed(2)} s  ${(best(name) / copy).toFixed(1)} of COPY  ${Math.round(ROWS / best(name))} a second`,
    );
  console.log(
    `${'a statement a row'.padEnd(28)} ${(single * 20).toFixed(2)} s  ${((single * 20) / copy).toFixed(1)} of COPY (of ${few} rows)`,
  );
  await connection.client.end();
  await Promise.all(Object.values(fast).map((each) => each.close()));
} finally {
  await server.stop();
}
