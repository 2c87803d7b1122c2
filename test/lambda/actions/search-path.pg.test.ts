/**
 * Nothing runs under a foreign search_path: an owner of a database, or whoever sets the role's settings, may put functions,
 * operators, types and views of their own before PostgreSQL's. Each action is tried; whatever of theirs runs is in the
 * server's log.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { type EmbeddedKinesis, startKinesis } from '../../support/kinesis.ts';
import { type PostgresServer, startPostgres } from '../../support/postgres.ts';
import { startSessionPool } from '../../support/protocol-proxy.ts';
import { startHandler } from '../handler-process.ts';

const sources = new URL('../../../lambda/postgres/', import.meta.url);
const words = new Set(
  readdirSync(sources).flatMap(
    (file) => readFileSync(new URL(file, sources), 'utf8').match(/\b[a-z_0-9]{2,}\b/g) ?? [],
  ),
);

/** All functions and relations of PostgreSQL that our statements name, made anew in a schema; each logs when it is used. */
const shadow = (schema: string, text: string) => `
  CREATE SCHEMA IF NOT EXISTS "${schema}"; GRANT USAGE ON SCHEMA "${schema}" TO PUBLIC;
  CREATE FUNCTION "${schema}".used(name text) RETURNS boolean LANGUAGE plpgsql VOLATILE AS
    $$ BEGIN RAISE LOG 'SHADOW: %', name; RETURN true; END $$;
  DO $do$
  DECLARE f record; args text; given text;
  BEGIN
    FOR f IN SELECT p.oid, p.proname, p.proargtypes, p.prorettype FROM pg_proc p
              WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.proname = ANY (${text}) AND NOT p.proretset
                AND p.provariadic = 0 AND p.prorettype NOT IN (SELECT oid FROM pg_type WHERE typtype = 'p')
                AND NOT EXISTS (SELECT 1 FROM pg_aggregate a WHERE a.aggfnoid = p.oid)
                AND NOT EXISTS (SELECT 1 FROM unnest(p.proargtypes) t JOIN pg_type y ON y.oid = t WHERE y.typtype = 'p')
    LOOP
      SELECT coalesce(string_agg(CASE WHEN '${schema}' <> 'shadow' AND t = 'text'::regtype THEN 'varchar' ELSE format_type(t, NULL) END, ', ' ORDER BY n), ''),
             coalesce(string_agg('$' || n || '::' || format_type(t, NULL), ', ' ORDER BY n), '')
        INTO args, given FROM unnest(f.proargtypes::oid[]) WITH ORDINALITY u(t, n);
      EXECUTE format('CREATE OR REPLACE FUNCTION %I.%I(%s) RETURNS %s LANGUAGE plpgsql AS $f$ BEGIN RAISE LOG ''SHADOW: %s''; RETURN pg_catalog.%I(%s); END $f$',
        '${schema}', f.proname, args, format_type(f.prorettype, NULL), f.proname, f.proname, given);
    END LOOP;
    FOR f IN SELECT relname, (SELECT string_agg(quote_ident(attname), ',') FROM pg_attribute JOIN pg_type t ON t.oid = atttypid
                               WHERE attrelid = c.oid AND attnum > 0 AND t.typtype <> 'p') AS columns FROM pg_class c WHERE relnamespace = 'pg_catalog'::regnamespace AND relkind IN ('r', 'v') AND relname = ANY (${text})
    LOOP
      EXECUTE format('CREATE OR REPLACE VIEW %I.%I AS SELECT %s FROM pg_catalog.%I WHERE %I.used(%L)', '${schema}', f.relname, f.columns, f.relname, '${schema}', f.relname);
      EXECUTE format('GRANT SELECT ON %I.%I TO PUBLIC', '${schema}', f.relname);
    END LOOP;
  END $do$;
  CREATE FUNCTION "${schema}".joined(text, text) RETURNS text LANGUAGE plpgsql AS
    $$ BEGIN RAISE LOG 'SHADOW: ||'; RETURN pg_catalog.concat($1, $2); END $$;
  CREATE OPERATOR "${schema}".|| (LEFTARG = text, RIGHTARG = text, PROCEDURE = "${schema}".joined);
  CREATE FUNCTION "${schema}".equal(name, text) RETURNS boolean LANGUAGE plpgsql AS
    $$ BEGIN RAISE LOG 'SHADOW: ='; RETURN $1::text OPERATOR(pg_catalog.=) $2; END $$;
  CREATE OPERATOR "${schema}".= (LEFTARG = name, RIGHTARG = text, PROCEDURE = "${schema}".equal);
  CREATE FUNCTION "${schema}".later(timestamp, interval) RETURNS timestamp LANGUAGE plpgsql AS
    $$ BEGIN RAISE LOG 'SHADOW: +'; RETURN $1; END $$;
  CREATE OPERATOR "${schema}".+ (LEFTARG = timestamp, RIGHTARG = interval, PROCEDURE = "${schema}".later);
  CREATE DOMAIN "${schema}".text AS pg_catalog.text CHECK ("${schema}".used('text'));`;

