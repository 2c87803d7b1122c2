/**
 * A slot read the plain way, for the round trips: lines taken as they are, decoded, and laid beside what SELECT says.
 * Knows nothing of how the product reads its slot.
 */
import assert from 'node:assert/strict';
import type pg from 'pg';
import type { Tuple } from '../../../../lambda/decode/messages.ts';
import { TestDecodingDecoder } from '../../../../lambda/decode/test-decoding/decoder.ts';
import { valueText } from '../../../../lambda/decode/test-decoding/text.ts';
import type { PostgresServer } from '../../../support/postgres.ts';

/** Stands for a value that was not sent because it did not change. */
export const UNCHANGED = '<unchanged>';

/** A row: each column's printed name and type, such as `"a b" text`, and its value. */
export type Fields = Readonly<Record<string, string | null>>;

/** A line, decoded, without what changes from run to run. */
export type Told =
  | { readonly kind: 'begin' | 'commit' | 'ignored' }
  | {
      readonly kind: 'message';
      readonly transactional: boolean;
      readonly prefix?: string | undefined;
      readonly content: string;
    }
  | { readonly kind: 'truncate'; readonly tables: readonly string[] }
  | {
      readonly kind: 'change';
      readonly operation: string;
      readonly table: string;
      readonly old: Fields | undefined;
      readonly new: Fields | undefined;
    };

/** The session's settings that value text and type names follow. */
const PINNED = `
  SET search_path = pg_catalog; SET quote_all_identifiers = off; SET TimeZone = 'UTC'; SET DateStyle = 'ISO';
  SET IntervalStyle = 'postgres'; SET bytea_output = 'hex'; SET extra_float_digits = 3; SET lc_monetary = 'C'; SET client_encoding = 'UTF8'`;

/** Values as the server sends them. */
const RAW = { getTypeParser: () => (value: string) => value };

function fields(tuple: Tuple | undefined, bytes: Buffer): Fields | undefined {
  if (tuple === undefined) return undefined;
  const read: Record<string, string | null> = {};
  for (let i = 0; i < tuple.count; i++) {
    const header = tuple.headers[i];
    assert.ok(header);
    const text = valueText(tuple, i, bytes);
    read[`${header.printed} ${header.type}`] = text === undefined ? UNCHANGED : text;
  }
  assert.equal(Object.keys(read).length, tuple.count, 'a column came twice');
  return read;
}

/** One slot, and the session that reads it. */
export class SlotReader {
  readonly #client: pg.Client;
  readonly #slot: string;
  readonly #decoder = new TestDecodingDecoder();

  private constructor(client: pg.Client, slot: string) {
    this.#client = client;
    this.#slot = slot;
  }

  /** Makes a slot. @param twoPhase - whether it is to print PREPARE lines (14 and later) */
  static async create(server: PostgresServer, slot: string, twoPhase = false): Promise<SlotReader> {
    const client = await server.client();
    await client.query(
      `SELECT pg_create_logical_replication_slot($1, 'test_decoding'${twoPhase ? ', false, true' : ''})`,
      [slot],
    );
    await client.query(PINNED);
    return new SlotReader(client, slot);
  }

  /** @returns the lines since the last call, as they are */
  async lines(): Promise<Buffer[]> {
    const { rows } = await this.#client.query<{ data: Buffer }>(
      `SELECT data FROM pg_logical_slot_get_binary_changes($1, NULL, NULL, 'include-xids', '1', 'include-timestamp', '1', 'skip-empty-xacts', '1')`,
      [this.#slot],
    );
    return rows.map(({ data }) => data);
  }

  /** @returns the lines since the last call, decoded; a transaction's id and time are checked on the way */
  async read(): Promise<Told[]> {
    const started = BigInt(Date.now() - 3_600_000) * 1000n;
    const open: (number | undefined)[] = [];
    return (await this.lines()).map((bytes): Told => {
      const line = this.#decoder.decode(bytes, 0, bytes.length);
      switch (line.kind) {
        case 'begin':
          assert.ok(line.xid !== undefined && line.xid > 0);
          open.push(line.xid);
          return { kind: 'begin' };
        case 'commit':
          assert.equal(line.xid, open.pop());
          assert.ok(
            line.commitTimeMicros !== undefined &&
              line.commitTimeMicros > started &&
              line.commitTimeMicros < started + 7_200_000_000n,
          );
          return { kind: 'commit' };
        case 'ignored':
          return line;
        case 'message':
          return {
            kind: 'message',
            transactional: line.transactional,
            prefix: line.prefix,
            content: line.bytes.subarray(line.start, line.end).toString('latin1'),
          };
        case 'truncate':
          return { kind: 'truncate', tables: line.tables.map(({ printed }) => printed) };
        case 'change':
          return {
            kind: 'change',
            operation: line.operation,
            table: line.table.printed,
            old: fields(line.oldTuple, bytes),
            new: fields(line.newTuple, bytes),
          };
      }
    });
  }

  /** @returns the lines since the last call, decoded, without BEGIN and COMMIT */
  async changes(): Promise<Told[]> {
    return (await this.read()).filter(({ kind }) => kind !== 'begin' && kind !== 'commit');
  }

  /** @returns what the server says a table's rows are, as {@link Fields}; names and types from its catalogs */
  async select(table: string, tail = 'ORDER BY 1'): Promise<Fields[]> {
    const columns = await this.#client.query<{ printed: string; type: string }>(
      `SELECT quote_ident(attname) AS printed, format_type(atttypid, NULL) AS type FROM pg_attribute
        WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum`,
      [table],
    );
    const list = columns.rows.map(({ printed }) => printed).join(', ');
    const { rows } = await this.#client.query<(string | null)[]>({
      text: `SELECT ${list} FROM ${table} ${tail}`,
      rowMode: 'array',
      types: RAW,
    });
    return rows.map((row) =>
      Object.fromEntries(
        columns.rows.map(({ printed, type }, i) => {
          const value = row[i] ?? null;
          return [
            `${printed} ${type}`,
            type === 'boolean' && value !== null ? (value === 't' ? 'true' : 'false') : value,
          ];
        }),
      ),
    );
  }
}
