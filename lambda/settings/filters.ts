/**
 * Which tables and columns are excluded: comma-separated regular expressions on unquoted names.
 * Pure. Knows no environment and no catalog. The caller keeps the answer for each table, so that no expression runs for each row.
 */

/** What the three lists of patterns say. Each expression is anchored at both ends. */
export interface Filters {
  /** `schema.table`; empty: all tables. */
  readonly tableInclude: readonly RegExp[];
  /** `schema.table`; wins over the first list. */
  readonly tableExclude: readonly RegExp[];
  /** `schema.table.column`. */
  readonly columnExclude: readonly RegExp[];
}

/**
 * Tables that pg_repack and pg_squeeze work with. They hold copies of other tables' rows, with the columns that are
 * excluded there, and are always left out. So are those in which a copy keeps its position, where the source is one itself.
 */
const TOOLS: readonly RegExp[] = [
  /^repack\.(log|table)_\d+$/,
  /^squeeze\.(errors|log|tables|tables_internal|tasks)$/,
  /^pg2kinesis\.replica(_(shard|lane|note|truncate|parked|waiting))?$/,
];

/** Nothing is left out but {@link TOOLS}. */
export const NO_FILTERS: Filters = { tableInclude: [], tableExclude: [], columnExclude: [] };

/**
 * Tells whether a table's changes are wanted.
 *
 * @param filters - the include and exclude lists
 * @param names - `schema.table`, unquoted, and for a partition those of the tables above it: any of them may match
 */
export function selectsTable(filters: Filters, names: readonly string[]): boolean {
  return !excludesTable(filters, names) && includesTable(filters, names);
}

/**
 * Tells whether TABLE_EXCLUDE_LIST takes a table out, or it is one of a tool's; this wins over the other list.
 *
 * @param filters - the include and exclude lists
 * @param names - as for {@link selectsTable}
 */
export function excludesTable(filters: Filters, names: readonly string[]): boolean {
  return matchesAny(filters.tableExclude, names) || matchesAny(TOOLS, names);
}

/**
 * Tells whether a table is one that pg_repack or pg_squeeze works with, or that holds a copy's position: it is left out whatever the lists say.
 *
 * @param name - `schema.table`, unquoted
 */
export function isToolTable(name: string): boolean {
  return matchesAny(TOOLS, [name]);
}

/**
 * Tells whether TABLE_INCLUDE_LIST lets a table in.
 *
 * @param filters - the include and exclude lists
 * @param names - as for {@link selectsTable}
 */
export function includesTable(filters: Filters, names: readonly string[]): boolean {
  return filters.tableInclude.length === 0 || matchesAny(filters.tableInclude, names);
}

/**
 * Tells whether a column is to be left out of a row.
 *
 * @param filters - the include and exclude lists
 * @param names - as for {@link selectsTable}
 * @param column - the column, unquoted
 */
export function omitsColumn(filters: Filters, names: readonly string[], column: string): boolean {
  if (filters.columnExclude.length === 0) return false;
  return matchesAny(
    filters.columnExclude,
    names.map((name) => `${name}.${column}`),
  );
}

/** Whether an expression matches one of the names. */
function matchesAny(patterns: readonly RegExp[], names: readonly string[]): boolean {
  return patterns.some((pattern) => names.some((name) => pattern.test(name)));
}

/**
 * Compiles a comma-separated list. A comma inside braces, brackets or parentheses, or after a backslash, belongs to
 * its expression, so that `t_\d{1,3}` is one. Spaces around an expression are dropped.
 *
 * Nothing bounds the time that an expression takes: one such as `(a+)+` on a long name is for its author to avoid.
 * It runs once for each table, not for each row.
 *
 * @param list - for example `public\..*,audit\.log_\d{4}`
 * @returns the expressions, anchored at both ends, case-sensitive, `.` matching any character
 * @throws {SyntaxError} whose message tells which expression is none, by its place, and shows none of it
 */
export function compilePatterns(list: string): readonly RegExp[] {
  return splitPatterns(list).map((source, index, { length }) => {
    const fault = faultOf(source);
    if (fault === undefined) return new RegExp(`^(?:${source})$`, 'us');
    throw new SyntaxError(`expression ${index + 1} of ${length} is no regular expression (${fault})`);
  });
}

/** Why a text is no regular expression, without the text: the engine quotes it before the last colon, and it may be anything. */
function faultOf(source: string): string | undefined {
  try {
    // By itself: "a)(b" would be a valid expression between the parentheses of the anchors.
    new RegExp(source, 'us');
    return undefined;
  } catch (error) {
    return /: ([^:]*)$/.exec(error instanceof Error ? error.message : '')?.[1] ?? 'invalid';
  }
}

/** Cuts a list at its top-level commas. */
function splitPatterns(list: string): string[] {
  const parts: string[] = [];
  let part = '';
  let depth = 0;
  let inClass = false;
  for (let i = 0; i < list.length; i++) {
    const c = list.charAt(i);
    if (c === '\\') {
      const next = list.charAt(++i);
      // "\," is a comma here; as an expression's escape it would be an error.
      part += next === ',' ? ',' : c + next;
    } else if (c === ',' && depth === 0 && !inClass) {
      parts.push(part);
      part = '';
    } else {
      part += c;
      if (inClass) inClass = c !== ']';
      else if (c === '[') inClass = true;
      else if (c === '(' || c === '{') depth++;
      else if (c === ')' || c === '}') depth = Math.max(0, depth - 1);
    }
  }
  parts.push(part);
  return parts.map((text) => text.trim()).filter((text) => text !== '');
}