const ACTIONS = [
  { action: 'check' },
  { action: 'create-slot' },
  { action: 'status' },
  { action: 'refresh-keys' },
  { action: 'snapshot' },
  { action: 'snapshot-stop' },
  { action: 'run' },
  { action: 'drain' },
  { action: 'skip-transaction', commitLsn: '0/1' },
  { action: 'drop-slot' },
  { action: 'copy-slot' },
];

describe('a foreign search_path', () => {
  let server: PostgresServer;
  let kinesis: EmbeddedKinesis;
  before(async () => {
    [server, kinesis] = await Promise.all([startPostgres(), startKinesis()]);
    await kinesis.createStream('pg2kinesis', 1);
    await server.sql(`CREATE ROLE cdc LOGIN REPLICATION PASSWORD 'p'; CREATE ROLE hostile LOGIN PASSWORD 'p'`);
  });
  after(() => Promise.all([server.stop(), kinesis.stop()]));

  const names = `'{${[...words].join()}}'::name[]`;
  const cases = [
    ['the database', 'shadow', (name: string) => `ALTER DATABASE ${name} SET search_path = shadow, pg_catalog`],
    ['the role', 'shadow', () => `ALTER ROLE cdc SET search_path = shadow, pg_catalog`],
    ['the public schema', 'public', () => `ALTER ROLE cdc RESET search_path`],
    ['a schema of the role’s name', 'cdc', () => `ALTER ROLE cdc RESET search_path`],
  ] as const;
  for (const [index, [whose, schema, set]] of cases.entries()) {
    // Behind a pool that takes no options the first statements have nothing but their qualified names.
    for (const pooled of index === 0 ? [false, true] : [true]) {
      it(`of ${whose} runs nothing of its own${pooled ? ', by way of a pool that takes no options' : ''}`, async (t) => {
        const name = `d${index}_${pooled ? 'pool' : 'direct'}`;
        await server.sql(`CREATE DATABASE ${name}`);
        const owner = await server.client({ database: name });
        await owner.query('CREATE TABLE public.t (id int PRIMARY KEY, note text)');
        await owner.query(shadow(schema, names));
        await owner.query(set(name));

        // What the log shows where it does run, so that this test can fail.
        if (schema === 'shadow') {
          const victim = await server.client({ database: name, user: 'cdc', password: 'p' });
          await victim.query('SELECT pg_backend_pid()');
          await victim.end();
          assert.match(await server.log(), /SHADOW: pg_backend_pid/);
        }
        const before = (await server.log()).length;

        const pool = pooled ? await startSessionPool(server.port) : undefined;
        t.after(() => pool?.stop());
        const container = await startHandler({
          PGHOST: '127.0.0.1',
          PGPORT: String(pool?.port ?? server.port),
          PGDATABASE: name,
          PGUSER: 'cdc',
          PGPASSWORD: 'p',
          PGSSLMODE: 'disable',
          SLOT_NAME: name,
          AWS_REGION: 'us-east-1',
          AWS_ACCESS_KEY_ID: 'x',
          AWS_SECRET_ACCESS_KEY: 'y',
          AWS_ENDPOINT_URL_KINESIS: kinesis.endpoint,
        });
        t.after(() => container.stop());
        for (const event of ACTIONS) {
          if (event.action === 'run') {
            await owner.query(`INSERT INTO public.t VALUES (1, 'a')`);
            // A key that is younger than a row is asked for on a connection of its own.
            await owner.query('ALTER TABLE public.t DROP CONSTRAINT t_pkey, ADD PRIMARY KEY (id)');
          }
          const from = `${name}_from`;
          if (event.action === 'copy-slot')
            await owner.query(`SELECT pg_catalog.pg_create_logical_replication_slot('${from}', 'test_decoding')`);
          const { error, answer } = await container.invoke(event.action === 'copy-slot' ? { ...event, from } : event);
          if (event.action === 'skip-transaction') assert.equal(error?.name, 'EVENT_INVALID', error?.message);
          else assert.equal(error, undefined, `${event.action}: ${error?.message ?? ''}`);
          if (event.action === 'run') assert.equal((answer as { published: number }).published, 1);
        }
        await owner.end();
        const used = (await server.log()).slice(before).match(/SHADOW: .*/g) ?? [];
        assert.deepEqual(used, []);
      });
    }
  }
});
