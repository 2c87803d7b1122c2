/** The commands that invoke an action: their options, and the payloads that these become. Knows no terminal. */
import { type Command, Option } from 'commander';
import { PipelineError } from '../../lambda/errors.ts';
import { MIN_SECONDS } from '../../lambda/settings/payloads.ts';
import { number, readJson, readName } from './option-values.ts';
import type { Payload } from './targets/target.ts';
import { type DeployedOptions, type InvokeOptions, LAMBDA_SECONDS, WEEK_SECONDS } from './terminal.ts';

/** How often `status --watch` asks, in seconds. */
const WATCH_SECONDS = 2;

/** Invokes an action with the options that all have. */
export type Invoke = (payload: Payload, options: Omit<InvokeOptions, 'logJson'>) => Promise<void>;

/** The options that every command here has. */
interface Shared extends DeployedOptions {
  readonly json?: boolean;
}

/**
 * Adds the commands.
 *
 * @param program - the command line
 * @param invoke - does what a payload asks for
 */
export function addActionCommands(program: Command, invoke: Invoke): void {
  const action = (name: string, description: string): Command =>
    program
      .command(name)
      .description(description)
      .option('--json', 'print the answer as one line of JSON')
      .addOption(
        new Option('--function <name>', 'act on a deployed function: its name, name:alias, or ARN')
          .argParser(readName)
          .conflicts('stack'),
      )
      .addOption(
        new Option('--stack <name>', 'the same, found by the output FunctionName of its stack').argParser(readName),
      )
      .option('--region <region>', 'of the function or stack (of AWS_REGION or the profile unless given)');
  const simple = (name: string, description: string): Command =>
    action(name, description).action((shared: Shared) => invoke({ action: name }, optionsOf(shared)));

  action('run', 'publish what the slot holds, as the schedule does each minute')
    .option(
      '--max-seconds <n>',
      `stop after so long, ${MIN_SECONDS} to ${LAMBDA_SECONDS} (50 unless given)`,
      number(MIN_SECONDS, false, LAMBDA_SECONDS),
    )
    .option('--max-batches <n>', 'stop after so many batches', number(1, true))
    .option('--resume <json>', 'the "resume" of an earlier answer', readJson)
    .option(
      '--every <seconds>',
      'run again and again, so many seconds from start to start (0.1 or more), until Ctrl-C or SIGTERM',
      number(0.1, false),
    )
    .addOption(
      new Option(
        '--linger',
        'stay when caught up, and publish what comes within a second, until Ctrl-C or SIGTERM',
      ).conflicts(['function', 'stack']),
    )
    .action((given: Shared & RunFields & { every?: number; linger?: boolean }) => {
      const payload: Payload = { action: 'run', ...fieldsOf(given, 'maxSeconds', 'maxBatches', 'resume') };
      if (given.linger !== true) return invoke(payload, optionsOf(given, 'every', 'maxSeconds'));
      // A run that lingers ends after 15 minutes, as the function's does; the next one goes on.
      const repetition = given.maxSeconds === undefined ? { every: given.every ?? 0.1 } : fieldsOf(given, 'maxSeconds');
      return invoke(payload, { ...optionsOf(given), ...repetition, linger: true });
    });
  action('drain', 'wait for the slot, then publish until caught up, and show how far it is')
    .option(
      '--max-seconds <n>',
      `stop after so long, ${MIN_SECONDS} to ${WEEK_SECONDS} (${LAMBDA_SECONDS} unless given; of a function as many invocations as it takes)`,
      number(MIN_SECONDS, false, WEEK_SECONDS),
    )
    .option('--resume <json>', 'the "resume" of an earlier answer', readJson)
    .action((given: Shared & RunFields) => {
      // The payload is the function's, which has no more time than Lambda gives.
      const bound = (given.maxSeconds ?? LAMBDA_SECONDS) < LAMBDA_SECONDS ? fieldsOf(given, 'maxSeconds') : {};
      return invoke({ action: 'drain', ...fieldsOf(given, 'resume'), ...bound }, optionsOf(given, 'maxSeconds'));
    });
  action('status', 'tell where the slot is, its lag, and what holds WAL')
    .option('--watch', `ask again every ${WATCH_SECONDS} seconds, until Ctrl-C`)
    .action(({ watch, ...given }: Shared & { watch?: boolean }) =>
      invoke(
        { action: 'status' },
        { ...optionsOf(given), ...(watch === true ? { every: WATCH_SECONDS, redraw: true } : {}) },
      ),
    );
  simple('check', 'check every precondition, and tell what to do');
  simple('tables', 'list every table: its key, and whether it is published, or why not');
  action('create-slot', 'make the replication slot, unless it is there')
    .option('--on-standby', 'make it on a standby (PostgreSQL 16 and later), which the function then reads')
    .action(({ onStandby, ...given }: Shared & { onStandby?: boolean }) =>
      invoke({ action: 'create-slot', ...(onStandby === true ? { onStandby } : {}) }, optionsOf(given)),
    );
  action(
    'copy-slot',
    'make the replication slot at the position of another one, of the plugin that PLUGIN names; the other is kept',
  )
    .requiredOption('--from <slot>', 'the other slot')
    .action(({ from, ...given }: Shared & { from: string }) => invoke({ action: 'copy-slot', from }, optionsOf(given)));
  action('drop-slot', 'drop the replication slot, if it is there and everything in it was read')
    .option('--yes', 'drop it with the changes in it that nobody has read')
    .action(({ yes, ...given }: Shared & { yes?: boolean }) =>
      invoke({ action: 'drop-slot', ...(yes === true ? { discardUnread: true } : {}) }, optionsOf(given)),
    );
  simple(
    'refresh-keys',
    'read the primary keys of the tables again; a function keeps them for PRIMARY_KEY_TTL_SECONDS',
  );
  action(
    'snapshot',
    'publish the rows that tables have, and show how far it is; without tables, go on with what is left',
  )
    .option('--tables <list>', 'schema.table, separated by commas', tableList)
    .action(({ tables, ...given }: Shared & { tables?: string[] }) =>
      invoke({ action: 'snapshot', ...(tables === undefined ? {} : { tables }) }, optionsOf(given)),
    );
  action('snapshot-stop', 'end a snapshot, whole or of some tables')
    .option('--tables <list>', 'schema.table, separated by commas', tableList)
    .action(({ tables, ...given }: Shared & { tables?: string[] }) =>
      invoke({ action: 'snapshot-stop', ...(tables === undefined ? {} : { tables }) }, optionsOf(given)),
    );
  action('skip-transaction', 'advance over exactly one transaction that cannot be published, the first unconsumed one')
    .argument('<commit-lsn>', 'as the failing run names it, for example 0/16B3748')
    .option(
      '--max-seconds <n>',
      `give the server so long, 900 to ${WEEK_SECONDS} (900 unless given)`,
      number(LAMBDA_SECONDS, false, WEEK_SECONDS),
    )
    .action((commitLsn: string, given: Shared & RunFields) =>
      invoke({ action: 'skip-transaction', commitLsn }, optionsOf(given, 'maxSeconds')),
    );
}

