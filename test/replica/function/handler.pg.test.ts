/** What Lambda invokes of a `StreamReplica`: the handler itself, with its environment and its context. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { Context, KinesisStreamBatchResponse, KinesisStreamEvent } from 'aws-lambda';
import { type PostgresServer, startPostgres } from '../../support/postgres.ts';
import { eventOf, eventOfData, insertOf } from '../support/function-rig.ts';

/** What is left of an invocation's time. */
const REMAINING_MS = 20_000;
const CONTEXT = { awsRequestId: 'r', getRemainingTimeInMillis: () => REMAINING_MS } as Context;

let target: PostgresServer;
let handler: (event: KinesisStreamEvent, context: Context) => Promise<KinesisStreamBatchResponse>;

describe('the handler of a StreamReplica', () => {
  before(async () => {
    target = await startPostgres();
    await target.sql(
      `CREATE TABLE public.places (id int PRIMARY KEY, body text, big text); CREATE TABLE public.limits (ms int);
       CREATE FUNCTION public.note() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN
         INSERT INTO public.limits SELECT setting::int FROM pg_settings WHERE name IN ('lock_timeout', 'statement_timeout'); RETURN NEW; END$$;
       CREATE TRIGGER notes BEFORE INSERT ON public.places FOR EACH ROW EXECUTE PROCEDURE public.note();
       ALTER TABLE public.places ENABLE ALWAYS TRIGGER notes`,
    );
    const { user, password, host, port, database } = target.connection;
    const login = { PGHOST: host, PGPORT: String(port), PGDATABASE: database, PGUSER: user, PGPASSWORD: password };
    Object.assign(process.env, { ...login, PGSSLMODE: 'disable', TRIGGERS: 'on' });
    // It reads its environment when it is loaded.
    ({ handler } = await import('../../../replica/function/handler.ts'));
  });
  after(() => target.stop());

  it('lets no statement at the target last longer than the invocation', async () => {
    assert.deepEqual(await handler(eventOf(insertOf('s', 1)), CONTEXT), { batchItemFailures: [] });
    const limits = await target.sql<{ ms: number }>('SELECT ms FROM public.limits');
    assert.equal(limits.length, 2);
    for (const { ms } of limits) assert.ok(ms > 0 && ms < REMAINING_MS, `${ms} ms`);
  });

  it('fails by its code where a record cannot be unpacked, and goes on with the next batch', async () => {
    await assert.rejects(handler(eventOfData([Buffer.from('1f8b', 'hex')]), CONTEXT), /^RECORD_UNUSABLE: .*unpacked/);
    assert.deepEqual(await handler(eventOf(insertOf('s', 2)), CONTEXT), { batchItemFailures: [] });
    assert.equal((await target.sql('SELECT FROM public.places WHERE id = 2')).length, 1);
  });
});
