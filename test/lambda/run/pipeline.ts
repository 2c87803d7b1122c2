/** The run loop over a real slot, and a stream in memory: what was published, and by which error a run ended. */
import assert from 'node:assert/strict';
import { parseLsn } from '../../../lambda/decode/lsn.ts';
import type { PipelineError } from '../../../lambda/errors.ts';
import type { Session } from '../../../lambda/ports/session.ts';
import { run } from '../../../lambda/run/run.ts';
import { skipFirstTransaction } from '../../../lambda/run/skip-first-transaction.ts';
import { FakeKeys, FakeSlot } from '../../support/fake-slot.ts';
import type { PostgresServer } from '../../support/postgres.ts';
import { runKit } from '../../support/run-kit.ts';
import { clock, sessionOn } from '../postgres/fixtures.ts';

/**
 * Makes a slot and a pipeline over it.
 *
 * @param server - where
 * @param name - the slot's
 */
export async function pipelineOn(server: PostgresServer, name: string) {
  await server.createSlot(name);
  const kit = runKit(new FakeSlot(), new FakeKeys({ 'public.t': {} }));
  const onSession = async <T>(work: (session: Session) => Promise<T>): Promise<T> => {
    const session = await sessionOn(server, name);
    try {
      return await work(session);
    } finally {
      await session.close();
    }
  };
  const skip = (commitLsn: string) =>
    onSession(({ slot }) => skipFirstTransaction(slot, clock, parseLsn(commitLsn) ?? 0n, Date.now() + 60_000));
  const runs = (changes: { maxRows?: number } = {}) =>
    onSession((session) => run({ ...kit.ports, session }, kit.options(changes)));
  /** Runs, and fails. @returns the error and the commit LSN that it names */
  const refused = async (changes: { maxRows?: number } = {}) => {
    const error = await runs(changes).then(
      (answer) => assert.fail(`it did not fail: ${JSON.stringify(answer)}`),
      (caught: unknown) => caught as PipelineError,
    );
    return { error, commitLsn: /commit LSN ([0-9A-F]+\/[0-9A-F]+)/.exec(error.message)?.[1] ?? 'none' };
  };
  /** The keys that were published, in order. */
  const keys = () => kit.publisher.acknowledged.map((record) => Number(record.split(',').at(-1)));
  return { skip, runs, refused, keys };
}
