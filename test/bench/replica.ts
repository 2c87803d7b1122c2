/**
 * How fast a replica writes, against COPY of the same rows and against a statement a row, into one server in one run.
 * `npm run bench:replica`. Reading the stream is not part of it: records are made here. COPY is 1.
 */
import { createHash } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import { laneOf, lanes as lanesOf } from '../../lambda/pack/lanes.ts';
import { connectTarget } from '../../replica/postgres/connection.ts';
import { copyRows } from '../../replica/postgres/copy.ts';
import { PositionStore } from '../../replica/postgres/position-store.ts';
import { PostgresTarget } from '../../replica/postgres/target.ts';
import { Applier } from '../../replica/rules/applier.ts';
import { Intake } from '../../replica/rules/intake.ts';
import { Shards } from '../../replica/rules/shards.ts';
import { SpillStore } from '../../replica/store/spill-store.ts';
import { startPostgres } from '../support/postgres.ts';

const LANES = 64;
const ROWS = 200_000;
const TABLE = `CREATE TABLE public.rows (id integer PRIMARY KEY, name text, balance numeric, at timestamptz, flag boolean, doc jsonb, part integer, note text)`;

interface Row {
  readonly id: number;
  readonly name: string;
  readonly balance: string;
  readonly note: string;
}

const rowOf = (id: number, round: number): Row => ({
  id,
  name: `name ${id}`,
  balance: `${id + round}.50`,
  note: createHash('md5').update(`${id} ${round}`).digest('hex').repeat(3),
});

function record(op: string, row: Row, lsn: string, ordinal: number): string {
  const { id, name, balance, note } = row;
  return `{"id":"${lsn}@1#${ordinal}","source":"bench","op":"${op}","schema":"public","table":"rows","key":{"id":${id}},"row":{"id":${id},"name":"${name}","balance":"${balance}","at":"2026-01-02T03:04:05.678901Z","flag":true,"doc":{"a": 1},"part":${id % 7},"note":"${note}"},"xid":7,"commitLsn":"${lsn}","ordinal":${ordinal},"commitTime":"2026-01-02T03:04:05.678901Z"}`;
}

/** Feeds records as a stream would: by lanes, some hundred in a Kinesis record. */
class Feed {
  readonly #names = lanesOf(LANES).map(({ name }) => name);
  readonly #open = new Map<number, string[]>();
  readonly #intake: Intake;
  readonly #store: SpillStore;
  #sequence = 0;
  constructor(intake: Intake, store: SpillStore) {
    this.#intake = intake;
    this.#store = store;
  }
  add(id: number, text: string): void {
    const lane = laneOf(Buffer.from(`public.rows:${id}`), LANES);
    const texts = this.#open.get(lane) ?? [];
    texts.push(text);
    this.#open.set(lane, texts);
    if (texts.length >= 400) this.#put(lane, texts);
  }
  mark(lsn: string): void {
    for (let lane = 0; lane < LANES; lane++) {
      const texts = this.#open.get(lane) ?? [];
      texts.push(
        `{"op":"MARK","source":"bench","commitLsn":"${lsn}","commitTime":"2026-01-02T03:04:05Z","lane":${lane},"lanes":${LANES},"system":"1","timeline":1}`,
      );
      this.#put(lane, texts);
    }
  }
  #put(lane: number, texts: string[]): void {
    const sequence = String(++this.#sequence);
    this.#intake.take({ shard: 's', sequence, arrivedMs: 0, partitionKey: this.#names[lane] ?? '', texts });
    this.#store.spill(this.#intake.lanes);
    this.#open.delete(lane);
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
        return record(op, rowOf(from + i, round), at, (i % 10) + 1);
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
  const line = (id: number): string => {
    const { name, balance, note } = rowOf(id, 0);
    return `${id}\t${name}\t${balance}\t2026-01-02T03:04:05.678901Z\tt\t{"a": 1}\t${id % 7}\t${note}`;
  };
  const lines = Array.from({ length: ROWS }, (_, id) => line(id));
  const figures: Record<string, number[]> = { copy: [], 'new rows': [], updates: [], reading: [] };
  for (let round = 0; round < 3; round++) {
    await server.sql('TRUNCATE public.rows');
    const client = connection.client;
    figures['copy']?.push(await seconds(() => copyRows(client, 'public.rows', lines)));
    await server.sql('TRUNCATE public.rows');
    const [reading, inserts] = await changes('INSERT', 0);
    figures['reading']?.push(reading);
    figures['new rows']?.push(inserts);
    figures['updates']?.push((await changes('UPDATE', round + 1))[1]);
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
  for (const name of ['copy', 'reading', 'new rows', 'updates'])
    console.log(
      `${name.padEnd(20)} ${best(name).toFixed(2)} s  ${(best(name) / copy).toFixed(1)} of COPY  ${Math.round(ROWS / best(name))} a second`,
    );
  console.log(
    `${'a statement a row'.padEnd(20)} ${(single * 20).toFixed(2)} s  ${((single * 20) / copy).toFixed(1)} of COPY (of ${few} rows)`,
  );
  await connection.client.end();
} finally {
  await server.stop();
}
