/**
 * The function in this process: its actions as the handler does them, with real settings and a real database, and a stream
 * in memory. For tests of what actions say, where neither Lambda nor Kinesis is the point.
 */
import { type Answer, perform } from '../../lambda/actions/actions.ts';
import { systemClock } from '../../lambda/clock.ts';
import { type Container, createContainer } from '../../lambda/container.ts';
import { PipelineError } from '../../lambda/errors.ts';
import type { Publisher } from '../../lambda/ports/publisher.ts';
import type { Log, Metrics } from '../../lambda/ports/runtime.ts';
import { readConfig } from '../../lambda/settings/config.ts';
import { readEvent } from '../../lambda/settings/event.ts';

/** A container of the function. */
export class InProcessFunction {
  /** The data of every record published, as text, without marks. */
  readonly published: string[] = [];
  /** All of it, marks too, and where it went: with `MARKS=on` into lanes of lines. */
  readonly arrived: { readonly partitionKey: string; readonly text: string }[] = [];
  /** Lines of the log: `warn The slot ... {}`. */
  readonly lines: string[] = [];
  readonly values: [string, number][] = [];
  readonly #container: Container;

  /** @param env - its variables, besides those of every test: the format json, the slot pg2kinesis, no TLS */
  constructor(env: Readonly<Record<string, string>>) {
    const write =
      (level: string) =>
      (message: string, fields: Record<string, unknown> = {}): void => {
        this.lines.push(`${level} ${message} ${JSON.stringify(fields)}`);
      };
    const log: Log = { debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error') };
    const metrics: Metrics = { add: (name, value) => this.values.push([name, value]), flush: () => undefined };
    const hasMarks = env['MARKS'] === 'on';
    const packing = hasMarks ? { AGGREGATION: 'lines', LANES: '2' } : { AGGREGATION: 'none' };
    const config = readConfig({ PGSSLMODE: 'disable', FORMAT: 'json', ...packing, ...env });
    const publisher: Publisher = {
      publish: (round) => {
        for (const { data, partitionKey } of round.entries) {
          const text = Buffer.from(data).toString();
          for (const each of hasMarks ? text.split('\n').filter(Boolean) : [text]) {
            this.arrived.push({ partitionKey, text: each });
            if (!each.startsWith('{"op":"MARK"')) this.published.push(each);
          }
        }
        return Promise.resolve({ complete: true, throttledEntries: 0 });
      },
    };
    this.#container = {
      ...createContainer(config, { clock: systemClock, log, metrics }),
      publisher,
      requireRegion: () => Promise.resolve(),
      describeStream: () => Promise.resolve({ where: 'here', kind: 'unreachable', reason: 'a stream in memory' }),
    };
  }

  /** What was published, read as the format `json`. */
  get records(): {
    readonly id: string;
    readonly table: string;
    readonly commitLsn: string;
    readonly key: { readonly id: number };
  }[] {
    return this.published.map((text) => JSON.parse(text) as (typeof this.records)[number]);
  }

  /** Warnings that were logged. */
  get warnings(): string[] {
    return this.lines.filter((line) => line.startsWith('warn'));
  }

  /**
   * Invokes it, with a time-out of a minute.
   *
   * @param event - a payload
   * @throws {PipelineError} as the handler does
   */
  async invoke(event: unknown): Promise<Record<string, unknown>> {
    const startedAt = systemClock.now();
    const answer: Answer = await perform(readEvent(event), this.#container, {
      startedAt,
      functionDeadline: startedAt + 60_000,
      leaseExpiresAt: startedAt + 62_000,
    });
    return { ...answer };
  }

  /** Invokes it. @returns the error's message. @throws {Error} where it does not fail */
  async refusal(event: unknown): Promise<string> {
    try {
      const answer = await this.invoke(event);
      throw new Error(`it did not fail: ${JSON.stringify(answer)}`);
    } catch (error) {
      if (error instanceof PipelineError) return error.message;
      throw error;
    }
  }
}
