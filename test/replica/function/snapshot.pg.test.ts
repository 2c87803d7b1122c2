/**
 * A snapshot into copies that are applied as changes come: by the function of a `StreamReplica`, its shards side by side and at
 * speeds of their own, and by `replicate --fast` with `--create-tables`. Rows of before are changed all the while without all of
 * their columns being sent, and get other keys. Both ends are killed.
 */
import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import type { RunAnswer } from '../../../lambda/run/answer.ts';
import type { StreamFunction } from '../../../replica/function/stream-function.ts';
import { eventually, NAME } from '../../chaos/environment.ts';
import { runCli } from '../../support/cli.ts';
import { EventSource } from '../../support/event-source.ts';
import { randomOf } from '../rules/model/random.ts';
import { makeFunction, Said } from '../support/function-rig.ts';
import { hashes, kill, ReplicaRig } from '../support/replica-rig.ts';

const TABLES = ['public.papers', 'public.drawers'] as const;
const ROWS = 450;
const PRE_DATA = `CREATE TABLE public.papers (id bigint NOT NULL, n integer, body text NOT NULL);
  ALTER TABLE public.papers ALTER body SET STORAGE EXTERNAL;
  CREATE TABLE public.drawers (code text COLLATE "C" NOT NULL, n integer, body text NOT NULL);
  ALTER TABLE public.drawers ALTER body SET STORAGE EXTERNAL;\n`;
const POST_DATA = `--
-- Name: papers papers_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.papers
    ADD CONSTRAINT papers_pkey PRIMARY KEY (id);

--
-- Name: drawers drawers_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.drawers
    ADD CONSTRAINT drawers_pkey PRIMARY KEY (code);\n`;

/** A writer's next statement: most leave `body` as it is, and some give rows another key. */
function statement(int: (n: number) => number, n: number): string {
  switch (int(8)) {
    case 0:
      return `UPDATE public.papers SET id = id + 10000 WHERE id % 90 = ${int(90)}`;
    case 1:
      return `UPDATE public.drawers SET code = code || 'x' WHERE n % 60 = ${int(60)} AND length(code) < 12`;
    case 2:
      return `DELETE FROM public.papers WHERE id % 300 = ${int(300)}`;
    case 3:
      return `INSERT INTO public.papers VALUES (${100_000 + n}, ${n}, repeat('n${n}', 900))`;
    case 4:
      return `UPDATE public.papers SET body = repeat('b${n}', 900) WHERE id % 300 = ${int(300)}`;
    case 5:
      return `UPDATE public.drawers SET n = n + 1 WHERE n % 30 = ${int(30)}`;
    default:
      return `UPDATE public.papers SET n = n + 1 WHERE id % 40 = ${int(40)}`;
  }
}

