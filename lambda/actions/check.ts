/**
 * `check`: every precondition, with what to do. Reads and changes nothing; facts are read in `postgres/check-queries.ts` and
 * `kinesis/describe-stream.ts` and checked in `health/`.
 */
import type { Container } from '../container.ts';
import { PipelineError } from '../errors.ts';
import type { Finding } from '../health/finding.ts';
import { checkFastCopies, checkMarks } from '../health/marks-health.ts';
import { checkServer } from '../health/server-health.ts';
import { checkStream } from '../health/stream-health.ts';
import { readCheck } from '../postgres/check-queries.ts';
import type { Connection } from '../postgres/connection.ts';
import { codeOf } from '../postgres/error-context.ts';
import { readPublications } from '../postgres/publication-queries.ts';
import { readUnfitTables } from '../postgres/row-order.ts';
import { type EffectiveSetting, withFound } from '../settings/effective-settings.ts';
import { requireCompression } from './require-compression.ts';

/** How long DescribeStreamSummary may take. */
const DESCRIBE_MS = 10_000;

/** What `check` answers. */
export interface CheckAnswer {
  readonly action: 'check';
  readonly slot: string;
  /** Whether every finding is `ok`: none is missing, failed or unknown. */
  readonly ok: boolean;
  readonly findings: readonly Finding[];
  /** The settings that have a value, and where each came from. Secrets are not shown. */
  readonly settings: readonly EffectiveSetting[];
}

/**
 * Checks every precondition. A database that cannot be reached is a finding, and the stream is checked all the same.
 *
 * @param container - settings, database, stream
 * @param deadline - when it must have answered, milliseconds since 1970
 * @param connected - does work on a connection
 * @param library - what compresses @default Node.js's own
 */
export async function check(
  container: Container,
  deadline: number,
  connected: (work: (connection: Connection) => Promise<Finding[]>) => Promise<Finding[]>,
  library?: object,
): Promise<CheckAnswer> {
  const { config, clock, database } = container;
  const describeMs = Math.max(1, Math.min(DESCRIBE_MS, deadline - clock.now()));
  const [server, stream, settings, formatter] = await Promise.all([
    connected(async (connection) => {
      const facts = await readCheck(connection.client, config.slot, config.standbySlots);
      const publications =
        config.plugin === 'pgoutput' ? await readPublications(connection, config.publications, config.slot) : undefined;
      const found = checkServer({ ...facts, publications }, config);
      if (!config.marks) return found;
      // Asked last, and only where a replica is spoken of: what cannot be found out of copies says nothing against the source.
      const unfit = await readUnfitTables(connection.client).catch(refusalOf);
      return [...found, ...checkFastCopies(unfit, facts.tables, config)];
    }).then(
      (findings): Finding[] => [{ check: 'database', state: 'ok', found: 'reached' }, ...findings],
      (error: unknown): Finding[] => [faultOf('database', error)],
    ),
    container.describeStream(describeMs),
    effectiveSettings(container),
    container.formatter().then(
      () => [],
      (error: unknown): Finding[] => [faultOf('settings', error)],
    ),
  ]);
  const findings = [
    ...server,
    checkStream(stream, config),
    ...checkMarks(config),
    ...formatter,
    ...compressionFaults(),
    ...config.warnings.map(warning),
  ];
  // What could not be found out is not ok: a run may fail by it.
  const ok = findings.every(({ state }) => state === 'ok' || state === 'warning');
  return { action: 'check', slot: config.slot, ok, findings, settings };

  function compressionFaults(): Finding[] {
    try {
      requireCompression(config.compression, library);
      return [];
    } catch (error) {
      return [faultOf('settings', error)];
    }
  }

  async function effectiveSettings({ region }: Container): Promise<readonly EffectiveSetting[]> {
    // A secret that cannot be read is a finding of the database's.
    const login = await database.credentials.get().catch(() => undefined);
    return withFound(config.inForce, {
      login,
      fromSecret: config.database.secretArn !== undefined,
      slot: config.slot,
      streamRegion: config.stream.region,
      region: await region(),
    });
  }
}

/** An error of the table as a finding. @throws what is none */
function faultOf(what: 'database' | 'settings', error: unknown): Finding {
  if (!(error instanceof PipelineError)) throw error;
  return { check: what, state: 'fault', found: `${error.code}: ${error.what}`, todo: error.remedy };
}

/** @returns the SQLSTATE of what the server refused @throws what is no answer of the server */
function refusalOf(error: unknown): string {
  const code = codeOf(error);
  if (!/^[0-9A-Z]{5}$/.test(code)) throw error;
  return code;
}

function warning(text: string): Finding {
  return { check: 'settings', state: 'warning', found: text };
}
