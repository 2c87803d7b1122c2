/**
 * The commands and their options. Each is read here and done elsewhere, loaded only then, so that `--help` is quick.
 * Knows no PostgreSQL and no AWS.
 */
import { readFileSync } from 'node:fs';
import { Command, CommanderError, Option } from 'commander';
import { type SettingName, SETTINGS } from '../../lambda/settings/settings-table.ts';
import type { DemoOptions } from '../demo/demo.ts';
import type { ReplicateOptions } from '../replicate/options.ts';
import type { TailOptions } from '../tail.ts';
import { addActionCommands, type Invoke } from './action-commands.ts';
import { readEnvFile, withOwnEnvironment } from './env-file.ts';
import type { InitOptions } from './init/init.ts';
import { FLAGS } from './init/questions.ts';
import { lsn, number, readName } from './option-values.ts';
import { EXIT, type Terminal, widthOf } from './terminal.ts';

/** Settings that `demo` passes through, by their flags. */
const DEMO_SETTINGS = [
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
  'MARKS',
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
  const program = build(withOwnEnvironment(terminal), json, (result) => (status = result));
  try {
    await program.parseAsync([...args], { from: 'user' });
    return status;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
    const { exitStatusOf, printError } = await import('./error-output.ts');
    printError(error, terminal, json);
    return exitStatusOf(error);
  }
}

/** All commands. @param json - whether errors are printed as JSON @param done - gets each command's exit status */
function build(terminal: Terminal, json: boolean, done: (status: number) => void): Command {
  const width = widthOf(terminal.stdout) ?? 80;
  const program = new Command('pg2kinesis')
    .description('Publishes every committed change of a PostgreSQL database to a Kinesis data stream, in commit order.')
    .option('--env-file <path>', 'read settings from a file; variables that are set already win')
    .option('--log-json', 'log JSON lines instead of text (to the standard error in both cases)')
    .showHelpAfterError(json ? false : '(--help lists commands and settings)')
    .version(version(), '-V, --version', 'print the version')
    .exitOverride()
    .configureHelp({ subcommandTerm: (command) => command.name() })
    .configureOutput({
      writeOut: (text) => void terminal.stdout.write(text),
      writeErr: (text) => void terminal.stderr.write(text),
      outputError: (text, write) => {
        write(json ? usageLine(text) : text);
      },
      getOutHelpWidth: () => width,
    })
    .addHelpText(
      'after',
      ({ command }) =>
        `\n${settingsHelp(command, width)}\n\nIt exits with 0, 1 (failed; check: something is missing or wrong; status: a run\nwould refuse the slot), 2 (used wrongly, settings included) or 3 (drain: not\ncaught up; check: something could not be found out; status: the slot is at\nrisk).`,
    );

  const invoke: Invoke = async (payload, options) => {
    const { invokeOnTerminal } = await import('./invoke.ts');
    done(await invokeOnTerminal(payload, { ...options, logJson: json }, terminal));
  };

  addDemo(program, done);
  addActionCommands(program, invoke);
  addTail(program, terminal, done);
  addReplicate(program, terminal, done);
  addExplain(program, terminal, done);
  addInit(program, terminal, done);
  program.hook('preAction', () => readEnvFile(program.opts<{ envFile?: string }>().envFile, terminal));
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
    .option('--shards <n>', 'shards of the stream', number(1, true))
    .option('--no-kills', 'never kill the function');
  for (const name of DEMO_SETTINGS) {
    const { about, allowed } = SETTINGS[name];
    demo.addOption(new Option(`${flagOf(name)} <value>`, `${about}: ${allowed}`));
  }
  demo.action(async ({ kills, ...given }: { kills: boolean } & Readonly<Record<string, string | number | boolean>>) => {
    const settings: Record<string, string> = {};
    const options: Record<string, number> = {};
    for (const [field, value] of Object.entries(given)) {
      if (typeof value === 'number') options[field] = value;
      else if (typeof value === 'string') settings[field.replace(/[A-Z]/g, '_$&').toUpperCase()] = value;
    }
    const { runDemo } = await import('../demo/demo.ts');
    done(await runDemo({ ...options, kills, settings } satisfies DemoOptions));
  });
}

