/** Streams as they may be published for a replica: in lanes by whatever key, in aggregates or lines, compressed or not. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { randomOf } from './rules/model/random.ts';
import { emptying } from './support/by-version.ts';
import { hashes, ReplicaRig } from './support/replica-rig.ts';

const TABLES = ['public.papers', 'public.notes'] as const;

/** Nothing unique besides the keys, so that they do for --fast, too. */
const DEFINITIONS = `CREATE TABLE public.papers (id integer PRIMARY KEY, n integer, big text);
  CREATE TABLE public.notes (id text COLLATE "C" PRIMARY KEY, paper integer REFERENCES public.papers ON UPDATE CASCADE ON DELETE CASCADE, n integer);
  ALTER TABLE public.papers ALTER big SET STORAGE EXTERNAL`;

/** One slot and one stream each: how it is published, and whether --fast takes it. Of lines it cannot see that they are by transaction. */
const STREAMS: readonly (readonly [
  name: string,
  settings: Readonly<Record<string, string>>,
  fast: boolean | undefined,
])[] = [
  ['by_transaction', { PARTITION_BY: 'transaction' }, false],
  ['transactions_in_lines', { PARTITION_BY: 'transaction', AGGREGATION: 'lines', COMPRESSION: 'gzip' }, undefined],
  ['by_table', { PARTITION_BY: 'table' }, true],
  ['by_stream', { PARTITION_BY: 'stream', AGGREGATION: 'lines' }, true],
  ['by_key', { PARTITION_BY: 'primary-key', AGGREGATION: 'lines', COMPRESSION: 'zstd' }, true],
];

describe('a replica of a stream', () => {
  let rig: ReplicaRig;
  before(async () => {
    rig = await ReplicaRig.start();
    await rig.source.sql(DEFINITIONS);
    for (const [name] of STREAMS) {
      await rig.source.createSlot(name);
      await rig.environment.kinesis.createStream(name, 2);
    }
    const writer = await rig.source.client();
    const { int } = randomOf(3);
    for (let n = 1; n <= 120; n++) {
      const statements = [
        `INSERT INTO public.papers VALUES (${n}, 0, repeat('p${n}', 900)); INSERT INTO public.notes VALUES ('n${n}', ${n}, 0)`,
        `UPDATE public.papers SET n = n + 1 WHERE id % 3 = ${int(3)}`,
        `UPDATE public.papers SET id = id + 1000 WHERE id % 7 = ${int(7)} AND id < 1000`,
        `UPDATE public.notes SET id = id || 'x', n = n + 1 WHERE n < ${int(4)} AND length(id) < 12`,
        `DELETE FROM public.papers WHERE id % 11 = ${int(11)}`,
        n === 60 ? emptying('public.notes') : `UPDATE public.papers SET big = 'b${n}' WHERE id % 5 = ${int(5)}`,
      ];
      await writer.query(`BEGIN; ${statements.slice(int(2), 2 + int(5)).join('; ')}; COMMIT`);
    }
    await writer.end();
  });
  after(() => rig.stop());

  for (const [name, settings, fast] of STREAMS)
    it(`ends equal where it is published with ${JSON.stringify(settings)}${fast === true ? ', with --fast, too' : ''}`, async () => {
      await rig.drain({ SLOT_NAME: name, STREAM_NAME: name, LANES: '8', ...settings });
      const original = await hashes(rig.source, TABLES);
      const copied = async (...flags: string[]) => {
        const database = `${name}_${flags.length}`;
        await rig.target.sql(`CREATE DATABASE ${database}`);
        const client = await rig.target.client({ database });
        await client.query(DEFINITIONS);
        await client.end();
        const { status, err } = await rig.catchUp(['--stream', name, ...flags], database);
        return { status, err, copy: await hashes(rig.target, TABLES, database) };
      };
      const { status, err, copy } = await copied();
      assert.equal(status, 0, err);
      assert.deepEqual(copy, original);
      const quick = await copied('--fast');
      if (fast === undefined) {
        // Whatever becomes of it.
        assert.doesNotMatch(quick.err, /RECORD_UNUSABLE/);
        return;
      }
      assert.equal(quick.status, fast ? 0 : 3, quick.err);
      if (fast) assert.deepEqual(quick.copy, original);
      else assert.match(quick.err, /RECORD_UNUSABLE: The stream is written with PARTITION_BY=transaction/);
    });
});
