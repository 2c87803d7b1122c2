/**
 * Writers that survive a crash of the server, and the book of what they committed. Each writes keys that nobody else
 * writes, one transaction after the other, so the order of the commits of a key is known without asking the code that
 * is tested. Whether a transaction was committed whose COMMIT was not answered is seen by the receipt that it wrote: its
 * number would not tell, because a crashed server gives a number again whose transaction left nothing in flushed WAL.
 */
import { setTimeout as wait } from 'node:timers/promises';
import type pg from 'pg';
import { ROW_MARKER } from './container.ts';

/** A number in [0, 1). */
export type Random = () => number;

/** @returns the same numbers for the same seed */
export function seeded(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    // mulberry32
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** The tables that writers write. */
export const TABLES = `
  CREATE TABLE items (id bigint PRIMARY KEY, v bigint, note text);
  CREATE TABLE "Pairs" (owner int, name text, v bigint, note text, PRIMARY KEY (name, owner));
  CREATE TABLE loose (v bigint, note text);
  CREATE TABLE receipts (receipt text)`;

/** A record that must arrive: what it says of its row. */
export interface Expected {
  readonly row: string;
  readonly says: string;
}

/** What was committed, by row, in commit order. */
export class Book {
  readonly rows = new Map<string, string[]>();
  /** Each writer's transactions, in commit order. */
  readonly transactions = new Map<string, number[]>();
  /** Changes of the table without a primary key. */
  keyless = 0;

  /** @param expected - a transaction's records, in order */
  commit(writer: string, xid: number, expected: readonly Expected[], keyless: number): void {
    for (const { row, says } of expected) {
      const list = this.rows.get(row) ?? [];
      list.push(`${xid} ${says}`);
      this.rows.set(row, list);
    }
    if (expected.length > 0) this.transactions.set(writer, [...(this.transactions.get(writer) ?? []), xid]);
    this.keyless += keyless;
  }
}

type Key = { readonly id: number } | { readonly name: string; readonly owner: number };
interface Draft {
  readonly expected: Expected[];
  /** Rows as they are at the transaction's end: true: there. */
  readonly rows: Map<string, Key | undefined>;
  keyless: number;
}

/** One writer: a connection, and the rows that are its own. */
export class Writer {
  readonly #options: {
    readonly owner: number;
    readonly random: Random;
    readonly book: Book;
    readonly connect: () => Promise<pg.Client>;
    /** Whether logical messages are written, too. @default false */
    readonly messages?: boolean;
  };
  #client: pg.Client | undefined;
  #rows = new Map<string, Key>();
  #serial = 0;
  #version = 0;
  #transactions = 0;

  constructor(options: {
    readonly owner: number;
    readonly random: Random;
    readonly book: Book;
    readonly connect: () => Promise<pg.Client>;
    readonly messages?: boolean;
  }) {
    this.#options = options;
  }

  /** Writes transaction after transaction until told to stop, across crashes of the server. */
  async write(signal: AbortSignal, pauseMs: number): Promise<void> {
    while (!signal.aborted) {
      await this.#transaction();
      await wait(pauseMs * this.#options.random() * 2);
    }
    await this.#client?.end().catch(() => undefined);
  }

  async #transaction(): Promise<void> {
    const { random, book, owner } = this.#options;
    const draft: Draft = { expected: [], rows: new Map(this.#rows), keyless: 0 };
    const receipt = `${owner}-${++this.#transactions}`;
    let xid: string | undefined;
    let committed: boolean;
    try {
      const client = (this.#client ??= await this.#options.connect());
      await client.query('BEGIN');
      const { rows } = await client.query<{ xid: string }>('SELECT txid_current()::text AS xid');
      xid = rows[0]?.xid;
      // Before the first row: up to 16 test_decoding has a way of its own with these.
      if (random() < 0.2) await this.#message(client, draft);
      await client.query('INSERT INTO receipts VALUES ($1)', [receipt]);
      draft.keyless++;
      if (random() < 0.02) await this.#many(client, 200 + Math.floor(random() * 1_000), draft);
      const changes = 1 + Math.floor(random() ** 3 * 10);
      for (let i = 0; i < changes; i++) await this.#change(client, draft);
      const rolledBack = random() < 0.05;
      await client.query(rolledBack ? 'ROLLBACK' : 'COMMIT');
      committed = !rolledBack;
    } catch (error) {
      if (error instanceof WriterError) throw error;
      await this.#client?.end().catch(() => undefined);
      this.#client = undefined;
      committed = await this.#wasCommitted(receipt);
    }
    if (!committed || xid === undefined) return;
    this.#rows = new Map([...draft.rows].filter((entry): entry is [string, Key] => entry[1] !== undefined));
    // txid_current() has an epoch above the 32 bits that a transaction is known by.
    book.commit(String(owner), Number(BigInt(xid) & 0xffffffffn), draft.expected, draft.keyless);
  }

  /** Looks for it as often as it takes to be answered. */
  async #wasCommitted(receipt: string): Promise<boolean> {
    for (;;) {
      try {
        this.#client ??= await this.#options.connect();
        return (await this.#client.query('SELECT 1 FROM receipts WHERE receipt = $1', [receipt])).rowCount === 1;
      } catch {
        await this.#client?.end().catch(() => undefined);
        this.#client = undefined;
      }
      await wait(50);
    }
  }

  async #change(client: pg.Client, draft: Draft): Promise<void> {
    const { random } = this.#options;
    if (random() < 0.1) await this.#message(client, draft);
    const dice = random();
    if (dice < 0.05) {
      await client.query('INSERT INTO loose VALUES ($1, $2)', [++this.#version, this.#note()]);
      draft.keyless++;
      return;
    }
    const there = [...draft.rows.values()].filter((each) => each !== undefined);
    const key = there[Math.floor(random() * there.length)];
    if (key === undefined || dice < 0.35) return await this.#insert(client, draft);
    const v = ++this.#version;
    const [table, where, values] = located(key);
    if (dice < 0.75) {
      await one(client, `UPDATE ${table} SET v = $1, note = $2 WHERE ${where(3)}`, [v, this.#note(), ...values]);
      draft.expected.push({ row: rowText(key), says: `UPDATE ${v}` });
    } else if (dice < 0.88) {
      await one(client, `DELETE FROM ${table} WHERE ${where(1)}`, values);
      draft.expected.push({ row: rowText(key), says: 'DELETE' });
      draft.rows.set(rowText(key), undefined);
    } else {
      const moved = this.#fresh('id' in key);
      if (draft.rows.get(rowText(moved)) !== undefined) return;
      const set = 'id' in moved ? 'id = $1' : 'name = $1';
      await one(client, `UPDATE ${table} SET ${set}, v = $2 WHERE ${where(3)}`, [
        'id' in moved ? moved.id : moved.name,
        v,
        ...values,
      ]);
      draft.expected.push({ row: rowText(key), says: 'DELETE' }, { row: rowText(moved), says: `INSERT ${v}` });
      draft.rows.set(rowText(key), undefined);
      draft.rows.set(rowText(moved), moved);
    }
  }

  async #insert(client: pg.Client, draft: Draft): Promise<void> {
    const key = this.#fresh(this.#options.random() < 0.5);
    if (draft.rows.get(rowText(key)) !== undefined) return;
    const v = ++this.#version;
    const [table, , values] = located(key);
    const columns = 'id' in key ? 'id' : 'name, owner';
    await client.query(
      `INSERT INTO ${table} (v, note, ${columns}) VALUES (${['$1', '$2', ...values.map((_, i) => `$${i + 3}`)].join()})`,
      [v, this.#note(), ...values],
    );
    draft.expected.push({ row: rowText(key), says: `INSERT ${v}` });
    draft.rows.set(rowText(key), key);
  }

  /** A logical message, in the writer's own order as a row is. One of another prefix is not wanted. */
  async #message(client: pg.Client, draft: Draft): Promise<void> {
    const { messages = false, owner } = this.#options;
    if (!messages) return;
    const prefix = `chaos/${owner}`;
    const v = ++this.#version;
    await client.query(`SELECT pg_logical_emit_message(true, $1, $2), pg_logical_emit_message(true, 'other', $2)`, [
      prefix,
      String(v),
    ]);
    draft.expected.push({ row: `message.${prefix} null`, says: `MESSAGE ${v}` });
  }

  /** A larger transaction, of rows that are not touched again. */
  async #many(client: pg.Client, count: number, draft: Draft): Promise<void> {
    const first = this.#serial;
    this.#serial += count;
    const { owner } = this.#options;
    await client.query(
      `INSERT INTO items SELECT (s * 10 + $3)::bigint, s, $4 FROM generate_series($1::int, $2::int) s`,
      [first + 1, first + count, owner, this.#note()],
    );
    for (let s = first + 1; s <= first + count; s++)
      draft.expected.push({ row: rowText({ id: s * 10 + owner }), says: `INSERT ${s}` });
  }

  /** A key of its own: a number never used before, or a name out of few, which come again and again. */
  #fresh(number: boolean): Key {
    const { owner, random } = this.#options;
    return number
      ? { id: ++this.#serial * 10 + owner }
      : { name: `${ROW_MARKER} it's "${Math.floor(random() * 30)}"`, owner };
  }

  #note(): string {
    return ROW_MARKER.repeat(1 + Math.floor(this.#options.random() ** 2 * 20));
  }
}

/** The book and the database differ: the test is wrong. */
class WriterError extends Error {}

async function one(client: pg.Client, text: string, values: unknown[]): Promise<void> {
  const { rowCount } = await client.query(text, values);
  if (rowCount !== 1)
    throw new WriterError(
      `a writer changed ${rowCount ?? 'no'} rows where it meant one: ${text} ${JSON.stringify(values)}`,
    );
}

function located(key: Key): [table: string, where: (first: number) => string, values: unknown[]] {
  return 'id' in key
    ? ['items', (n) => `id = $${n}`, [key.id]]
    : ['"Pairs"', (n) => `name = $${n} AND owner = $${n + 1}`, [key.name, key.owner]];
}

function rowText(key: Key): string {
  return `public.${'id' in key ? 'items' : 'Pairs'} ${JSON.stringify(key)}`;
}
