/** What the command line acts on. Types only: the process is one, tests bring theirs. */

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
}
