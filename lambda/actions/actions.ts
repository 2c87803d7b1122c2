/**
 * The table of actions: which payload does what. One file an action; knows neither Lambda nor a terminal: the handler
 * and the command line call it alike.
 */
import type { Container } from '../container.ts';
import type { RunAnswer } from '../run/answer.ts';
import type { Action } from '../settings/action-types.ts';
import { check, type CheckAnswer } from './check.ts';
import { copySlot, type CopySlotAnswer } from './copy-slot.ts';
import { createSlot, type CreateSlotAnswer } from './create-slot.ts';
import { dropSlot, type DropSlotAnswer } from './drop-slot.ts';
import { refreshKeys, type RefreshKeysAnswer } from './refresh-keys.ts';
import { runOrDrain } from './run-and-drain.ts';
import { skipTransaction, type SkipTransactionAnswer } from './skip-transaction.ts';
import { handleLifecycle, type LifecycleAnswer } from './slot-lifecycle.ts';
import { requestInitialSnapshot, snapshot, snapshotStop, type SnapshotStopAnswer } from './snapshot.ts';
import { status, type StatusAnswer } from './status.ts';
import { tables, type TablesAnswer } from './tables.ts';
import { type InvocationDeadlines, withConnection } from './with-connection.ts';

/** Any action's answer. */
export type Answer =
  | RunAnswer
  | StatusAnswer
  | CheckAnswer
  | TablesAnswer
  | CreateSlotAnswer
  | CopySlotAnswer
  | DropSlotAnswer
  | RefreshKeysAnswer
  | SkipTransactionAnswer
  | SnapshotStopAnswer
  | LifecycleAnswer;

/**
 * Does what was asked.
 *
 * @param action - as read from the event
 * @param container - clients, caches, settings
 * @param deadlines - when it began, and when it must be over
 * @returns the answer, ready for JSON
 * @throws {PipelineError} any code of the table
 */
export async function perform(action: Action, container: Container, deadlines: InvocationDeadlines): Promise<Answer> {
  switch (action.kind) {
    case 'run':
    case 'drain':
      return await runOrDrain(action, container, deadlines);
    case 'status':
      return await withConnection(container, deadlines, (connection) =>
        status(connection, container, action.lagSeconds),
      );
    case 'check':
      return await check(container, deadlines.functionDeadline, (work) => withConnection(container, deadlines, work));
    case 'tables':
      return await tables(container, deadlines);
    case 'create-slot':
      return await createSlot(action, container, deadlines);
    case 'copy-slot':
      return await copySlot(action, container, deadlines);
    case 'drop-slot':
      return await dropSlot(action, container, deadlines);
    case 'refresh-keys':
      return await refreshKeys(container, deadlines);
    case 'skip-transaction':
      return await skipTransaction(action, container, deadlines);
    case 'snapshot':
      return await snapshot(action, container, deadlines);
    case 'snapshot-stop':
      return await snapshotStop(action.tables, container, deadlines);
    case 'lifecycle':
      return await handleLifecycle(action, {
        ...container,
        slot: container.config.slot,
        answers: container.lifecycleAnswers,
        onCreated: async (connection) =>
          container.config.snapshot === 'initial' ? await requestInitialSnapshot(connection, container) : undefined,
        functionDeadline: deadlines.functionDeadline,
      });
  }
}
