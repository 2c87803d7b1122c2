/**
 * A PostgreSQL database as a replica's target: each batch is written in one transaction, with the position. Refuses a table that
 * could not be kept equal to the source's. Knows no stream.
 */
import pg from 'pg';
import { ReplicaError } from '../errors.ts';
import type { AwaitsRows, Position, Target, TargetTransaction } from '../rules/applier.ts';
import type { LeftOut } from '../rules/fast/fast-target.ts';
import type { FoldedTable } from '../rules/fold.ts';
import { isTransient, type TargetConnection, unreachable } from './connection.ts';
import type { PositionStore } from './position-store.ts';
import { quoteName } from './sql-text.ts';
import { planTable } from './table-plan.ts';
import { TableWriter } from './table-writer.ts';
import { holdTable, readTargetTable, type TargetTable } from './target-table.ts';

/** What the user has allowed. */
export interface TargetOptions {
  /** Writes to tables whose triggers fire for replicas, too. */
  readonly allowTriggers: boolean;
  /** Leaves out changes whose old row is not there. */
  readonly skipMissing: boolean;
  /** Looks at each table before it is written to. @throws {ReplicaError} where it cannot be kept equal */
  readonly examine?: (table: TargetTable) => Promise<void>;
}

/** Writes to one target. */
export class PostgresTarget implements Target {
  readonly #connection: TargetConnection;
  readonly #positions: PositionStore;
  readonly #options: TargetOptions;
  readonly #writer: TableWriter;
  readonly #tables = new Map<string, TargetTable>();
  /** Tables that cannot be altered until this transaction ends. */
  readonly #held = new Set<string>();
  /** Changes applied so far, by table. */
  readonly changes = new Map<string, number>();

  constructor(connection: TargetConnection, positions: PositionStore, options: TargetOptions) {
    this.#connection = connection;
    this.#positions = positions;
    this.#options = options;
    this.#writer = new TableWriter({ client: connection.client, skipMissing: options.skipMissing });
  }

  /** How many changes were left out because their old row was not there. */
  get missing(): number {
    return this.#writer.missing;
  }

  /** How many changes were left out because a snapshot is still to bring their row. */
  get awaitingRead(): number {
    return this.#writer.awaitingRead;
  }

