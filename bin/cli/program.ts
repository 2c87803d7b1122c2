/**
 * The commands and their options. Each is read here and done elsewhere, loaded only then, so that `--help` is quick.
 * Knows no PostgreSQL and no AWS.
 */
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { LEAST_SECONDS } from '../../lambda/settings/event.ts';
import { type SettingName, SETTINGS } from '../../lambda/settings/settings-table.ts';
import type { DemoOptions } from '../demo/demo.ts';
import type { TailOptions } from '../tail.ts';
import { EXIT, type InvokeOptions, LAMBDA_SECONDS, type Terminal } from './terminal.ts';

/** Reads a number from an option. */
const number =
  (least: number, whole: boolean, most = Infinity) =>
  (text: string): number => {
    const value = Number(text);
    if (text.trim() === '' || !(value >= least && value <= most && value < Infinity) || (whole && value % 1 !== 0)) {
      const range = most === Infinity ? `${least} or more` : `${least} to ${most}`;
      throw new InvalidArgumentError(`It has to be a ${whole ? 'whole ' : ''}number, ${range}.`);
    }
    return value;
  };

/** The server's time-outs and ours can hold 24 days. */
const WEEK_SECONDS = 604_800;

/** Reads JSON from an option. */
function readJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new InvalidArgumentError(`It has to be JSON. ${error instanceof Error ? error.message : ''}`);
  }
}

/** Settings that `demo` passes through, by their flags. */
const PASSED = [
  'FORMAT',
  'AGGREGATION',
  'PARTITION_BY',
  'LANES',
  'OPERATIONS',
  'TABLE_INCLUDE_LIST',
  'TABLE_EXCLUDE_LIST',
  'COLUMN_EXCLUDE_LIST',
  'BATCH_CHANGES',
  'OVERSIZE',
  'ON_UNKNOWN_KEY',
] as const satisfies readonly SettingName[];

/**
 * Runs the command line.
 *
 * @param args - without the program's own name
 * @param terminal - environment, output and signals: the process, or a test's
 * @returns the exit status: see {@link EXIT}
 */
export async function main(args: readonly string[], terminal: Terminal): Promise<number> {
  let status: number = EXIT.ok;
  const json = args.includes('--log-json');
  const program = build(terminal, json, (result) => (status = result));
  try {
    await program.parseAsync([...args], { from: 'user' });
    return status;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
    const { exitStatusOf, report } = await import('./explain.ts');
    report(error, terminal, json);
    return exitStatusOf(error);
  }
}

/** All commands. @param json - whether what is wrong with them is told as JSON @param done - told each command's exit status */
function build(terminal: Terminal, json: boolean, done: (status: number) => void): Command {
  const program = new Command('pg2kinesis')
    .description('Publishes every committed change of a PostgreSQL database to a Kinesis data stream, in commit order.')
    .option('--log-json', 'log JSON lines instead of text (to the standard error in both cases)')
    .showHelpAfterError('(--help lists commands and settings)')
    .exitOverride()
    .configureOutput({
      writeOut: (text) => void terminal.stdout.write(text),
      writeErr: (text) => void terminal.stderr.write(json ? usageLine(text) : text),
    })
    .addHelpText(
      'after',
      `\n${settingsHelp()}\n\nIt prints the answer as JSON and exits with 0, 1 (failed; check: something is missing or at fault;\nstatus: a run would refuse the slot), 2 (used wrongly, settings included) or 3 (drain: not caught up; check: something\ncould not be found out; status: the slot is at risk).`,
    );

  const invoke = async (
    payload: Readonly<Record<string, unknown>>,
    options: Omit<InvokeOptions, 'logJson'> = {},
  ): Promise<void> => {
    const { invokeOnTerminal } = await import('./invoke.ts');
    done(await invokeOnTerminal(payload, { ...options, logJson: json }, terminal));
  };

  addDemo(program, done);
  program
    .command('run')
    .description('publish what the slot holds, as the schedule does each minute')
    .option(
      '--max-seconds <n>',
      `stop after so long, ${LEAST_SECONDS} to ${LAMBDA_SECONDS} (50 unless given)`,
      number(LEAST_SECONDS, false, LAMBDA_SECONDS),
    )
    .option('--max-batches <n>', 'stop after so many batches', number(1, true))
    .option('--resume <json>', 'the "resume" of an earlier answer', readJson)
    .option(
      '--every <seconds>',
      'run again and again, so many seconds from start to start (0.1 or more), until Ctrl-C or SIGTERM',
      number(0.1, false),
    )
    .action(({ every, ...fields }: { every?: number }) =>
      invoke({ action: 'run', ...fields }, every === undefined ? {} : { every }),
    );
  program
    .command('drain')
    .description('wait for the slot, then publish until caught up, for 15 minutes or as long as you say')
    .option(
      '--max-seconds <n>',
      `stop after so long, ${LEAST_SECONDS} to ${WEEK_SECONDS} (${LAMBDA_SECONDS} unless given)`,
      number(LEAST_SECONDS, false, WEEK_SECONDS),
    )
    .option('--resume <json>', 'the "resume" of an earlier answer', readJson)
    .action(({ maxSeconds = LAMBDA_SECONDS, ...fields }: { maxSeconds?: number }) =>
      // The payload is the function's, which has no more time than Lambda gives.
      invoke({ action: 'drain', ...fields, ...(maxSeconds < LAMBDA_SECONDS ? { maxSeconds } : {}) }, { maxSeconds }),
    );
  program
    .command('status')
    .description('tell where the slot is, its lag, and what holds WAL')
    .action(() => invoke({ action: 'status' }));
  program
    .command('check')
    .description('check every precondition, and tell what to do')
    .action(() => invoke({ action: 'check' }));
  addTail(program, terminal, done);
  program
    .command('create-slot')
    .description('make the replication slot, unless it is there')
    .option('--on-standby', 'make it on a standby (PostgreSQL 16 and later), which the function then reads')
    .action(({ onStandby }: { onStandby?: boolean }) =>
      invoke({ action: 'create-slot', ...(onStandby ? { onStandby } : {}) }),
    );
  program
    .command('copy-slot')
    .description(
      'make the replication slot where another one stands, of the plugin that PLUGIN names; the other is kept',
    )
    .requiredOption('--from <slot>', 'the other slot')
    .action(({ from }: { from: string }) => invoke({ action: 'copy-slot', from }));
  program
    .command('drop-slot')
    .description('drop the replication slot, if it is there and everything in it was read')
    .option('--yes', 'drop it with the changes in it that nobody has read')
    .action(({ yes }: { yes?: boolean }) => invoke({ action: 'drop-slot', ...(yes ? { discardUnread: true } : {}) }));
  program
    .command('skip-transaction')
    .description('advance over exactly one transaction that cannot be published, the first unconsumed one')
    .argument('<commit-lsn>', 'as the failing run names it, for example 0/16B3748')
    .option(
      '--max-seconds <n>',
      `give the server so long, 900 to ${WEEK_SECONDS} (900 unless given)`,
      number(LAMBDA_SECONDS, false, WEEK_SECONDS),
    )
    .action((commitLsn: string, { maxSeconds = LAMBDA_SECONDS }: { maxSeconds?: number }) =>
      invoke({ action: 'skip-transaction', commitLsn }, { maxSeconds }),
    );
  return program;
}

