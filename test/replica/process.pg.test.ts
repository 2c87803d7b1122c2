// A replica as a process: how it ends, what it calls and may do, what it leaves out, and what readers of the copy see meanwhile.
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { MergeShardsCommand, SplitShardCommand } from '@aws-sdk/client-kinesis';
import { replicate } from '../../bin/replicate/replicate.ts';
import type { Container } from '../chaos/container.ts';
import { eventually, NAME } from '../chaos/environment.ts';
import { runCli } from '../support/cli.ts';
import { TESTED_MAJOR } from '../support/postgres.ts';
import { BANK, Bank, BANK_TABLES, FILL } from './support/bank.ts';
import { type ReadingEndpoint, startReadingEndpoint } from './support/reading-endpoint.ts';
import { hashes, ReplicaRig } from './support/replica-rig.ts';

let rig: ReplicaRig;
let endpoint: ReadingEndpoint;
let bank: Bank;
let container: Container;
/** What was called of the stream, by every replica here. */
const called = new Set<string>();

const catchUp = (...flags: string[]) =>
  runCli(['replicate', '--once', '--json', ...flags], { ...rig.env(), AWS_ENDPOINT_URL_KINESIS: endpoint.endpoint });

const assertEqual = async (): Promise<void> =>
  assert.deepEqual(await hashes(rig.target, BANK_TABLES), await hashes(rig.source, BANK_TABLES));

const cutOf = async (): Promise<string | undefined> =>
  (await rig.target.sql<{ cut: string }>('SELECT cut::text FROM pg2kinesis.replica'))[0]?.cut;

async function publish(count = 10): Promise<void> {
  for (let i = 0; i < count; i++) await bank.write();
  await container.run({ action: 'drain' });
}

/** A replica in the middle of a batch: a table of the target is locked. */
async function inBatch(): Promise<{
  readonly child: ChildProcess;
  readonly said: () => string;
  readonly ended: Promise<unknown[]>;
  readonly release: () => Promise<void>;
}> {
  const locker = await rig.target.client();
  await locker.query('BEGIN; LOCK TABLE public.left_accounts');
  await rig.source.sql('UPDATE public.left_accounts SET amount = amount');
  await publish(0);
  const child = rig.begin();
  let err = '';
  child.stderr?.on('data', (text: Buffer) => (err += text.toString()));
  child.stdout?.resume();
  const ended = once(child, 'close');
  await eventually(
    async () =>
      (await rig.target.sql(`SELECT 1 FROM pg_locks WHERE relation = 'public.left_accounts'::regclass AND NOT granted`))
        .length > 0,
    'a batch is under way',
  );
  return { child, said: () => err, ended, release: () => locker.end() };
}