describe('a snapshot into copies that are applied as changes come', () => {
  let rig: ReplicaRig;
  let dir: string;
  const open: StreamFunction[] = [];
  const said = new Said();
  const container = (): StreamFunction => {
    const made = makeFunction(rig.target, said, { AWAIT_SNAPSHOT: 'on' });
    open.push(made);
    return made;
  };
  const copying = async (database = 'postgres'): Promise<unknown> => {
    const client = await rig.target.client({ database });
    const { rows } = await client.query<{ copying: unknown }>('SELECT copying FROM pg2kinesis.replica');
    await client.end();
    return rows[0]?.copying;
  };

  before(async () => {
    dir = mkdtempSync(join(tmpdir(), 'pg2kinesis-test-'));
    rig = await ReplicaRig.start({ shards: 4 });
    await rig.source.sql(`${PRE_DATA}${POST_DATA}
      INSERT INTO public.papers SELECT i, i, repeat('p' || i, 600) FROM generate_series(1, ${ROWS}) AS i;
      INSERT INTO public.drawers SELECT 'd' || i, i, repeat('d' || i, 600) FROM generate_series(1, ${ROWS / 3}) AS i;
      GRANT SELECT ON ALL TABLES IN SCHEMA public TO cdc`);
    await rig.target.sql(`${PRE_DATA}${POST_DATA}`);
    await rig.target.sql('CREATE DATABASE second');
    await rig.createSlot();
  });
  after(async () => {
    await Promise.all(open.map((each) => each.close()));
    await rig.stop();
    rmSync(dir, { recursive: true, force: true });
  });

  it('leaves out what waits for its row, and ends equal', async () => {
    const { int, next } = randomOf(11);
    const { environment } = rig;
    const published = new AbortController();
    const written = new AbortController();
    const containers = new Map<string, StreamFunction>();
    const source = new EventSource({
      client: environment.kinesis.client,
      stream: NAME,
      streamArn: `arn:aws:kinesis:us-east-1:000000000000:stream/${NAME}`,
      random: next,
      batchSize: 8,
      invoke: async (id, event) => {
        // The first shard is far behind the others.
        await wait(id.endsWith('0') ? 60 + int(60) : int(20));
        if (next() < 0.05) containers.delete(id);
        const invoked = containers.get(id) ?? container();
        containers.set(id, invoked);
        return await invoked.invoke(event);
      },
    });
    const write = async (): Promise<void> => {
      const writer = await rig.source.client();
      for (let n = 1; !written.signal.aborted; n++) {
        await writer.query(statement(int, n));
        if (n % 80 === 0) {
          await rig.target.sql(
            `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'pg2kinesis replicate' AND random() < 0.5`,
          );
        }
        await wait(20 + int(20));
      }
    };
    const publish = async (): Promise<void> => {
      let running = await environment.container({ LANES: '16' });
      await eventually(async () => {
        await running.run({ action: 'run', maxSeconds: 10 });
        return said.total('awaitingRead') > 0;
      }, 'a row is changed that is still to come');
      assert.equal(await copying(), 'awaited');
      await running.invoke({ action: 'snapshot', tables: TABLES, maxSeconds: 3 });
      let isDone = false;
      for (let turn = 0; turn < 3 || !isDone; turn++) {
        assert.ok(turn < 40, 'the snapshot does not end');
        const invoked = running.invoke({ action: 'run', maxSeconds: 10 });
        if (turn < 3) await wait(100 + int(300)).then(() => running.kill());
        const outcome = await invoked;
        if (outcome === 'killed') running = await environment.container({ LANES: '16' });
        else if (outcome.error !== undefined) throw new Error(outcome.error.message);
        else {
          const { stopped, snapshot } = outcome.answer as RunAnswer;
          // A run that found the slot locked by one that was killed does not know.
          isDone = stopped !== 'locked' && snapshot?.done !== false;
        }
      }
      await running.kill();
    };
    const work = async (): Promise<void> => {
      try {
        await Promise.all([write(), publish().finally(() => written.abort())]);
        await eventually(async () => (await environment.lockHolder()) === undefined, 'the lock is free');
        await rig.drain({ LANES: '16' });
      } finally {
        published.abort();
      }
    };
    await Promise.all([work(), source.run(published.signal)]);
    assert.deepEqual(await hashes(rig.target, TABLES), await hashes(rig.source, TABLES), said.logged.join('\n'));
    assert.deepEqual([await copying(), said.total('missing')], [null, 0]);
    assert.deepEqual(
      said.logged.filter((line) => line.includes('MISSING_ROW')),
      [],
    );
  });

  it('does the same by `replicate --fast --create-tables`, which goes on where it was killed', async () => {
    const program = join(dir, 'pg_dump');
    writeFileSync(
      program,
      `#!/bin/sh
case "$*" in
*--version*) echo 'pg_dump (PostgreSQL) 99.1';;
*--section=pre-data*) cat <<'EOF'
${PRE_DATA}EOF
;;
*--section=post-data*) cat <<'EOF'
${POST_DATA}EOF
;;
esac`,
    );
    chmodSync(program, 0o700);
    const env = rig.env('second');
    const flags = ['--fast', '--create-tables', join(dir, 'later.sql'), '--from', rig.from, '--pg-dump', program];
    const child = rig.begin(flags, env);
    const second = await rig.target.client({ database: 'second' });
    await eventually(async () => {
      const { rows } = await second.query<{ there: boolean }>(
        `SELECT to_regclass('pg2kinesis.replica_lane') IS NOT NULL AS there`,
      );
      return rows[0]?.there === true && (await second.query('SELECT FROM pg2kinesis.replica_lane')).rows.length > 5;
    }, 'some of it is applied');
    await kill(child);
    await second.end();
    const { status, out, err } = await runCli(['replicate', '--once', '--json', ...flags], env);
    assert.equal(status, 0, err);
    const end = JSON.parse(out.trim().split('\n').at(-1) ?? '') as Record<string, unknown>;
    assert.deepEqual(
      [end['event'], end['caughtUp'], end['copying'], end['missing']],
      ['end', true, undefined, undefined],
    );
    assert.deepEqual(await hashes(rig.target, TABLES, 'second'), await hashes(rig.source, TABLES));
    assert.equal(await copying('second'), null);
  });
});
