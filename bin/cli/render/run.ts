/** The answers of `run` and `drain`, and those of a line, for people. Pure. */
import type { Answer } from '../../../lambda/actions/actions.ts';
import type { RunAnswer } from '../../../lambda/run/answer.ts';
import type { StopReason } from '../../../lambda/run/stop-reason.ts';
import type { Skipped } from '../../../lambda/transform/counts.ts';
import { columns, type Layout } from './layout.ts';
import { describeSnapshot } from './snapshot.ts';
import { count, counted, duration, size } from './units.ts';

/** Why a run ended, as its first words. */
const STOPPED: Readonly<Record<StopReason, string>> = {
  'caught-up': 'Caught up.',
  deadline: 'Out of time; the next run goes on.',
  interrupted: 'Interrupted.',
  'max-batches': 'Stopped at --max-batches; the next run goes on.',
  locked: 'Nothing was done: another run holds the slot.',
  throttled: 'Stopped: the stream has not enough capacity. The next run goes on.',
  'commit-pending':
    'Stopped at a transaction whose commit is not over (it may wait for a synchronous standby). The next run goes on.',
  'handed-over': 'Handed the slot over to a run or action that waited for it.',
  'waiting-for-standby': 'Stopped: a standby has not confirmed what comes next. The next run goes on.',
  'waiting-for-replay': 'Stopped: the server is a standby and has not replayed what comes next. The next run goes on.',
};

/** Why changes were left out. */
export const SKIPPED: Readonly<Record<keyof Skipped, string>> = {
  noPrimaryKey: 'their table has no primary key',
  keyUnknown: 'their row does not show the current primary key',
  noReplicaIdentity: 'the server did not send their key',
  keyTooLarge: 'their key alone is larger than a record may be',
  droppedTable: 'their table is gone',
  notTable: "rows of a materialised view, or of a table's copy",
  filtered: 'a filter excludes them',
  formatter: 'the formatter left them out',
};

/**
 * @param answer - of `run` or `drain`
 * @param layout - colours and width
 */
export function renderRun(answer: RunAnswer, layout: Layout): string {
  const { colours } = layout;
  const paint = answer.caughtUp ? colours.green : colours.yellow;
  const waits = answer.waitsFor === undefined ? '' : ` It waits for ${answer.waitsFor.join(', ')}.`;
  const rows: [string, string, ((text: string) => string)?][] = [
    [answer.action, `${STOPPED[answer.stopped]}${waits}`, paint],
  ];
  if (answer.stopped !== 'locked') rows.push(['published', published(answer)]);
  if (answer.snapshot !== undefined) {
    const { done, givenUp = [] } = answer.snapshot;
    rows.push(['snapshot', describeSnapshot(answer.snapshot), done ? colours.green : colours.yellow]);
    for (const { table, why } of givenUp) rows.push(['given up', `${table}: ${why}`, colours.red]);
  }
  for (const [reason, words] of Object.entries(SKIPPED)) {
    const skipped = answer.skipped[reason as keyof Skipped];
    if (skipped > 0) rows.push(['left out', `${counted(skipped, 'change')}: ${words}`, colours.yellow]);
  }
  if (answer.truncated > 0)
    rows.push([
      'truncated',
      `${counted(answer.truncated, 'record')} went without their row: too large`,
      colours.yellow,
    ]);
  if (answer.throttledEntries > 0)
    rows.push([
      'throttled',
      `${counted(answer.throttledEntries, 'entry').replace(/ys$/, 'ies')} that the stream refused`,
      colours.yellow,
    ]);
  if (answer.advancedTo !== undefined) rows.push(['slot', `${answer.slot} at ${answer.advancedTo}, ${left(answer)}`]);
  return columns(
    rows.map(([name, text, shown]) => [
      { text: name, paint: colours.dim },
      shown === undefined ? text : { text, paint: shown },
    ]),
    layout,
  );
}

function published({ published: changes, transactions, kinesisRecords, bytes, durationMs }: RunAnswer): string {
  const rate = durationMs > 0 && changes > 0 ? `, ${count(Math.round((changes * 1000) / durationMs))} a second` : '';
  return `${counted(changes, 'change')} of ${counted(transactions, 'transaction')} in ${counted(kinesisRecords, 'Kinesis record')} (${size(bytes)}), in ${duration(durationMs / 1000)}${rate}`;
}

function left({ lagBytes, lagSeconds }: RunAnswer): string {
  if (lagBytes === undefined) return 'lag unknown';
  if (lagBytes === 0) return 'nothing left';
  return `${size(lagBytes)} left${lagSeconds === undefined ? '' : `, the first commit in it ${duration(lagSeconds)} old`}`;
}

/** Any other answer, in a sentence. */
export function sentence(answer: Answer): string | undefined {
  if (!('action' in answer)) return undefined;
  switch (answer.action) {
    case 'create-slot': {
      const at = answer.confirmedFlushLsn === undefined ? '' : ` at ${answer.confirmedFlushLsn}`;
      const failover = answer.failover === true ? ' It is a failover slot.' : '';
      return answer.created
        ? `The slot ${answer.slot} was made${at}. What is committed from now on is captured.${failover}`
        : `The slot ${answer.slot} was there already${at}.${answer.converted === true ? ' It was made a failover slot.' : failover}`;
    }
    case 'copy-slot':
      return `The slot ${answer.slot} (${answer.plugin}) was made at the position of ${answer.from}${answer.confirmedFlushLsn === undefined ? '' : `, at ${answer.confirmedFlushLsn}`}. ${answer.from} is kept.`;
    case 'drop-slot':
      if (!answer.dropped) return `There was no slot ${answer.slot}.`;
      return `The slot ${answer.slot} was dropped${answer.discarded === undefined ? '' : ', with changes in it that nobody had read'}.`;
    case 'snapshot-stop':
      return `The snapshot of slot ${answer.slot} is ended by the run that is under way, or the next one.`;
    case 'refresh-keys':
      return `The primary keys were read again: ${counted(answer.tables, 'table')} with a primary key.`;
    case 'skip-transaction': {
      const { commitLsn, xid, commitTime } = answer.skipped;
      const passed =
        answer.messagesPassed === undefined
          ? ''
          : ` Messages outside of transactions before it, which the slot has passed, too: ${answer.messagesPassed}. A run that failed at the transaction has published them.`;
      const which =
        xid === undefined ? '' : ` (xid ${xid}${commitTime === undefined ? '' : `, committed at ${commitTime}`})`;
      return `The transaction with commit LSN ${commitLsn}${which} was skipped: consumers lack its changes.${passed} The slot ${answer.slot} is at ${answer.advancedTo}.`;
    }
    default:
      return undefined;
  }
}
