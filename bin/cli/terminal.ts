/** What the command line acts on, and what it ends with. The process is a terminal; tests bring theirs. */
import { printable } from '../../lambda/printable.ts';

/** Exit statuses, as docs/operations.md has them. `incomplete`: nothing failed, and it is not done or not known. */
export const EXIT = { ok: 0, failed: 1, usage: 2, incomplete: 3 } as const;

/** A second Ctrl-C: what a shell makes of SIGINT. */
export const INTERRUPTED = 130;

/** What Lambda gives an invocation at most, in seconds. At a terminal there may be more, where it is asked for. */
export const LAMBDA_SECONDS = 900;

/** The server's time-outs and ours can hold 24 days. */
export const WEEK_SECONDS = 604_800;

/** An output. */
export interface Output {
  write(text: string): unknown;
  readonly isTTY?: boolean;
  /** The width of a terminal's line, in characters. */
  readonly columns?: number;
}

/** @returns the width of a terminal's line, in characters; undefined: it is no terminal, or one that says 0, and so does not know */
export function widthOf({ isTTY, columns = 0 }: Output): number | undefined {
  return isTTY === true && columns > 0 ? columns : undefined;
}

/** @param output - gets a line @param text - may hold names, which can neither break the line nor move the cursor */
export function writeLine(output: Output, text: string): void {
  output.write(`${printable(text)}\n`);
}

/** Environment, output and signals. */
export interface Terminal {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Whether somebody is there to be asked. @default nobody is */
  readonly stdin?: { readonly isTTY?: boolean };
  readonly stdout: Output;
  readonly stderr: Output;
  on(signal: 'SIGINT' | 'SIGTERM', listener: () => void): unknown;
  off(signal: 'SIGINT' | 'SIGTERM', listener: () => void): unknown;
  exit(status: number): unknown;
}

/** Which deployed function is meant. */
export interface DeployedOptions {
  /** Its name, `name:alias`, or ARN. */
  readonly function?: string;
  /** The stack whose output names it. */
  readonly stack?: string;
  /** @default the ARN's, else the environment's or the profile's */
  readonly region?: string;
}

/** How an invocation is made. */
export interface InvokeOptions {
  /** Logs JSON lines. */
  readonly logJson: boolean;
  /** Prints the answer as a line of JSON. @default as text for people */
  readonly json?: boolean;
  /** Invoke again and again: seconds from start to start. @default once */
  readonly every?: number;
  /** Draws each answer in the place of the one before; with `every`. @default one below the other */
  readonly redraw?: boolean;
  /** Runs linger, whatever LINGER says. */
  readonly linger?: boolean;
  /** How many seconds it may take. @default 900 here; a drain of a deployed function a week, over several invocations */
  readonly maxSeconds?: number;
  /** The deployed function that is meant. @default the pipeline of this environment's settings */
  readonly deployed?: DeployedOptions;
}
