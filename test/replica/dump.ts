/**
 * A copy that begins with the real `pg_dump`: tables made by `--create-tables`, and a target loaded by `pg_dump --snapshot` for
 * `--start-after`, both under writers. Needs `pg_dump` and `psql` on the path. For `npm run test:replica`.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { runCli } from '../support/cli.ts';
import type { PostgresConnection } from '../support/postgres.ts';
import { randomOf } from './rules/model/random.ts';
import { BANK, Bank, BANK_TABLES, FILL } from './support/bank.ts';
import { keepRunning, keepWriting } from './support/keep-going.ts';
import { hashes, kill, ReplicaRig } from './support/replica-rig.ts';
import { rowText, typedTables, TypedWriter } from './support/typed-tables.ts';

const run = promisify(execFile);

/** What only definitions have: partitions, serial and identity columns, comments, a view, rules, policies, functions with semicolons. */
const DEFINITIONS = `
  CREATE SCHEMA "odd; schema";
  CREATE TABLE "odd; schema"."a ""table""" (id serial PRIMARY KEY, at timestamptz DEFAULT now() CHECK (at > '2000-01-01'), "it's; $$" text UNIQUE);
  COMMENT ON TABLE "odd; schema"."a ""table""" IS 'it''s; one
CREATE TABLE no (id integer);';
  INSERT INTO "odd; schema"."a ""table""" ("it's; $$") VALUES ('a;b'), (NULL);
  CREATE TABLE public.measured (id integer GENERATED ALWAYS AS IDENTITY (START 100), day date, note text, PRIMARY KEY (id, day)) PARTITION BY RANGE (day);
  CREATE TABLE public.measured_old PARTITION OF public.measured FOR VALUES FROM (MINVALUE) TO ('2026-01-01');
  CREATE TABLE public.measured_new PARTITION OF public.measured DEFAULT;
  CREATE INDEX ON public.measured (note);
  INSERT INTO public.measured (day, note) SELECT '2025-12-01'::date + i, 'n' || i FROM generate_series(1, 60) AS i;
  CREATE VIEW public.recent AS SELECT * FROM public.measured WHERE day > '2026-01-01';
  CREATE MATERIALIZED VIEW public.counted AS SELECT count(*) AS n FROM public.measured;
  CREATE FUNCTION public.two() RETURNS integer LANGUAGE plpgsql AS $$ BEGIN PERFORM 1; RETURN 2; END $$;
  CREATE FUNCTION public.noted() RETURNS trigger LANGUAGE plpgsql AS $f$ BEGIN INSERT INTO "odd; schema"."a ""table""" ("it's; $$") VALUES (gen_random_uuid()::text); RETURN new; END; $f$;
  CREATE TRIGGER noted AFTER INSERT ON public.measured FOR EACH ROW EXECUTE FUNCTION public.noted();
  CREATE RULE quiet AS ON INSERT TO public.recent DO INSTEAD NOTHING;
  CREATE POLICY own ON public.left_accounts USING (true);
  CREATE STATISTICS public.together ON day, note FROM public.measured;`;
const MORE_TABLES = ['"odd; schema"."a ""table"""', 'public.measured_old', 'public.measured_new'];

/** What of a program is on the path. @returns its major version; undefined: it is not there */
export async function majorOf(program: string): Promise<string | undefined> {
  const { stdout } = await run(program, ['--version']).catch(() => ({ stdout: '' }));
  return / (\d+)/.exec(stdout)?.[1];
}

/**
 * Plays it. The target is of the newest version, as in an upgrade.
 *
 * @param options - the source's version: that of pg_dump, or an older one
 * @throws {AssertionError} where a copy was not equal
 */
