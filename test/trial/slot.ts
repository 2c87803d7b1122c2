/** Steps D and H of the trial: states of the slot, waits, interruptions. */
import type pg from 'pg';
import { lockKey } from '../../lambda/postgres/slot-lock.ts';
import { compare, type Environment } from './environment.ts';

type It = (name: string, step: () => Promise<void>) => unknown;

/** Registers the steps. They begin and end without a slot. */
export function slotSteps(it: It, environment: () => Environment): void {
  const drop = async (name = 'pg2kinesis'): Promise<void> => {
    await environment().sql(`SELECT pg_drop_replication_slot('${name}')`);
  };
  const app = (name: string, over: object = {}): Promise<pg.Client> =>
    environment().server.client({ database: 'app', application_name: name, ...over });

  for (const [what, make, found] of [
    ['another plugin', `pg_create_logical_replication_slot('pg2kinesis', 'pgoutput')`, 'of the plugin pgoutput'],
    ['a physical slot', `pg_create_physical_replication_slot('pg2kinesis', true)`, 'a physical slot'],
  ] as const) {
    it(`D1 ${what}: refused by all, and called so by status and check`, async () => {
      await environment().sql(`SELECT ${make}`);
      await environment().expect(
        'status',
        {},
        { status: 1, said: new RegExp(`slot +pg2kinesis: ${found}`), never: /runs, or drain/ },
      );
      await environment().expect('check', {}, { status: 1, said: /fault +slot +pg2kinesis: .*Runs fail/s });
      await environment().expect('run', {}, { status: 1, said: /WRONG_PLUGIN.*another SLOT_NAME/ });
      await environment().expect('drop-slot', {}, { status: 1, said: /Only if nobody needs that slot|another's/ });
      await drop();
    });
  }

  it('D3 another pipeline’s slot is not one that nobody reads', async () => {
    await environment().sql(`SELECT pg_create_logical_replication_slot('second', 'test_decoding')`);
    await environment().sql('CREATE TABLE filler (id int PRIMARY KEY); INSERT INTO filler VALUES (1)');
    await environment().expect('create-slot', {}, { status: 0 });
    await environment().expect('status', {}, { status: 0, said: /"second" keeps more/, never: /nobody reads,/ });
    await drop('second');
  });

  it('D4 somebody else reads the slot', async () => {
    const stranger = await app('other_reader', { replication: 'database' });
    stranger.on('error', () => undefined);
    const over = stranger.query('START_REPLICATION SLOT pg2kinesis LOGICAL 0/0').catch(() => undefined);
    for (;;) {
      const rows = await environment().server.sql('SELECT 1 FROM pg_replication_slots WHERE active');
      if (rows.length > 0) break;
    }
    await environment().expect(
      'check',
      {},
      { status: 1, said: /in use by backend \d+ \(user postgres, application other_reader/ },
    );
    await environment().expect('status', {}, { status: 1, said: /slot +pg2kinesis: in use by backend/ });
    await environment().expect('run', {}, { status: 1, said: /SLOT_BUSY.*other_reader/ });
    await environment().server.sql('SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE active');
    await over;
    await stranger.end().catch(() => undefined);
  });

  it('D6 D7 H5 a drain and a drop-slot behind another say for whom they wait, and a drain that did nothing is not done', async () => {
    const holder = await app('long drain');
    await holder.query('SELECT pg_advisory_lock($1)', [String(lockKey('pg2kinesis'))]);
    compare(await environment().begin('drain --max-seconds 5').ended, {
      status: 3,
      said: [
        /Waiting for the slot, which is held by backend \d+ .*long drain/,
        /Nothing was done: another run holds the slot/,
      ],
    });
    const dropping = environment().begin('drop-slot --yes');
    await dropping.says(/Waiting for the slot, which is held by backend \d+ .*long drain.* up to 60 s/);
    await holder.end();
    compare(await dropping.ended, { status: 0, said: /The slot was dropped/ });
  });

  it('H2 create-slot says at once whom it waits for, and what is half made is not ok', async () => {
    const writer = await app('slow writer');
    await writer.query('BEGIN; INSERT INTO filler VALUES (2)');
    const creating = environment().begin('create-slot');
    await creating.says(/waits for a transaction that was open before.*slow writer/);
    const other = await app('watcher');
    const { rows } = await other.query(
      `SELECT confirmed_flush_lsn FROM pg_replication_slots WHERE slot_name = 'pg2kinesis'`,
    );
    if ((rows[0] as { confirmed_flush_lsn: string | null }).confirmed_flush_lsn !== null) throw new Error('it is made');
    await other.end();
    await writer.query('COMMIT');
    await writer.end();
    compare(await creating.ended, { status: 0 });
  });

  it('H1 an open transaction: who it is, and how to end it', async () => {
    const writer = await app('slow writer');
    await writer.query('BEGIN; INSERT INTO filler VALUES (3)');
    await environment().sql('INSERT INTO filler VALUES (4)');
    await environment().sql('CHECKPOINT');
    await environment().expect('run', {}, { status: 0 });
    await environment().expect(
      'status',
      {},
      { status: 0, said: /slow writer.*pg_terminate_backend\(\d+\) ends it.*pg_read_all_stats/ },
    );
    await writer.query('ROLLBACK');
    await writer.end();
  });

  it('A9 I2 skip-transaction, where there is nothing to skip', () =>
    environment()
      .expect('run', {}, { status: 0 })
      .then(() =>
        environment().expect(
          'skip-transaction 0/0',
          {},
          { status: 2, said: /holds no transaction/, never: /\{"action"/ },
        ),
      )
      .then(() => undefined));

  it('H4 Ctrl-C in mid-drain: interrupted, not done, and it says what comes again', async () => {
    await environment().sql(
      `CREATE TABLE wide (id int PRIMARY KEY, v text); INSERT INTO wide SELECT i, repeat('x', 900) FROM generate_series(1, 12000) i`,
    );
    environment().faulty.always(() => ({ kind: 'delay', ms: 400 }));
    const before = environment().faulty.seen.length;
    const draining = environment().begin('drain', { FORMAT: 'json' });
    while (environment().faulty.seen.length < before + 1) await new Promise((resolve) => setTimeout(resolve, 20));
    draining.interrupt();
    compare(await draining.ended, {
      status: 3,
      said: [/drain +Interrupted\./, /come again unless the next run is given --resume/],
    });
    environment().faulty.always(() => ({ kind: 'pass' }));
    await environment().expect('drain', { FORMAT: 'json' }, { status: 0, said: /Caught up\./ });
  });

  it('D8 drop-slot destroys nothing unseen', async () => {
    await environment().sql('INSERT INTO filler VALUES (5)');
    await environment().expect(
      'drop-slot',
      {},
      { status: 1, said: /SLOT_UNREAD.*\d+ bytes of WAL, committed since.*--yes/ },
    );
    await environment().expect('drop-slot --yes', {}, { status: 0, said: /With it went unread changes/ });
  });

  it('D9 a slot that is lost', async () => {
    await environment().expect('create-slot', {}, { status: 0 });
    await environment().server.sql(`ALTER SYSTEM SET max_slot_wal_keep_size = '1MB'`);
    await environment().server.sql('SELECT pg_reload_conf()');
    for (let i = 10; i < 14; i++) {
      await environment().sql(`INSERT INTO filler VALUES (${i})`);
      await environment().server.sql('SELECT pg_switch_wal()');
    }
    await environment().server.sql('CHECKPOINT');
    await environment().expect('status', {}, { status: 1, said: /slot +pg2kinesis: lost/, never: /runs, or drain/ });
    await environment().expect('run', {}, { status: 1, said: /SLOT_LOST.*max_slot_wal_keep_size/ });
    await environment().server.sql('ALTER SYSTEM RESET max_slot_wal_keep_size');
    await environment().server.sql('SELECT pg_reload_conf()');
    await environment().expect('drop-slot', {}, { status: 0 });
  });

  it('D5 no slot left', async () => {
    for (let i = 0; i < 4; i++) await environment().sql(`SELECT pg_create_physical_replication_slot('other_${i}')`);
    await environment().expect('check', {}, { status: 1, said: /4 of 4 in use/ });
    await environment().expect('create-slot', {}, { status: 2, said: /all replication slots are in use/ });
    for (let i = 0; i < 4; i++) await drop(`other_${i}`);
  });
}
