/** The command line in this process, called as a user calls it. For tests; knows no server. */
import { main } from '../../bin/cli/program.ts';
import { withEnvironment } from './scripted-endpoint.ts';

/** What a command left behind. */
export interface CliEnded {
  readonly status: number;
  readonly out: string;
  readonly err: string;
}

/** A command under way. */
export interface CliRunning {
  readonly ended: Promise<CliEnded>;
  /** As Ctrl-C. */
  readonly interrupt: () => void;
}

/**
 * Begins a command.
 *
 * @param args - its arguments
 * @param env - its environment, the SDK's part of it too
 */
export function beginCli(args: readonly string[], env: Readonly<Record<string, string>> = {}): CliRunning {
  let [out, err] = ['', ''];
  let interrupt: () => void = () => undefined;
  const ended = withEnvironment({ ...env }, () =>
    main(args, {
      env,
      stdout: { write: (text) => (out += text) },
      stderr: { write: (text) => (err += text) },
      on: (_, listener) => (interrupt = listener),
      off: () => undefined,
      exit: () => undefined,
    }),
  ).then((status) => ({ status, out, err }));
  return { ended, interrupt: () => interrupt() };
}

/** Runs a command to its end. */
export function runCli(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<CliEnded> {
  return beginCli(args, env).ended;
}