/** What is wrong with the arguments, as a line of JSON. */
function usageLine(text: string): string {
  const message = text.trim().replace(/^error: /, '');
  return `${JSON.stringify({ level: 'ERROR', timestamp: new Date().toISOString(), code: 'USAGE', message })}\n`;
}

function addDemo(program: Command, done: (status: number) => void): void {
  const demo = program
    .command('demo')
    .description('start a PostgreSQL and a Kinesis here, capture changes, and prove that none is missing')
    .option('--seconds <n>', 'end by itself after so long', number(1, false))
    .option('--rate <n>', 'changes a second, roughly', number(1, false))
    .option('--every <seconds>', 'seconds between two invocations', number(0.1, false))
    .option('--shards <n>', 'shards of the stream', number(1, true));
  for (const name of PASSED) {
    const { about, allowed } = SETTINGS[name];
    demo.addOption(new Option(`${flagOf(name)} <value>`, `${about}: ${allowed}`));
  }
  demo.action(async (given: Readonly<Record<string, string | number>>) => {
    const settings: Record<string, string> = {};
    const options: Record<string, number> = {};
    for (const [field, value] of Object.entries(given)) {
      if (typeof value === 'number') options[field] = value;
      else settings[field.replace(/[A-Z]/g, '_$&').toUpperCase()] = value;
    }
    const { runDemo } = await import('../demo/demo.ts');
    done(await runDemo({ ...options, settings } satisfies DemoOptions));
  });
}

function addTail(program: Command, terminal: Terminal, done: (status: number) => void): void {
  program
    .command('tail')
    .description("print a stream's records as they arrive, de-aggregated")
    .option('--stream <name>', 'its name or ARN (STREAM_NAME unless given)')
    .addOption(new Option('--from <position>', 'where to begin').choices(['latest', 'trim-horizon']).default('latest'))
    .option('--json', 'one JSON object a record, with its keys and position')
    .option('--count <n>', 'end after so many records', number(1, true))
    .option('--seconds <n>', 'end after so long', number(1, false))
    .action(async (given: Partial<TailOptions>) => {
      const { tail } = await import('../tail.ts');
      const stream = given.stream ?? terminal.env['STREAM_NAME'] ?? '';
      done(await tail({ ...given, stream: stream === '' ? SETTINGS.STREAM_NAME.default : stream }));
    });
}

/** A setting's flag: `PARTITION_BY` is `--partition-by`. */
function flagOf(name: SettingName): string {
  return `--${name.toLowerCase().replaceAll('_', '-')}`;
}

/** The settings, as the help shows them. */
function settingsHelp(): string {
  const rows = Object.entries(SETTINGS).map(([name, { about, default: fallback }]) => {
    const value = fallback === undefined || fallback === '' ? '' : ` (${fallback})`;
    return `  ${name.padEnd(24)} ${about}${value}`;
  });
  return `Settings, from the environment (and their defaults):\n${rows.join('\n')}\n\nAWS credentials and region are found as by every AWS tool.`;
}