describe('a replica as a process', () => {
  before(async () => {
    rig = await ReplicaRig.start();
    endpoint = await startReadingEndpoint(rig.environment.kinesis.endpoint);
    endpoint.refuse = (action) => {
      called.add(action);
      return undefined;
    };
    await rig.createSlot();
    await Promise.all([rig.source.sql(BANK), rig.target.sql(BANK)]);
    await rig.source.sql(FILL);
    container = await rig.environment.container({ MARKS: 'on' });
    bank = new Bank(await rig.source.client(), 9);
  });
  after(async () => {
    await endpoint.stop();
    await rig.stop();
  });

  it('calls exactly what docs/replica.md asks rights for, whatever becomes of shards and iterators', async () => {
    await publish();
    assert.equal((await catchUp()).status, 0);
    const { client } = rig.environment.kinesis;
    const open = async () =>
      (await rig.environment.kinesis.shards(NAME)).filter(
        ({ SequenceNumberRange: range }) => range?.EndingSequenceNumber === undefined,
      );
    const [shard] = await open();
    const { StartingHashKey: start = '0', EndingHashKey: end = '0' } = shard?.HashKeyRange ?? {};
    const middle = String((BigInt(start) + BigInt(end)) / 2n);
    await client.send(
      new SplitShardCommand({ StreamName: NAME, ShardToSplit: shard?.ShardId, NewStartingHashKey: middle }),
    );
    const [a, b] = (await open()).filter(({ ParentShardId: parent }) => parent === shard?.ShardId);
    await client.send(
      new MergeShardsCommand({ StreamName: NAME, ShardToMerge: a?.ShardId, AdjacentShardToMerge: b?.ShardId }),
    );
    await publish();
    let calls = 0;
    endpoint.refuse = (action) => {
      called.add(action);
      return action === 'GetRecords' && ++calls === 2 ? 'ExpiredIteratorException' : undefined;
    };
    assert.equal((await catchUp()).status, 0);
    await rig.target.sql('CREATE DATABASE tables_are_elsewhere');
    const fast = await catchUp('--fast', '--to', rig.env('tables_are_elsewhere')['REPLICATE_TO'] ?? '');
    assert.match(fast.err, /TARGET_LACKS_TABLE/);
    const docs = readFileSync(new URL('../../docs/replica.md', import.meta.url), 'utf8');
    const [, rights = ''] = /\*\*Rights on the stream\*\*: (.*)\./.exec(docs) ?? [];
    const granted = [...rights.matchAll(/`kinesis:(\w+)`/g)].map(([, action]) => action);
    assert.deepEqual([...called].toSorted(), granted.toSorted());
    await assertEqual();
  });

  it('ends after the batch that is under way on SIGTERM', async () => {
    const before = await cutOf();
    const { child, said, ended, release } = await inBatch();
    child.kill('SIGTERM');
    await eventually(() => said().includes('Ending when this batch is applied.'), 'it says so');
    assert.equal(child.exitCode, null);
    await release();
    assert.deepEqual(await ended, [0, null], said());
    assert.notEqual(await cutOf(), before);
    await assertEqual();
  });

  it('ends at once on a second Ctrl-C, with rows and position as they were', async () => {
    const before = await cutOf();
    const { child, said, ended, release } = await inBatch();
    child.kill('SIGINT');
    await eventually(() => said().includes('Press Ctrl-C again to end at once.'), 'it says so');
    child.kill('SIGINT');
    assert.deepEqual(await ended, [130, null], said());
    await release();
    assert.equal(await cutOf(), before);
    assert.equal((await catchUp()).status, 0);
    await assertEqual();
  });

  it('leaves a reader with an older snapshot an empty table over a TRUNCATE, and its rows over a DELETE in its place', async () => {
    await rig.source.sql(`INSERT INTO public.orders (id, part) VALUES (1e9, 'z')`);
    await publish();
    assert.equal((await catchUp()).status, 0);
    const reader = await rig.target.client();
    await reader.query('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1');
    await rig.source.sql('TRUNCATE public.orders, public.right_accounts');
    await publish(0);
    assert.equal((await catchUp()).status, 0);
    const count = async (table: string) =>
      Number((await reader.query<{ n: string }>(`SELECT count(*) AS n FROM public.${table}`)).rows[0]?.n);
    // Orders refer to the accounts, which are therefore deleted from.
    assert.equal(await count('right_accounts'), 10);
    // Before 11 a TRUNCATE is not in the stream: see docs/limits.md.
    if (TESTED_MAJOR >= 11) assert.equal(await count('orders'), 0);
    else assert.ok((await count('orders')) > 0);
    await reader.end();
    if (TESTED_MAJOR >= 11) await assertEqual();
    else await rig.target.sql('TRUNCATE public.orders, public.right_accounts');
    await rig.source.sql(
      `INSERT INTO public.right_accounts SELECT i, 50, i, repeat('r', 3000) FROM generate_series(1, 10) AS i`,
    );
    await publish(0);
    assert.equal((await catchUp()).status, 0);
    await assertEqual();
  });

  it('stops at a change that was too large for a record, or leaves it out and counts it', async () => {
    await rig.source.sql(`BEGIN; INSERT INTO public.left_accounts VALUES (700, 0, repeat('x', 1200000));
      UPDATE public.left_accounts SET note = repeat('y', 1200000) WHERE id = 2;
      UPDATE public.left_accounts SET id = 800, note = repeat('z', 1200000) WHERE id = 4;
      UPDATE public.left_accounts SET amount = amount + 1 WHERE id = 3; COMMIT`);
    await publish(0);
    const before = await cutOf();
    const refused = await catchUp();
    assert.equal(refused.status, 3, refused.err);
    assert.match(
      refused.err,
      /RECORD_UNUSABLE: The (INSERT|UPDATE) of public\.left_accounts in the transaction .* was published without its row: it was too large for a record .*start with --skip-truncated/,
    );
    assert.equal(await cutOf(), before);
    const { status, out, err } = await catchUp('--skip-truncated');
    assert.equal(status, 0, err);
    const end = JSON.parse(out.trim().split('\n').at(-1) ?? '') as Record<string, unknown>;
    // The half that leaves the old key is small.
    assert.deepEqual([end['truncated'], end['changes']], [3, 2]);
    const rows = async (server: typeof rig.target) =>
      await server.sql(
        `SELECT id, amount, length(note) > 1000000 AS large FROM public.left_accounts WHERE id IN (2, 3, 4, 700, 800) ORDER BY id`,
      );
    const [source, target] = await Promise.all([rig.source, rig.target].map(rows));
    assert.deepEqual(source?.length, 4);
    // The one has its old values, the new one and the one that got another key are not there, and the rest of the transaction is.
    assert.deepEqual(
      target?.map((row) => row['large'] as unknown),
      [false, false],
    );
    assert.deepEqual(target[1], source[1]);
    await rig.source.sql(`UPDATE public.left_accounts SET note = 'small' WHERE id IN (2, 700, 800)`);
    await publish(0);
    assert.equal((await catchUp()).status, 0);
    await assertEqual();
  });

  it('compares nothing where a transaction that writes stays open for too long, and lets the replica go on', async () => {
    const writer = await rig.source.client();
    await writer.query('BEGIN; UPDATE public.left_accounts SET amount = amount WHERE id = 1');
    const quiet = { write: () => true };
    const terminal = { env: rig.env(), stdout: quiet, stderr: quiet, on: () => 0, off: () => 0, exit: () => undefined };
    const options = { stream: NAME, to: rig.env()['REPLICATE_TO'] ?? '', from: rig.from, verify: true };
    const { client } = rig.environment.kinesis;
    await assert.rejects(
      replicate(options, terminal, { client, patienceMs: 1_000 }),
      /VERIFY_IMPOSSIBLE: No state of the source can be had: transactions that write were open for 1 s\. Nothing was compared\./,
    );
    await writer.query('COMMIT');
    await writer.end();
    // The server notices that the client has gone once the transaction has ended.
    await eventually(
      async () => (await rig.source.sql(`SELECT FROM pg_replication_slots WHERE slot_name <> $1`, [NAME])).length === 0,
      'no slot is left',
    );
    await publish();
    assert.equal((await catchUp()).status, 0);
    await assertEqual();
  });
});
