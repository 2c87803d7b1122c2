/**
 * Log lines and metrics: Powertools behind the ports Log and Metrics for the function, plain text for a terminal.
 * Knows no run. Values of rows, passwords and tokens never come here (I10).
 */
import { Logger } from '@aws-lambda-powertools/logger';
import { Metrics as Powertools } from '@aws-lambda-powertools/metrics';
import { METRICS } from '../metrics.ts';
import type { Log, Metrics } from '../ports/runtime.ts';
import { printable, printableJson } from '../printable.ts';

/** The namespace of all metrics. Alarms and dashboard use the same. */
export const NAMESPACE = 'pg2kinesis';

/** How much is logged. */
export type LogLevel = 'DEBUG' | 'INFO' | 'WARN' | 'ERROR';

/** A log whose level and request id can be set later. */
export interface FunctionLog extends Log {
  /** @param level - lines below it are not logged from now on */
  setLevel(level: LogLevel): void;
  /** @param requestId - added to every line from now on */
  setRequestId(requestId: string): void;
}

/**
 * The function's log: JSON lines by Powertools.
 *
 * @param service - the pipeline's name, in every line
 */
export function createFunctionLog(service: string): FunctionLog {
  const logger = new Logger({ serviceName: service });
  return {
    debug: (message, fields = {}) => logger.debug(message, fields),
    info: (message, fields = {}) => logger.info(message, fields),
    warn: (message, fields = {}) => logger.warn(message, fields),
    error: (message, fields = {}) => logger.error(message, fields),
    setLevel: (level) => logger.setLogLevel(level),
    setRequestId: (requestId) => logger.appendKeys({ function_request_id: requestId }),
  };
}

/**
 * The function's metrics: embedded metric format on the standard output, with `service` as the only dimension.
 *
 * @param service - the pipeline's unique name, which alarms name too
 */
export function createFunctionMetrics(service: string): Metrics {
  const metrics = new Powertools({ namespace: NAMESPACE, serviceName: service });
  return {
    add(name, value) {
      metrics.addMetric(name, METRICS[name].unit, value);
    },
    flush() {
      // Without metrics Powertools would log a warning.
      if (metrics.hasStoredMetrics()) metrics.publishStoredMetrics();
    },
  };
}

/** Metrics that go nowhere: the command line has the answer. */
export const noMetrics: Metrics = { add: () => undefined, flush: () => undefined };

const LEVELS = { DEBUG: 0, INFO: 1, WARN: 2, ERROR: 3 } as const;

/**
 * The command line's log.
 *
 * @param write - where a line goes; it has its line break
 * @param options - the least level shown; `json`: one JSON object a line; `now`: milliseconds since 1970
 */
export function createTerminalLog(
  write: (line: string) => void,
  options: { readonly level: LogLevel; readonly json: boolean; readonly now: () => number },
): Log {
  const at =
    (level: LogLevel) =>
    (message: string, fields: Record<string, unknown> = {}) => {
      if (LEVELS[level] < LEVELS[options.level]) return;
      const timestamp = new Date(options.now()).toISOString();
      if (options.json) {
        write(`${printableJson(toJson({ level, message, timestamp, ...fields }))}\n`);
      } else {
        const details = Object.entries(fields).map(
          ([name, value]) => ` ${name}=${typeof value === 'string' ? value : toJson(value)}`,
        );
        write(`${printable(`${timestamp} ${level} ${message}${details.join('')}`)}\n`);
      }
    };
  return { debug: at('DEBUG'), info: at('INFO'), warn: at('WARN'), error: at('ERROR') };
}

/** JSON of anything that is logged. */
function toJson(value: unknown): string {
  return JSON.stringify(value, (_key, part: unknown) => {
    if (typeof part === 'bigint') return String(part);
    return part instanceof Error ? { name: part.name, message: part.message } : part;
  });
}