export async function playDump({
  version,
  seed,
  tell,
}: {
  readonly version: string;
  readonly seed: number;
  readonly tell: (text: string) => void;
}): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'pg2kinesis-test-'));
  const rig = await ReplicaRig.start({ version });
  try {
    const { source, target } = rig;
    const tables = await typedTables(source, { share: 1, first: 0 });
    const names = [...BANK_TABLES, ...tables.names, ...MORE_TABLES];
    await source.sql(`${BANK}; ${tables.sql}; ${DEFINITIONS}`);
    const typed = new TypedWriter(tables, seed);
    const filling = await source.client();
    await filling.query(FILL);
    await typed.fill(filling);
    await source.sql('GRANT USAGE ON SCHEMA public, "odd; schema" TO cdc');
    await source.sql('GRANT SELECT ON ALL TABLES IN SCHEMA public, "odd; schema" TO cdc');
    await rig.createSlot();
    await target.sql('CREATE DATABASE made');
    await target.sql('CREATE DATABASE loaded');

    const over = new AbortController();
    const going = { signal: over.signal, random: randomOf(seed) };
    const bank = new Bank(filling, seed);
    let day = 0;
    const others = Promise.all([
      keepWriting(
        () => source,
        () => bank.write(),
        going,
        60,
      ),
      keepWriting(
        () => source,
        (client) => typed.write(client),
        going,
        60,
      ),
      keepWriting(
        () => source,
        async (client) => {
          await client.query(`INSERT INTO public.measured (day, note) VALUES ('2025-12-15'::date + $1::int, 'x')`, [
            day++ % 40,
          ]);
          // To the other partition.
          await client.query<{ is: string }>(
            `UPDATE public.measured SET day = day + 30 WHERE id = (SELECT min(id) + 5 FROM public.measured)`,
          );
        },
        going,
        60,
      ),
      keepRunning(rig, going, { LANES: '8' }),
    ]);
    others.catch(() => over.abort());

    const to = (database: string) => ['--to', rig.env(database)['REPLICATE_TO'] ?? ''];
    const later = join(folder, 'later.sql');
    const flags = [...to('made'), '--from', rig.from];
    const made = await runCli(['replicate', '--once', ...flags, '--create-tables', later], rig.env());
    assert.equal(made.status, 0, made.err);
    tell(made.err.trim());
    await load(rig, folder);
    tell('loaded by pg_dump --snapshot');
    const asking = await rig.environment.container({ LANES: '8', MARKS: 'on' });
    const asked = await asking.invoke({ action: 'snapshot', tables: names, maxSeconds: 20 });
    assert.ok(asked !== 'killed' && asked.error === undefined, JSON.stringify(asked));
    over.abort();
    await others;
    await rig.drain({ LANES: '8' });
    for (const database of ['made', 'loaded']) {
      const ended = await runCli(['replicate', '--once', ...to(database)], rig.env());
      assert.equal(ended.status, 0, ended.err);
    }
    await psql(rig, 'made', ['-f', later]);
    const original = await hashes(source, names, 'postgres', rowText);
    for (const database of ['made', 'loaded']) {
      assert.deepEqual(await hashes(target, names, database, rowText), original, database);
      tell(`"${database}" is equal: ${names.length} tables`);
    }
    for (const database of ['made', 'loaded']) {
      const flags = to(database);
      const replica = rig.begin(flags);
      const verified = runCli(['replicate', '--verify', '--from', rig.from, ...flags], rig.env());
      let isOver = false;
      void verified.finally(() => (isOver = true));
      // Its marks bring the copy to the state that is held.
      while (!isOver) await rig.drain({ LANES: '8' });
      const { status, out, err } = await verified;
      assert.equal(status, 0, out + err);
      await kill(replica);
      tell(err.trim());
    }
    assert.deepEqual(await constraints(rig.target, 'made'), await constraints(source, 'postgres'));
    assert.match(await readFile(later, 'utf8'), /FOREIGN KEY/);
  } finally {
    await rig.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

/** As docs/replica.md has it: an exported snapshot, pg_dump, psql, and the replica from that snapshot's LSN on. */
async function load(rig: ReplicaRig, folder: string): Promise<void> {
  const replication = await rig.source.client({ replication: 'database' } as object);
  const { rows } = await replication.query<{ consistent_point: string; snapshot_name: string }>(
    'CREATE_REPLICATION_SLOT copying TEMPORARY LOGICAL test_decoding EXPORT_SNAPSHOT',
  );
  const [{ consistent_point: lsn, snapshot_name: snapshot } = { consistent_point: '', snapshot_name: '' }] = rows;
  const file = join(folder, 'dump.sql');
  await run('pg_dump', ['--no-owner', '--no-privileges', `--snapshot=${snapshot}`, '-f', file], {
    env: connectTo(rig.source.connection),
  });
  await replication.end();
  await psql(rig, 'loaded', ['-f', file]);
  const to = rig.env('loaded')['REPLICATE_TO'] ?? '';
  const { status, err } = await runCli(['replicate', '--once', '--to', to, '--start-after', lsn], rig.env());
  assert.equal(status, 0, err);
}

async function psql({ target }: ReplicaRig, database: string, args: readonly string[]): Promise<void> {
  const env = connectTo({ ...target.connection, database });
  await run('psql', ['-q', '-X', '-v', 'ON_ERROR_STOP=1', ...args], { env, maxBuffer: 64 * 1024 * 1024 });
}

function connectTo({ host, port, user, password, database }: PostgresConnection): NodeJS.ProcessEnv {
  const path = process.env['PATH'];
  return { PATH: path, PGHOST: host, PGPORT: String(port), PGUSER: user, PGPASSWORD: password, PGDATABASE: database };
}

/** Constraints and indexes of all tables but the replica's own; from 18 on NOT NULL is a constraint, too. */
async function constraints(server: ReplicaRig['target'], database: string): Promise<unknown[]> {
  const client = await server.client({ database });
  const { rows } = await client.query<{ is: string }>(
    `SELECT conrelid::regclass::text || ' ' || conname || ' ' || pg_get_constraintdef(oid) AS is FROM pg_constraint
      WHERE conrelid <> 0 AND contype <> 'n' AND connamespace <> 'pg_catalog'::regnamespace AND conrelid::regclass::text !~ '^pg2kinesis|^information_schema'
     UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname NOT IN ('pg_catalog', 'pg2kinesis') ORDER BY 1`,
  );
  await client.end();
  return rows;
}
