/**
 * What a consumer makes of a stream in FORMAT=json alone: the rows of each table, by docs/records.md. For tests of snapshots;
 * knows nothing of the code that wrote the records.
 */

/** A record as a consumer looks at it. */
export interface ConsumedRecord {
  readonly id: string;
  readonly op: string;
  readonly schema: string;
  readonly table: string;
  readonly key: object | null;
  readonly newKey?: object;
  readonly oldKey?: object;
  readonly row?: Readonly<Record<string, unknown>>;
  readonly unchanged?: readonly string[];
}

/** Rows by their key as JSON, by table. */
export type Rows = Map<string, Map<string, Readonly<Record<string, unknown>>>>;

/**
 * Applies records in their order, each once.
 *
 * @param published - their texts
 * @returns the rows; a value that the consumer never got is `missing`
 */
export function consume(published: readonly string[]): Rows {
  const tables: Rows = new Map();
  const moved = new Map<string, Readonly<Record<string, unknown>> | undefined>();
  const seen = new Set<string>();
  for (const text of published) {
    const record = JSON.parse(text) as ConsumedRecord;
    if (seen.has(record.id)) continue;
    seen.add(record.id);
    const table = `${record.schema}.${record.table}`;
    const rows = tables.get(table) ?? new Map<string, Readonly<Record<string, unknown>>>();
    tables.set(table, rows);
    const key = JSON.stringify(record.key);
    if (record.op === 'TRUNCATE') rows.clear();
    else if (record.op === 'DELETE') {
      if (record.newKey !== undefined) moved.set(`${table} ${JSON.stringify(record.newKey)}`, rows.get(key));
      rows.delete(key);
    } else {
      const old = (record.oldKey === undefined ? undefined : moved.get(`${table} ${key}`)) ?? rows.get(key);
      const kept = (record.unchanged ?? []).map((name) => [name, old?.[name] ?? 'missing'] as const);
      rows.set(key, { ...record.row, ...Object.fromEntries(kept) });
    }
  }
  return tables;
}