/** Names of tables, separated by commas, of which one inside double quotes is part of a name. */
function tableList(text: string): string[] {
  return (text.match(/(?:"[^"]*"|[^,"]|")+/g) ?? []).map((name) => name.trim()).filter((name) => name !== '');
}

/** The options of a run. */
interface RunFields {
  readonly maxSeconds?: number;
  readonly maxBatches?: number;
  readonly resume?: unknown;
}

/**
 * How to invoke, by the options that all commands have, and by others.
 *
 * @throws {PipelineError} EVENT_INVALID for a region of nothing: the stream's is given otherwise
 */
function optionsOf(
  given: Shared & Pick<InvokeOptions, 'every' | 'maxSeconds'>,
  ...more: ('every' | 'maxSeconds')[]
): Omit<InvokeOptions, 'logJson'> {
  const deployed = fieldsOf(given, 'function', 'stack', 'region');
  const isDeployed = given.function !== undefined || given.stack !== undefined;
  if (given.region !== undefined && !isDeployed)
    throw new PipelineError(
      'EVENT_INVALID',
      '--region is that of a deployed function or stack, and neither --function nor --stack was given. Nothing was done.',
      { remedy: 'Give one of them, too; for the stream set AWS_REGION.' },
    );
  return { ...fieldsOf(given, 'json', ...more), ...(isDeployed ? { deployed } : {}) };
}

/** Some fields of an object, those that have a value. */
function fieldsOf<T extends object, K extends keyof T>(given: T, ...names: K[]): Pick<T, K> {
  const present = names.filter((name) => given[name] !== undefined);
  return Object.fromEntries(present.map((name) => [name, given[name]])) as Pick<T, K>;
}
