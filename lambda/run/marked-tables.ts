/**
 * What marks tell of the tables that a snapshot reads: which of them are being read, so that rows may be missing, and of which
 * rows came since the marks before. Decides only; knows no SQL and sends nothing.
 *
 * Marks tell all only where the run knows all (`known-tables.ts`). Where they could not, others are owed that do, at a newer
 * position: a replica may have applied the first.
 */
import type { Lsn } from '../decode/lsn.ts';
import { splitTableName } from '../decode/table-name.ts';
import type { Mark, MarkTables } from '../format/json/mark.ts';
import type { KnownTables } from './known-tables.ts';

/** A mark names so many tables that a snapshot reads; of more it says `all`. */
const MAX_TABLES = 200;

/** What marks say of tables. */
export type ToldTables = Pick<Mark, 'reading' | 'read' | 'partial'>;

/** What the marks of one run tell. */
export class MarkedTables {
  readonly #reading: () => readonly string[];
  readonly #known: KnownTables;
  #owedAbove: Lsn | undefined;
  /** Tables of which rows were read since the marks that told tables last, as printed. */
  readonly #read = new Set<string>();
  /** Tables that those marks name as being read, as printed. */
  #named: ReadonlySet<string> = new Set();
  /** Whether the marks that were written last may lack some. */
  #isPartial = false;

  /**
   * @param reading - gives the tables that a snapshot under way has not read to their end, as printed
   * @param known - whether those are all
   * @param owedAbove - as the field
   */
  constructor(reading: () => readonly string[], known: KnownTables, owedAbove: Lsn | undefined) {
    this.#reading = reading;
    this.#known = known;
    this.#owedAbove = owedAbove;
  }

  /** Marks above this LSN are to tell of all tables that a snapshot reads; undefined: some have. */
  get owedAbove(): Lsn | undefined {
    return this.#owedAbove;
  }

  /** Rows of a table were published. @param table - as printed */
  rowsRead(table: string): void {
    this.#read.add(table);
  }

  /** Whether a table is being read that no marks have named yet. */
  get hasUnnamed(): boolean {
    return !this.#reading().every((table) => this.#named.has(table));
  }

  /** Whether the next marks would say something else than those that were written last. */
  get hasNews(): boolean {
    const isMore = this.#known.areAll && (this.#isPartial || this.#read.size > 0);
    return this.#named.size > 0 !== this.#reading().length > 0 || isMore;
  }

  /** Whether marks are owed that tell all, and can be written. @param position - of theirs */
  isOwedAt(position: Lsn): boolean {
    return this.#known.areAll && this.#owedAbove !== undefined && position > this.#owedAbove;
  }

  /** Marks cannot tell the tables now: newer ones have to. @param lsn - of the marks that were written last */
  owe(lsn: Lsn): void {
    this.#owedAbove ??= lsn;
  }

  /** @returns what the next marks say */
  tell(): ToldTables {
    const reading = this.#reading();
    this.#named = new Set(reading);
    if (!this.#known.areAll) return { reading: asMarked(reading), partial: true };
    const read = [...this.#read].filter((table) => !reading.includes(table));
    this.#read.clear();
    return { reading: asMarked(reading), read: asMarked(read) };
  }

  /**
   * Marks were written.
   *
   * @param lsn - their position
   * @param told - what they say; undefined: nothing of tables
   */
  written(lsn: Lsn, told: ToldTables | undefined): void {
    this.#isPartial = told?.partial === true;
    if (this.#owedAbove === undefined || lsn <= this.#owedAbove) return;
    this.#owedAbove = told === undefined || this.#isPartial ? lsn : undefined;
  }
}

/** @param printed - names of tables @returns as a mark has them; undefined: none */
function asMarked(printed: readonly string[]): MarkTables | undefined {
  if (printed.length === 0) return undefined;
  return printed.length > MAX_TABLES ? 'all' : printed.map(splitTableName);
}
