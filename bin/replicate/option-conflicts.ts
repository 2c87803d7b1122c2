/** Options of `replicate` that do not go together. They are refused before anything is read or written. Pure. */
import { ReplicaError } from '../../replica/errors.ts';
import type { ReplicateOptions } from './options.ts';

/** An option, by its name, and whether it was given. */
const GIVEN = {
  '--create-tables': ({ createTables }) => createTables !== undefined,
  '--start-after': ({ startAfter }) => startAfter !== undefined,
  '--await-snapshot': ({ awaitSnapshot }) => awaitSnapshot === true,
  '--fast': ({ fast }) => fast === true,
  '--finish': ({ finish }) => finish === true,
  '--once': ({ once }) => once === true,
  '--take-over': ({ takeOver }) => takeOver === true,
  '--skip-truncated': ({ skipTruncated }) => skipTruncated === true,
  '--skip-missing': ({ skipMissing }) => skipMissing === true,
  '--triggers': ({ triggers }) => triggers === true,
  '--source': ({ source }) => source !== undefined,
  '--pg-dump': ({ pgDump }) => pgDump !== undefined,
} as const satisfies Readonly<Record<string, (options: ReplicateOptions) => boolean>>;

type Option = keyof typeof GIVEN;

/**
 * @param options - as they were given
 * @throws {ReplicaError} REPLICA_USAGE naming those that do not go together, and why
 */
export function refuseContradictions(options: ReplicateOptions): void {
  const given = (option: Option) => GIVEN[option](options);
  const refuse = (what: string, remedy: string): never => {
    throw new ReplicaError('REPLICA_USAGE', `${what} Nothing was done.`, { remedy });
  };
  const others = (Object.keys(GIVEN) as Option[]).filter(given);
  if (options.verify === true && others.length > 0)
    refuse(
      `--verify only compares, and ${others.join(', ')} would have no effect.`,
      'Give one of them; a replica goes on meanwhile.',
    );
  if (options.skipLacking === true && options.verify !== true)
    refuse(
      '--skip-lacking is about what --verify compares, which was not given.',
      'Give --verify, too, or leave --skip-lacking out.',
    );
  if (given('--pg-dump') && !given('--create-tables'))
    refuse(
      '--pg-dump is the program of --create-tables, which was not given.',
      'Give --create-tables, too, or leave --pg-dump out.',
    );
  if (options.yes === true && !given('--finish'))
    refuse('--yes sets the sequences of --finish, which was not given.', 'Give --finish, too, or leave --yes out.');
  if (given('--finish') && given('--fast'))
    refuse(
      '--finish is not for --fast: a copy of that kind knows no state of the source.',
      'End all writing at the source, drain, wait until the copy has caught up, and set its sequences.',
    );
  if (given('--finish') && given('--once'))
    refuse(
      '--finish waits until the copy has come to the source’s end, and --once ends at what is in the stream now.',
      'Give one of them.',
    );
  if (given('--start-after') && given('--create-tables'))
    refuse(
      '--start-after says that the target holds its rows, and --create-tables makes tables without rows.',
      'Give one of them: with --start-after load tables and rows by pg_dump, with --create-tables the rows come by a snapshot.',
    );
  if (given('--start-after') && given('--await-snapshot'))
    refuse(
      '--start-after says that the target holds its rows, and --await-snapshot that they are still to come.',
      'Give one of them.',
    );
}
