/**
 * The replica on real servers, for longer than a test may take: `npm run test:replica -- --seconds 60 --version 18 --seed 1`. First
 * while everything fails; then beginning with the real `pg_dump`, on servers of its version; then while the source fails over, from
 * 17 on, bound by each of both settings. `--only run`, `--only dump` or `--only failover` for a part.
 */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { majorOf, playDump } from './dump.ts';
import { playRealRun } from './real-run.ts';

const { values } = parseArgs({
  options: {
    only: { type: 'string' },
    seconds: { type: 'string', default: '60' },
    version: { type: 'string' },
    seed: { type: 'string', default: String(Math.floor(Math.random() * 2 ** 31)) },
    share: { type: 'string', default: '1' },
  },
});
const { only, version } = values;
const seed = Number(values.seed);
const tell = (text: string): void => console.log(text);
// Before minutes have passed: it is no pass where a part cannot be run.
const dumps = only === 'run' || only === 'failover' ? undefined : await majorOf('pg_dump');
if (only !== 'run' && only !== 'failover' && (dumps === undefined || (await majorOf('psql')) === undefined))
  throw new Error('pg_dump and psql are not on the path (Debian: apt-get install postgresql-client). Or: --only run');
tell(`--seed ${seed}`);
if (only !== 'dump' && only !== 'failover') {
  const seconds = Number(values.seconds);
  const of = version === undefined ? {} : { version };
  tell(JSON.stringify(await playRealRun({ seed, seconds, share: Number(values.share), ...of, tell })));
}
if (dumps !== undefined) await playDump({ version: version ?? dumps, seed, tell });
if (only === undefined || only === 'failover') {
  const test = fileURLToPath(import.meta.resolve('./failover.pg.test.ts'));
  for (const bound of ['list', 'setting'].filter(() => Number(version ?? 18) >= 17)) {
    const env = { ...process.env, PG2KINESIS_FAILOVER: `${version ?? '18'},${bound}` };
    const { status } = spawnSync(process.execPath, ['--test', test], { env, stdio: 'inherit' });
    if (status !== 0) throw new Error(`The replica failed over a failover, bound by ${bound}.`);
  }
}
