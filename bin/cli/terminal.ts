/** What the command line acts on, and what it ends with. The process is a terminal; tests bring theirs. */

/** Exit statuses, as docs/operations.md has them. `incomplete`: nothing failed, and it is not done or not known. */
export const EXIT = { ok: 0, failed: 1, usage: 2, incomplete: 3 } as const;

/** What Lambda gives an invocation at most, in seconds. At a terminal there may be more, where it is asked for. */
export const LAMBDA_SECONDS = 900;

/** Environment, output and signals. */
export interface Terminal {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stdout: { write(text: string): unknown; readonly isTTY?: boolean };
  readonly stderr: { write(text: string): unknown };
  on(signal: 'SIGINT' | 'SIGTERM', listener: () => void): unknown;
  off(signal: 'SIGINT' | 'SIGTERM', listener: () => void): unknown;
  exit(status: number): unknown;
}

/** How an invocation is made. */
export interface InvokeOptions {
  /** Logs JSON lines. */
  readonly logJson: boolean;
  /** Invoke again and again: seconds from start to start. @default once */
  readonly every?: number;
  /** How many seconds an invocation may take, where it is more than Lambda allows. @default 900 */
  readonly maxSeconds?: number;
}