  async begin(): Promise<TargetTransaction> {
    const stopAt = await this.translatingErrors(() => this.#positions.hold());
    this.begun();
    const counted: (readonly [table: string, changes: number])[] = [];
    return {
      stopAt,
      write: async (tables, awaits) => {
        // Only the counts are kept: a large transaction is written in many parts.
        counted.push(...tables.map(({ schema, name, changes }) => [`${schema}.${name}`, changes] as const));
        await this.translatingErrors(() => this.write(tables, awaits));
      },
      commit: async (position: Position) => {
        await this.translatingErrors(async () => {
          await this.#positions.save(position);
          await this.#connection.client.query('COMMIT');
        });
        for (const [table, changes] of counted) this.changes.set(table, (this.changes.get(table) ?? 0) + changes);
      },
      rollback: async () => {
        this.forget();
        await this.#connection.client.query('ROLLBACK');
      },
    };
  }

  /** A transaction begins: tables may have been altered since the last one. */
  begun(): void {
    this.#held.clear();
  }

  /** The transaction was rolled back: the tables are looked up again. */
  forget(): void {
    this.#writer.forget();
    this.#tables.clear();
    this.#held.clear();
  }

  /**
   * Writes the changes of some tables, in the open transaction.
   *
   * @param awaits - tells whether rows of a table may be missing, which come later @default none may
   * @returns how many changes were left out by this
   */
  async write(tables: readonly FoldedTable[], awaits: AwaitsRows = () => false): Promise<LeftOut> {
    const { missing, awaitingRead } = this.#writer;
    const plans = [];
    for (const folded of tables) plans.push(planTable(folded, await this.table(folded)));
    await this.#writer.write(plans, ({ schema, name }) => awaits(schema, name));
    return { missing: this.#writer.missing - missing, awaitingRead: this.#writer.awaitingRead - awaitingRead };
  }

  /** The target's table, as it is until the open transaction ends. @throws {ReplicaError} TARGET_LACKS_TABLE, TARGET_UNSAFE */
  async table(of: Pick<FoldedTable, 'schema' | 'name'>): Promise<TargetTable> {
    const id = JSON.stringify([of.schema, of.name]);
    let table = this.#tables.get(id) ?? (await this.#read(of));
    if (!this.#held.has(id)) {
      // Whoever alters it is waited for, and what was read before may be wrong then: values are written by their columns' types.
      if ((await holdTable(this.#connection.client, table)) !== table.version) table = await this.#read(of);
      this.#held.add(id);
    }
    this.#tables.set(id, table);
    return table;
  }

  async #read({ schema, name }: Pick<FoldedTable, 'schema' | 'name'>): Promise<TargetTable> {
    const table = await readTargetTable(this.#connection.client, schema, name);
    if (table === undefined) {
      throw new ReplicaError(
        'TARGET_LACKS_TABLE',
        `The target has no table ${schema}.${name}, which the source has written to. Nothing of that batch was applied.`,
      );
    }
    this.#refuseUnsafe(table);
    await this.#options.examine?.(table);
    this.#writer.forget();
    return table;
  }

  /** @throws {ReplicaError} TARGET_UNSAFE */
  #refuseUnsafe({ sql, hasRowSecurity, always, originOnly }: TargetTable): void {
    const { isReplicaRole, versionNum, address } = this.#connection;
    const refuse = (what: string, remedy: string): never => {
      throw new ReplicaError('TARGET_UNSAFE', `${what} Nothing of that batch was applied.`, { remedy });
    };
    if (hasRowSecurity) {
      refuse(
        `Row-level security of ${sql} applies to "${address.user}", so rows could be hidden from it.`,
        `Use the owner of the table, or a user with BYPASSRLS.`,
      );
    }
    if (always.length > 0 && !this.#options.allowTriggers) {
      refuse(
        `The table ${sql} has triggers or rules that fire for replicas, too (ENABLE ALWAYS or ENABLE REPLICA): ${always.join(', ')}.`,
        'Disable them at the target, or start with --triggers if what they do is wanted there.',
      );
    }
    if (isReplicaRole || originOnly.length === 0) return;
    const grant =
      versionNum >= 150_000
        ? `Run as a superuser: GRANT SET ON PARAMETER session_replication_role TO ${quoteName(address.user)};`
        : 'Use a superuser (on RDS a member of rds_superuser).';
    refuse(
      `The table ${sql} has triggers, rules or foreign keys, and "${address.user}" may not switch them off for its session (session_replication_role).`,
      `${grant} Or take them away: ${originOnly.join(' ')}`,
    );
  }

  /** Turns an error of the target into a ReplicaError. The server's own text is not shown: it may quote a row's values. */
  async translatingErrors<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (error instanceof ReplicaError) throw error;
      const { address } = this.#connection;
      if (isTransient(error)) throw unreachable(address, error);
      if (!(error instanceof pg.DatabaseError)) throw error;
      const { code = '', schema, constraint, dataType } = error;
      // For COPY, table and column are only in this text. What follows them is the value, which is not shown.
      const [, copied, copiedColumn] = /^COPY (\S+), line \d+, column (.+?): /m.exec(error.where ?? '') ?? [];
      const { table = copied, column = copiedColumn } = error;
      const where = [
        table === undefined ? undefined : `table ${schema === undefined ? '' : `${schema}.`}${table}`,
        column === undefined ? undefined : `column ${column}`,
        constraint === undefined ? undefined : `constraint ${constraint}`,
        dataType === undefined ? undefined : `type ${dataType}`,
      ].filter((each) => each !== undefined);
      throw new ReplicaError(
        'TARGET_REFUSED',
        `The target refused what was to be written: ${refusalOf(code)} (SQLSTATE ${code}${where.length === 0 ? '' : `; ${where.join(', ')}`}). Nothing of that batch was applied.`,
      );
    }
  }
}

/** What a class of SQLSTATE means here. */
function refusalOf(code: string): string {
  if (code === '42501') return 'the user lacks a right';
  if (code.startsWith('22')) return 'a value that a column does not take, or a label that an enum lacks';
  if (code.startsWith('23')) return 'a constraint';
  if (code.startsWith('42')) return 'a type, a column or a function that is missing or different';
  return 'for a reason of its own';
}