function addTail(program: Command, terminal: Terminal, done: (status: number) => void): void {
  program
    .command('tail')
    .description("print a stream's records as they arrive, de-aggregated")
    .option('--stream <name>', 'its name or ARN (STREAM_NAME unless given)', readName)
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

function addReplicate(program: Command, terminal: Terminal, done: (status: number) => void): void {
  program
    .command('replicate')
    .description('keep another PostgreSQL equal to the source, from the stream; it needs MARKS=on and FORMAT=json')
    .option(
      '--to <address>',
      'postgres://user@host:5432/database?sslmode=... (REPLICATE_TO unless given; the password may be in REPLICATE_PASSWORD)',
    )
    .option('--stream <name>', 'its name or ARN (STREAM_NAME unless given)', readName)
    .option('--name <name>', 'tells copies in one target apart (pg2kinesis unless given)', readName)
    .option('--source <name>', 'copy this source, where the stream has several', readName)
    .option('--start-after <lsn>', 'the target holds everything up to this commit LSN already', lsn)
    .option('--await-snapshot', 'of a copy that begins: its rows come by a snapshot, which is still to be asked for')
    .option('--fast', 'apply changes as they come: equal at the end, a mixture in between; for tables that can bear it')
    .option(
      '--from <address>',
      'the source, for --create-tables, --verify and --finish (REPLICATE_FROM, REPLICATE_FROM_PASSWORD)',
    )
    .option(
      '--create-tables <file>',
      'of a copy that begins: make its tables by pg_dump; indexes and foreign keys go into the file',
    )
    .option('--pg-dump <program>', 'its name or path (pg_dump unless given)')
    .option('--verify', 'compare the copy with the source, while a replica is at work')
    .option('--skip-lacking', 'with --verify: what the copy lacks is named, and is no difference')
    .option(
      '--finish',
      'end when the copy has come to the present end of the source, and print what sets its sequences',
    )
    .option('--yes', 'with --finish: set them')
    .option('--once', 'end when everything is applied that was in the stream at the beginning')
    .option('--take-over', 'go on though another one is at work, which then stops')
    .option('--triggers', 'write to tables whose triggers fire for replicas, too')
    .option('--skip-missing', 'leave out updates whose old row is not there and was not sent, and count them')
    .option('--skip-truncated', 'leave out changes that were too large for a record, and count them')
    .option('--json', 'print progress as lines of JSON')
    .action(async (given: Partial<ReplicateOptions>) => {
      // Before what it needs is loaded.
      (await import('../replicate/memory.ts')).saveMemory();
      const { replicate } = await import('../replicate/replicate.ts');
      const stream = given.stream ?? terminal.env['STREAM_NAME'] ?? '';
      const to = given.to ?? terminal.env['REPLICATE_TO'] ?? '';
      done(await replicate({ ...given, to, stream: stream === '' ? SETTINGS.STREAM_NAME.default : stream }, terminal));
    });
}

function addInit(program: Command, terminal: Terminal, done: (status: number) => void): void {
  const command = program
    .command('init')
    .description('ask for the settings, or take them from flags, try the connection, and write them to a file')
    .addOption(new Option('--for <kind>', 'env: for the command line; cdk: for a stack').choices(['env', 'cdk']))
    .option('--out <path>', 'the file to write (.env or cdk.json)')
    .option('--force', 'write over a file that is there')
    .option('--no-connect', 'do not try the connection');
  for (const { flag, ask } of FLAGS) command.option(flag, ask);
  command.action(async (given: InitOptions) => {
    const { init } = await import('./init/init.ts');
    const isPerson = terminal.stdout.isTTY === true && terminal.stdin?.isTTY === true;
    const { prompts } = isPerson ? await import('./init/prompts.ts') : { prompts: undefined };
    done(await init(given, terminal, prompts));
  });
}

function addExplain(program: Command, terminal: Terminal, done: (status: number) => void): void {
  program
    .command('explain')
    .description('print what the runbook says of an error code or an alarm')
    .argument('[code]', 'for example SLOT_LOST or FallingBehind; the list of them unless given')
    .action(async (code: string | undefined) => {
      const [{ explainCode }, { layoutOf }] = await Promise.all([import('./explain.ts'), import('./render/layout.ts')]);
      const { found, text } = explainCode(code, layoutOf(terminal));
      (found ? terminal.stdout : terminal.stderr).write(text);
      done(found ? EXIT.ok : EXIT.usage);
    });
}

/** The package's version. Its package.json is two folders above this file, and above the built one. */
function version(): string {
  const manifest = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(manifest) as { version: string }).version;
}

/** A setting's flag: `PARTITION_BY` is `--partition-by`. */
function flagOf(name: SettingName): string {
  return `--${name.toLowerCase().replaceAll('_', '-')}`;
}

/** The settings, as the help shows them. @param width - of a line, to which they are wrapped */
function settingsHelp(program: Command, width: number): string {
  const help = program.createHelp();
  help.prepareContext({ helpWidth: width });
  const longest = Math.max(...Object.keys(SETTINGS).map((name) => name.length));
  const rows = Object.entries(SETTINGS).map(([name, { about, default: fallback }]) => {
    const value = fallback === undefined || fallback === '' ? '' : ` (${fallback})`;
    return help.formatItem(name, longest, `${about}${value}`, help);
  });
  return `Settings, from the environment (and their defaults):\n${rows.join('\n')}\n\nAWS credentials and region are found as by every AWS tool.`;
}
