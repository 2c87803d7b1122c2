/** The answer of `status` for people: is it healthy, how far behind, what does it hold. Pure. */
import type { StatusAnswer } from '../../../lambda/actions/status.ts';
import { columns, type Layout } from './layout.ts';
import { count, counted, duration, size } from './units.ts';

/**
 * @param answer - of `status`
 * @param layout - colours and width
 * @param now - milliseconds since 1970
 */
export function renderStatus(answer: StatusAnswer, layout: Layout, now: number): string {
  const { colours } = layout;
  const { slotState } = answer;
  const paint = slotState === 'ok' ? colours.green : slotState === 'at-risk' ? colours.yellow : colours.red;
  const todo: Rows = answer.todo === undefined ? [] : [['', `To do: ${answer.todo}`, colours.bold]];
  const rows: Rows = [
    ['slot', answer.slotDetail, paint],
    ...todo,
    ['database', server(answer)],
    ...lag(answer),
    ...retained(answer),
    ...advance(answer, now),
    ...snapshot(answer),
    ['lock', holder(answer)],
    ...(answer.standbys ?? []).map(({ slot, connected, behindBytes, fault }): [string, string] => [
      'standby',
      `${slot}: ${fault ?? `${connected ? 'connected' : 'not connected'}, ${behindBytes === undefined ? 'not known how far' : size(behindBytes)} behind`}`,
    ]),
  ];
  return columns(
    rows.map(([name, text, shown]) => [
      { text: name, paint: colours.dim },
      shown === undefined ? text : { text, paint: shown },
    ]),
    layout,
  );
}

function server({ database, serverVersion, server: { role, timeline } }: StatusAnswer): string {
  return `${database}, PostgreSQL ${serverVersion}, ${role}${timeline === undefined ? '' : ` on timeline ${timeline}`}`;
}

type Rows = [name: string, text: string, paint?: (text: string) => string][];

function lag({ lagBytes, lagSeconds, confirmedFlushLsn, flushLsn, serverVersion }: StatusAnswer): Rows {
  if (lagBytes === undefined || confirmedFlushLsn === undefined) return [];
  if (lagBytes === 0) return [['lag', `none: everything up to ${flushLsn} is published`]];
  const unknown =
    Number.parseInt(serverVersion) >= 12
      ? 'how old the first unread commit is could not be found out'
      : 'how old the first unread commit is can be asked from PostgreSQL 12 on; the answer of a run says it';
  const age = lagSeconds === undefined ? unknown : oldest(lagSeconds);
  return [['lag', `${size(lagBytes)}, ${age}; at ${confirmedFlushLsn} of ${flushLsn}`]];
}

function oldest(seconds: number): string {
  return seconds === 0 ? 'nothing committed in it yet' : `the first unread commit is ${duration(seconds)} old`;
}

function retained({ retainedWalBytes, retainedBy = [], safeWalBytes, walStatus }: StatusAnswer): Rows {
  if (retainedWalBytes === undefined) return [];
  const left =
    safeWalBytes === undefined || walStatus === 'lost'
      ? ''
      : safeWalBytes > 0
        ? `; the slot is lost after ${size(safeWalBytes)} more`
        : '; the slot is lost at the next checkpoint';
  return [
    ['retained WAL', `${size(retainedWalBytes)}${left}`],
    ...retainedBy.map(({ what, bytes, detail }): [string, string] => ['', `${size(bytes)} by ${what}: ${detail}`]),
  ];
}

function snapshot({ snapshot: state }: StatusAnswer): Rows {
  if (state === undefined) return [];
  const { rowsRead, rowsLeft, rowsPerSecond, secondsLeft, tablesLeft, table } = state;
  const left = secondsLeft === undefined ? '' : `, about ${duration(secondsLeft)} left`;
  const where = table === undefined ? '' : `${table}, `;
  return [
    [
      'snapshot',
      `${where}${count(rowsRead)} rows read (${count(rowsPerSecond)}/s), about ${count(rowsLeft)} left in ${counted(tablesLeft, 'table')}${left}`,
    ],
  ];
}

/** When the slot moved last: what this process or container has seen, else what the server says. */
function advance({ lastAdvanceAt, inactiveSince, serverVersion }: StatusAnswer, now: number): Rows {
  if (lastAdvanceAt !== undefined) return [['last advance', ago(lastAdvanceAt, now)]];
  if (inactiveSince !== undefined) return [['last read', ago(inactiveSince, now)]];
  return Number.parseInt(serverVersion) >= 17
    ? []
    : [['last advance', 'not known: the server says it from PostgreSQL 17 on']];
}

function ago(time: string, now: number): string {
  const at = Date.parse(time);
  return Number.isNaN(at)
    ? time
    : `${duration(Math.max(0, now - at) / 1000)} ago (${new Date(at).toISOString().slice(0, 19)}Z)`;
}

function holder({ lockHolder }: StatusAnswer): string {
  if (lockHolder === null) return 'free: no run is under way';
  const { pid, user, application, ageSeconds, state } = lockHolder;
  const since = ageSeconds === undefined ? 'for an unknown time' : `for ${duration(ageSeconds)}`;
  return `held by backend ${pid} (user ${user ?? 'unknown'}, application ${application ?? 'unnamed'}, connected ${since}, ${state ?? 'state not visible to this role'})`;
}
