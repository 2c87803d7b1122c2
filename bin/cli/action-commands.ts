/** The commands that invoke an action: their options, and the payload that each stands for. Knows no terminal. */
import type { Command } from 'commander';
import { LEAST_SECONDS } from '../../lambda/settings/event.ts';
import { number, readJson } from './option-values.ts';
import type { Payload } from './targets/target.ts';
import { type InvokeOptions, LAMBDA_SECONDS } from './terminal.ts';

/** The server's time-outs and ours can hold 24 days. */
const WEEK_SECONDS = 604_800;
/** How often `status --watch` asks, in seconds. */
const WATCH_SECONDS = 2;

/** Invokes an action with the options that all have. */
export type Invoke = (payload: Payload, options: Omit<InvokeOptions, 'logJson'>) => Promise<void>;

/** The options that every command here has. */
interface Shared {
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
    program.command(name).description(description).option('--json', 'print the answer as one line of JSON');
  const simple = (name: string, description: string): Command =>
    action(name, description).action((shared: Shared) => invoke({ action: name }, shared));

  action('run', 'publish what the slot holds, as the schedule does each minute')
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
    .action(({ every, json, ...fields }: Shared & { every?: number }) =>
      invoke({ action: 'run', ...fields }, { ...given({ every }), ...given({ json }) }),
    );
  action('drain', 'wait for the slot, then publish until caught up, for 15 minutes or as long as you say')
    .option(
      '--max-seconds <n>',
      `stop after so long, ${LEAST_SECONDS} to ${WEEK_SECONDS} (${LAMBDA_SECONDS} unless given)`,
      number(LEAST_SECONDS, false, WEEK_SECONDS),
    )
    .option('--resume <json>', 'the "resume" of an earlier answer', readJson)
    .action(({ maxSeconds = LAMBDA_SECONDS, json, ...fields }: Shared & { maxSeconds?: number }) =>
      // The payload is the function's, which has no more time than Lambda gives.
      invoke(
        { action: 'drain', ...fields, ...(maxSeconds < LAMBDA_SECONDS ? { maxSeconds } : {}) },
        { maxSeconds, ...given({ json }) },
      ),
    );
  action('status', 'tell where the slot is, its lag, and what holds WAL')
    .option('--watch', `ask again every ${WATCH_SECONDS} seconds, until Ctrl-C`)
    .action(({ watch, ...shared }: Shared & { watch?: boolean }) =>
      invoke({ action: 'status' }, watch ? { ...shared, every: WATCH_SECONDS, redraw: true } : shared),
    );
  simple('check', 'check every precondition, and tell what to do');
  action('create-slot', 'make the replication slot, unless it is there')
    .option('--on-standby', 'make it on a standby (PostgreSQL 16 and later), which the function then reads')
    .action(({ onStandby, ...shared }: Shared & { onStandby?: boolean }) =>
      invoke({ action: 'create-slot', ...(onStandby ? { onStandby } : {}) }, shared),
    );
  action(
    'copy-slot',
    'make the replication slot where another one stands, of the plugin that PLUGIN names; the other is kept',
  )
    .requiredOption('--from <slot>', 'the other slot')
    .action(({ from, ...shared }: Shared & { from: string }) => invoke({ action: 'copy-slot', from }, shared));
  action('drop-slot', 'drop the replication slot, if it is there and everything in it was read')
    .option('--yes', 'drop it with the changes in it that nobody has read')
    .action(({ yes, ...shared }: Shared & { yes?: boolean }) =>
      invoke({ action: 'drop-slot', ...(yes ? { discardUnread: true } : {}) }, shared),
    );
  simple(
    'refresh-keys',
    'read the primary keys of the tables again; a function keeps them for PRIMARY_KEY_TTL_SECONDS',
  );
  action('skip-transaction', 'advance over exactly one transaction that cannot be published, the first unconsumed one')
    .argument('<commit-lsn>', 'as the failing run names it, for example 0/16B3748')
    .option(
      '--max-seconds <n>',
      `give the server so long, 900 to ${WEEK_SECONDS} (900 unless given)`,
      number(LAMBDA_SECONDS, false, WEEK_SECONDS),
    )
    .action((commitLsn: string, { maxSeconds = LAMBDA_SECONDS, ...shared }: Shared & { maxSeconds?: number }) =>
      invoke({ action: 'skip-transaction', commitLsn }, { ...shared, maxSeconds }),
    );
}

/** A field, where it has a value. */
function given<T extends Record<string, unknown>>(field: T): { [K in keyof T]?: NonNullable<T[K]> } {
  return Object.fromEntries(Object.entries(field).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: NonNullable<T[K]>;
  };
}
