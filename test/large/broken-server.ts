/**
 * A server that lacks disk space, and one whose files are damaged: what is published, what a run says, and which remedy
 * works. `npm run test:large`; the disk is a small one in memory, which root can mount on Linux.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chownSync, copyFileSync, mkdirSync, openSync, renameSync, rmSync, statSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { pipelineOn } from '../lambda/run/pipeline.ts';
import { type PostgresServer, startPostgres } from '../support/postgres.ts';

const DISK_MIB = 8;

describe('a broken server', () => {
  let server: PostgresServer;
  let data: string;
  const disks: string[] = [];
  before(async () => {
    server = await startPostgres({ settings: { max_wal_size: '4GB' } });
    await server.sql('CREATE TABLE t (id int PRIMARY KEY, body text); ALTER TABLE t ALTER body SET STORAGE EXTERNAL');
    const [row] = await server.sql<{ dir: string }>(`SELECT current_setting('data_directory') AS dir`);
    data = row?.dir ?? '';
  });
  after(async () => {
    await server.stop();
    for (const disk of disks) execFileSync('umount', ['-l', disk]);
  });

  /** Puts a small disk at a place of the server. */
  function mount(place: string): void {
    const { uid, gid } = statSync(data);
    mkdirSync(place, { recursive: true });
    const options = `size=${DISK_MIB}m,mode=0700,uid=${uid},gid=${gid}`;
    execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', place]);
    disks.push(place);
  }
  const insert = (id: number, megabytes: number): Promise<unknown> =>
    server.sql(`INSERT INTO t VALUES ($1, repeat('x', $2))`, [id, megabytes << 20]);
  const checkpoint = (): Promise<unknown> => server.sql('CHECKPOINT');
  /** Three transactions, the second one larger than what the server keeps in memory. */
  async function writeLarge(): Promise<void> {
    await insert(1, 1);
    await insert(2, 70);
    await insert(3, 1);
  }
  async function tidy(slot: string): Promise<void> {
    await server.sql('SELECT pg_drop_replication_slot($1)', [slot]);
    await server.sql('TRUNCATE t');
  }
  /** Where WAL is written just now. */
  async function walPosition(): Promise<{ path: string; offset: number }> {
    const [row] = await server.sql<{ file: string; off: number }>(
      'SELECT file_name AS file, file_offset AS off FROM pg_walfile_name_offset(pg_current_wal_flush_lsn())',
    );
    return { path: join(data, 'pg_wal', row?.file ?? ''), offset: Number(row?.off) };
  }

  it('without disk space for a result: names the transaction, which can be skipped', async () => {
    const place = join(data, '..', 'temporary');
    mount(place);
    await server.sql(`CREATE TABLESPACE small LOCATION '${place}'`);
    await server.sql(`ALTER ROLE postgres SET temp_tablespaces = small`);
    const { runs, refused, skip, keys } = await pipelineOn(server, 'result');
    await writeLarge();
    const { error, commitLsn } = await refused({ maxRows: 100 });
    assert.equal(error.code, 'NO_PROGRESS', error.message);
    assert.match(error.message, /disk space.*53100.*invoke skip-transaction/);
    await skip(commitLsn);
    assert.equal((await runs()).caughtUp, true);
    assert.deepEqual(keys(), [1, 3]);
    await server.sql(`ALTER ROLE postgres RESET temp_tablespaces`);
    await tidy('result');
  });

  it('without disk space for changes: says that only space helps, which it does', async () => {
    const { runs, refused, skip, keys } = await pipelineOn(server, 'changes');
    const place = join(data, 'pg_replslot', 'changes');
    const state = join(data, '..', 'state');
    copyFileSync(join(place, 'state'), state);
    mount(place);
    copyFileSync(state, join(place, 'state'));
    chownSync(join(place, 'state'), statSync(data).uid, statSync(data).gid);
    await writeLarge();
    const { error, commitLsn } = await refused({ maxRows: 100 });
    assert.equal(error.code, 'NO_PROGRESS', error.message);
    assert.match(error.message, /disk space.*53100.*Neither more time nor skip-transaction/);
    assert.equal(commitLsn, 'none', 'the server fails before it comes to a commit');
    assert.deepEqual(keys(), [1]);
    const [row] = await server.sql<{ lsn: string }>('SELECT pg_current_wal_flush_lsn()::text AS lsn');
    await assert.rejects(skip(row?.lsn ?? ''), { code: 'NO_PROGRESS', message: /Give the server more disk space/ });
    execFileSync('mount', ['-o', 'remount,size=200m', place]);
    assert.equal((await runs()).caughtUp, true);
    assert.deepEqual(keys(), [1, 2, 3]);
    execFileSync('umount', ['-l', place]);
    disks.pop();
    await tidy('changes');
  });

  it('without a segment of WAL: publishes what is before it, says SLOT_LOST, and goes on once it is back', async () => {
    const { runs, refused, keys } = await pipelineOn(server, 'segment');
    await insert(1, 1);
    await server.sql('SELECT pg_switch_wal()');
    await insert(2, 20);
    const { path } = await walPosition();
    await server.sql('SELECT pg_switch_wal()');
    await insert(3, 1);
    renameSync(path, `${path}.away`);
    const { error } = await refused();
    assert.equal(error.code, 'SLOT_LOST', error.message);
    assert.match(error.message, /archive.*into pg_wal/);
    assert.deepEqual(keys(), [1]);
    renameSync(`${path}.away`, path);
    assert.equal((await runs()).caughtUp, true);
    assert.deepEqual(keys(), [1, 2, 3]);
    await tidy('segment');
  });

  it('with a damaged segment of WAL: publishes what is before it, says SLOT_LOST, and goes on once it is repaired', async () => {
    const { runs, refused, keys } = await pipelineOn(server, 'damage');
    await insert(1, 1);
    const { path, offset } = await walPosition();
    await insert(2, 2);
    await insert(3, 1);
    copyFileSync(path, `${path}.good`);
    const file = openSync(path, 'r+');
    writeSync(file, Buffer.alloc(64, 0xab), 0, 64, offset + 100_000);
    const { error } = await refused();
    assert.equal(error.code, 'SLOT_LOST', error.message);
    assert.match(error.message, /cannot be read.*XX000/);
    assert.deepEqual(keys(), [1]);
    copyFileSync(`${path}.good`, path);
    rmSync(`${path}.good`);
    assert.equal((await runs()).caughtUp, true);
    assert.deepEqual(keys(), [1, 2, 3]);
    await tidy('damage');
  });

  it('without the files of a table: needs none of them', async () => {
    const { runs, keys } = await pipelineOn(server, 'files');
    await insert(1, 1);
    await insert(2, 1);
    const [row] = await server.sql<{ table: string; toast: string }>(
      `SELECT pg_relation_filepath(oid) AS table, pg_relation_filepath(reltoastrelid) AS toast FROM pg_class WHERE oid = 't'::regclass`,
    );
    await checkpoint();
    await server.restart('fast');
    for (const file of [row?.table, row?.toast]) rmSync(join(data, file ?? ''));
    assert.equal((await runs()).caughtUp, true);
    assert.deepEqual(keys(), [1, 2]);
  });
});
