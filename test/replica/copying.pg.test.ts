// A copy of tables that had rows before the slot: the snapshot's rows come amid changes, and the copy says until when it is none.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import type { Mark } from '../../lib/consumer/consumer.ts';
import { eventually } from '../chaos/environment.ts';
import { randomOf } from './rules/model/random.ts';
import { BANK, Bank, BANK_TABLES, FILL, TOTAL } from './support/bank.ts';
import { hashes, kill, ReplicaRig } from './support/replica-rig.ts';

let rig: ReplicaRig;

describe('pg2kinesis replicate, with a snapshot', () => {
  before(async () => {
    rig = await ReplicaRig.start();
    await Promise.all([rig.source.sql(BANK), rig.target.sql(BANK)]);
    await rig.source.sql(FILL);
    // Enough for several chunks.
    await rig.source.sql(
      `INSERT INTO public.orders SELECT i, 'old', 1 + i % 10, NULL, NULL, repeat(md5(i::text), 100) FROM generate_series(1000, 2500) AS i`,
    );
    await rig.source.sql('GRANT SELECT ON ALL TABLES IN SCHEMA public TO cdc');
    await rig.createSlot();
  });
  after(() => rig.stop());

  it('refuses an update of a row that it does not have, unless a snapshot is awaited', async () => {
    const bank = new Bank(await rig.source.client(), 1);
    await rig.source.sql('UPDATE public.left_accounts SET amount = amount WHERE id = 1');
    for (let i = 0; i < 20; i++) await bank.write();
    await rig.drain();
    const refused = await rig.catchUp();
    assert.equal(refused.status, 3, refused.err);
    assert.match(refused.err, /MISSING_ROW: .* with --await-snapshot\./);
    await rig.target.sql('DELETE FROM pg2kinesis.replica; DELETE FROM pg2kinesis.replica_shard');
    const { status, err, out } = await rig.catchUp(['--await-snapshot']);
    assert.equal(status, 0, err);
    const end = JSON.parse(out.trim().split('\n').at(-1) ?? '') as Record<string, unknown>;
    assert.equal(end['copying'], 'awaited');
    assert.ok(Number(end['awaitingRead']) > 0);
  });

  it('equals the source from the snapshot’s end on, under a writer, while it and the function are killed', async () => {
    const { int } = randomOf(2);
    const bank = new Bank(await rig.source.client(), 2);
    const reader = await rig.target.client();
    const written = new AbortController();
    const isWritten = (): boolean => written.signal.aborted;
    const sums = new Set<string>();
    const states = new Set<string>();
    const look = async (): Promise<void> => {
      const { rows } = await reader.query<{ state: string | null; sum: string }>(
        `SELECT (SELECT copying::text FROM pg2kinesis.replica) AS state,
           ((SELECT sum(amount) FROM public.left_accounts) + (SELECT sum(amount) FROM public.right_accounts))::text AS sum`,
      );
      const { state = null, sum } = rows[0] ?? {};
      states.add(state ?? 'equal');
      if (state === null) sums.add(sum ?? 'none');
    };
    const looking = new AbortController();
    const looks = (async () => {
      for (; !looking.signal.aborted; await wait(2)) await look();
    })();
    const write = async (): Promise<void> => {
      try {
        for (let i = 0; i < 150; i++) {
          await bank.write();
          await wait(int(25));
        }
        await eventually(() => states.size > 1, 'the copy knows of the snapshot');
      } finally {
        written.abort();
      }
    };
    const run = async (): Promise<void> => {
      const asking = await rig.environment.container({ MARKS: 'on' });
      const asked = asking.invoke({ action: 'snapshot', tables: [...BANK_TABLES] });
      await eventually(() => isWritten() || states.size > 1, 'the copy knows of the snapshot');
      await asking.kill();
      await asked;
      while (!isWritten()) {
        const container = await rig.environment.container({ MARKS: 'on' });
        for (let runs = 0; runs < 3 && !isWritten(); runs++) {
          const invoked = container.invoke({ action: 'run', maxSeconds: 20 });
          if (runs === 2) await wait(int(150)).then(() => container.kill());
          await invoked;
        }
        await container.kill();
      }
    };
    const cut = async (): Promise<string | undefined> =>
      (await rig.target.sql<{ cut: string }>('SELECT cut::text FROM pg2kinesis.replica'))[0]?.cut;
    const replicate = async (): Promise<void> => {
      while (!isWritten()) {
        const replica = rig.begin();
        let err = '';
        replica.stderr?.on('data', (text: Buffer) => (err += text.toString()));
        replica.stdout?.resume();
        // Not before it has applied something: a busy machine takes its time to start it.
        const before = await cut();
        await eventually(
          async () => isWritten() || replica.exitCode !== null || (await cut()) !== before,
          'something is applied',
        );
        await wait(int(400));
        assert.equal(replica.exitCode, null, `the replica ended by itself: ${err}`);
        await kill(replica);
      }
    };
    await Promise.all([run(), replicate(), write()]);
    await eventually(async () => (await rig.environment.lockHolder()) === undefined, 'the lock is free');
    for (let i = 0; i < 2; i++) {
      await rig.drain();
      const { status, err } = await rig.catchUp();
      assert.equal(status, 0, err);
      if (i === 0) for (let left = 0; left < 20; left++) await bank.write();
    }
    await look();
    looking.abort();
    await looks;
    assert.deepEqual([...sums], [String(TOTAL)]);
    assert.ok(states.has('equal') && states.has('"awaited"'), [...states].join());
    assert.deepEqual(await hashes(rig.target, BANK_TABLES), await hashes(rig.source, BANK_TABLES));
    const marks = (await rig.environment.marked()).marks.map(({ text }) => JSON.parse(text) as Mark);
    const told = marks.filter(({ reading, read }) => (reading ?? read) !== undefined);
    assert.ok(told.length > 0 && told.every(({ lane, forks }) => lane === 0 && forks === undefined));
  });
});
