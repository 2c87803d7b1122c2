/**
 * What decoding one change costs: `node test/bench/decode.bench.ts`. Prints; asserts nothing.
 * The cases are run in turn, several times over, and each one's best is shown: the machine's other work only ever adds.
 */
import { TestDecodingPlugin } from 'pg-logical-replication';
import { TestDecodingDecoder } from '../../lambda/decode/test-decoding/decoder.ts';

const ROWS = 2_000;
const PASSES = 60;
const ROUNDS = 7;

/** A row of about 250 bytes and nine columns, as an application's table has them. */
function row(table: string, id: number): string {
  return (
    `table ${table}: INSERT: id[bigint]:${String(id)} customer_id[integer]:${String(id % 977)} status[text]:'confirmed' ` +
    `amount[numeric]:${String(id % 500)}.50 paid[boolean]:true created_at[timestamp with time zone]:'2026-01-02 03:04:05.678901+00' ` +
    `note[text]:null email[character varying]:'customer${String(id)}@example.com' tags[text[]]:'{a,b}'`
  );
}

const LONG = 'Lorem ipsum dolor sit amet, consectetur adipiscing elit. ';

/** Each case's name, and its line for a row. */
const CASES: Readonly<Record<string, (id: number) => string>> = {
  'insert, one table': (id) => row('public.orders', id),
  'insert, two tables in turn': (id) => row(id % 2 === 0 ? 'public.orders' : 'public.orders_archive', id),
  'insert, 40 tables in turn': (id) => row(`public.orders_${String(id % 40)}`, id),
  'insert, 40 tables at random': (id) => row(`public.orders_${String((id * 7919 * (id % 13)) % 40)}`, id),
  'update with old-key': (id) =>
    row('public.orders', id).replace('INSERT:', `UPDATE: old-key: id[bigint]:${String(id)} new-tuple:`),
  delete: (id) => `table public.orders: DELETE: id[bigint]:${String(id)}`,
  'full identity, NULLs left out': (id) =>
    row('public.orders', id)
      .replace('INSERT:', `DELETE:`)
      .replace(' note[text]:null', id % 3 === 0 ? '' : " note[text]:'x'"),
  'text of 40 bytes': (id) => `table public.notes: INSERT: id[bigint]:${String(id)} body[text]:'${LONG.slice(0, 40)}'`,
  'text of 200 bytes': (id) =>
    `table public.notes: INSERT: id[bigint]:${String(id)} body[text]:'${LONG.repeat(4).slice(0, 200)}'`,
  'text of 4,000 bytes': (id) =>
    `table public.notes: INSERT: id[bigint]:${String(id)} body[text]:'${LONG.repeat(80).slice(0, 4000)}'`,
  'apostrophe every 20 bytes': (id) =>
    `table public.notes: INSERT: id[bigint]:${String(id)} body[text]:'${"isn''t it quite long".repeat(10)}'`,
  'BEGIN and COMMIT': (id) =>
    id % 2 === 0 ? `BEGIN ${String(id)}` : `COMMIT ${String(id)} (at 2026-01-02 03:04:05.678901+00)`,
};

interface Block {
  readonly name: string;
  readonly bytes: Buffer;
  readonly ends: readonly number[];
  best: number;
}

const blocks = Object.entries(CASES).map(([name, line]): Block => {
  const lines = Array.from({ length: ROWS }, (_, id) => Buffer.from(line(id)));
  let end = 0;
  return { name, bytes: Buffer.concat(lines), ends: lines.map((bytes) => (end += bytes.length)), best: Infinity };
});

let consumed = 0;
const decoder = new TestDecodingDecoder();
/** The same lines by a package from npm, from the same bytes; it makes objects and strings of all values. */
const peer = new TestDecodingPlugin({});
const peerBest = new Map<string, number>();
function measurePeer({ name, bytes, ends }: Block): void {
  try {
    peer.parse(bytes.subarray(0, ends[0]));
  } catch {
    // It does not know arrays.
    return;
  }
  const began = process.hrtime.bigint();
  let start = 0;
  for (const end of ends) {
    consumed += Object.keys(peer.parse(bytes.subarray(start, end)) as object).length;
    start = end;
  }
  const ns = Number(process.hrtime.bigint() - began) / ROWS;
  peerBest.set(name, Math.min(ns, peerBest.get(name) ?? Infinity));
}
for (let round = 0; round < ROUNDS; round++) {
  for (const block of blocks) {
    const began = process.hrtime.bigint();
    for (let pass = 0; pass < PASSES; pass++) {
      let start = 0;
      for (const end of block.ends) {
        const line = decoder.decode(block.bytes, start, end);
        if (line.kind === 'change') consumed += (line.newTuple ?? line.oldTuple)?.count ?? 0;
        start = end;
      }
    }
    const ns = Number(process.hrtime.bigint() - began) / (ROWS * PASSES);
    if (ns < block.best) block.best = ns;
    measurePeer(block);
  }
}
for (const { name, bytes, best } of blocks) {
  console.log(
    `${name.padEnd(32)} ${String(Math.round(bytes.length / ROWS)).padStart(5)} bytes ${best.toFixed(0).padStart(6)} ns, pg-logical-replication ${peerBest.get(name)?.toFixed(0).padStart(6) ?? 'fails at'} ns`,
  );
}
console.log(`(${String(consumed)} columns)`);
