/** What the demo can be told; what is left out has the pipeline's own default. */
export interface DemoOptions {
  /** End by itself after so many seconds. @default until Ctrl-C */
  readonly seconds?: number;
  /** Changes a second to make, roughly. @default 60 */
  readonly rate?: number;
  /** Seconds between two invocations of the function. @default 2 */
  readonly every?: number;
  /** Shards of the stream. @default 4 */
  readonly shards?: number;
  /** Settings of the function to pass through, by the variables' names: `{ FORMAT: 'json' }`; its config judges them. */
  readonly settings?: Readonly<Record<string, string>>;
}

/**
 * Runs the demo.
 *
 * @param options - how long, how fast, with which settings
 * @returns the exit status: 0 when everything committed arrived, in order
 */
export function runDemo(options: DemoOptions = {}): Promise<number> {
  return Promise.reject(new Error(`not built yet: ${JSON.stringify(options)}`));
}
