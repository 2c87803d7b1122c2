/**
 * Random failovers under load, with each bound and without: `npm run test:failover`. Takes minutes, so it is no part of
 * `npm test`. It fails where something was lost, where with a bound the stream held what did not survive, where without
 * one it never did (then the rounds show nothing), or where runs took longer with a bound than without.
 */
import { parseArgs } from 'node:util';
import { type PostgresCopy, startPostgres } from '../support/postgres.ts';
import { type Mode, type Outcome, playRound } from './round.ts';

const { values } = parseArgs({
  options: { version: { type: 'string' }, mode: { type: 'string' }, rounds: { type: 'string' } },
});

/** Of each version its bounds, and how many rounds with each. */
const SERIES: readonly (readonly [version: string, modes: readonly Mode[], rounds: number])[] = [
  ['18', ['list', 'setting', 'none'], 30],
  ['15', ['setting', 'none'], 15],
  ['13', ['setting', 'none'], 15],
];
/** A median of a few dozen runs varies by so much. */
const SLACK = 1.25;

const faults: string[] = [];
const medians = new Map<string, number>();
const head = [
  'PostgreSQL',
  'bound',
  'rounds',
  'published',
  'lost',
  'phantoms',
  'in rounds',
  'differing keys',
  'repeats',
  'lost by the failover',
  'median run ms',
  'longest',
];
console.log(`| ${head.join(' | ')} |\n|${'---|'.repeat(head.length)}`);
for (const [version, all, count] of SERIES) {
  if ((values.version ?? version) !== version) continue;
  const modes = all.filter((mode) => (values.mode ?? mode) === mode);
  const outcomes = await play(version, modes, Number(values.rounds ?? count));
  for (const [mode, played] of outcomes) report(version, mode, played);
}
for (const fault of faults) console.error(fault);
process.exitCode = faults.length > 0 ? 1 : 0;

/** Rounds with each bound in turn, so that they share what the machine does meanwhile. */
async function play(version: string, modes: readonly Mode[], rounds: number): Promise<Map<Mode, Outcome[]>> {
  const base = await startPostgres({ version });
  try {
    await base.sql(
      'CREATE TABLE t (k int PRIMARY KEY, v int); CREATE TABLE h (w int, seq int, PRIMARY KEY (w, seq)); CHECKPOINT',
    );
    // A copy is started once, and every round wants one.
    const copy: PostgresCopy = await base.copy(false);
    const outcomes = new Map<Mode, Outcome[]>(modes.map((mode) => [mode, []]));
    for (let round = 0; round < rounds; round++) {
      for (const [mode, played] of outcomes) played.push(await playRound(copy, mode));
    }
    return outcomes;
  } finally {
    await base.stop();
  }
}

function report(version: string, mode: Mode, outcomes: readonly Outcome[]): void {
  const sum = (field: Exclude<keyof Outcome, 'runsMs'>) =>
    outcomes.reduce((total, outcome) => total + outcome[field], 0);
  const runs = outcomes.flatMap(({ runsMs }) => runsMs).toSorted((a, b) => a - b);
  const median = Math.round(runs[Math.floor(runs.length / 2)] ?? 0);
  const ahead = outcomes.filter(({ phantoms }) => phantoms > 0).length;
  console.log(
    `| ${[version, mode, outcomes.length, sum('published'), sum('lost'), sum('phantoms'), ahead, sum('differingKeys'), sum('repeats'), sum('failedOver'), median, Math.round(runs.at(-1) ?? 0)].join(' | ')} |`,
  );
  const where = `PostgreSQL ${version}, bound ${mode}`;
  if (sum('lost') > 0) faults.push(`${where}: ${sum('lost')} commits were lost.`);
  if (mode !== 'none' && sum('phantoms') + sum('differingKeys') > 0)
    faults.push(
      `${where}: the stream held what did not survive: ${sum('phantoms')} commits, ${sum('differingKeys')} keys.`,
    );
  if (mode === 'none' && ahead === 0)
    faults.push(`${where}: no round put the stream ahead, so the others show nothing.`);
  medians.set(`${version} ${mode}`, median);
  const without = medians.get(`${version} none`);
  for (const bounded of ['list', 'setting']) {
    const other = medians.get(`${version} ${bounded}`);
    if (mode === 'none' && without !== undefined && other !== undefined && other > without * SLACK)
      faults.push(
        `PostgreSQL ${version}: runs took ${other} ms by median with the bound ${bounded}, and ${without} without.`,
      );
  }
}
