/**
 * The database side of a run. Types only; `postgres` implements them, tests too.
 */
import type { Lsn } from '../decode/lsn.ts';
import type { CommitHistory, KeyHistory, PrimaryKeys } from './catalogs.ts';
import type { AheadSource } from './read-ahead.ts';
import type { Slot } from './slot.ts';
import type { SnapshotSource } from './snapshot-source.ts';

/** A running server, as it describes itself. */
export interface ServerIdentity {
  /** Made by initdb, copied to physical standbys. Undefined where the role may not ask for it. */
  readonly systemIdentifier: string | undefined;
  /** When the postmaster started, in UTC to the microsecond: other for each server and for each restart. */
  readonly startedAt: string;
  /** Whether it is a standby, or still recovering. */
  readonly inRecovery: boolean;
  /** The timeline that it writes, or of a standby receives. Undefined where the server does not tell. */
  readonly timeline: number | undefined;
  /** The end of its WAL when it was asked: of a standby, of what it had received. Undefined where it does not tell. */
  readonly walEnd: Lsn | undefined;
}

/** The database side of a run: locked, connected. */
export interface Session {
  readonly slot: Slot;
  readonly keys: PrimaryKeys;
  /** Undefined: there is none. */
  readonly keyHistory?: KeyHistory;
  /** Undefined: there is none. */
  readonly commitHistory?: CommitHistory;
  /** Undefined: nothing can be read ahead. */
  readonly ahead?: AheadSource;
  /** Undefined: tables cannot be read beside the slot. */
  readonly snapshots?: SnapshotSource;
  /** The server that it leads to. */
  readonly server: ServerIdentity;
  /** When that was read, milliseconds since 1970. */
  readonly connectedAt: number;
  /** Aborts when the connection that holds the lock is lost (I6); its reason is a {@link PipelineError}. */
  readonly lost: AbortSignal;
  /** @returns whether somebody waits for the lock, as it was seen within the last second or so */
  isLockAwaited(): boolean;
  /** Whether another holder had to be ended, or has lost the lock: its last request may still be in flight (I6). */
  readonly tookOver: boolean;
  /** When that was, milliseconds since 1970. @default now */
  readonly tookOverAt?: number | undefined;
  /** What the last holder has left for whoever waited for the lock; undefined: nothing, or this one does not linger. */
  readonly handedOver?: string | undefined;
  /** Gives up the lock and closes the connections. @param handOverText - a text for whoever waits for the lock @default nothing */
  close(handOverText?: string): Promise<void>;
}
