/**
 * The replica on real servers, for longer than a test may take: `npm run test:replica -- --seconds 60 --version 18 --seed 1`. First
 * while everything fails; then beginning with the real `pg_dump`, on servers of its version. `--only run` or `--only dump` for a part.
 */
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
const dumps = only === 'run' ? undefined : await majorOf('pg_dump');
if (only !== 'run' && (dumps === undefined || (await majorOf('psql')) === undefined))
  throw new Error('pg_dump and psql are not on the path (Debian: apt-get install postgresql-client). Or: --only run');
tell(`--seed ${seed}`);
if (only !== 'dump') {
  const seconds = Number(values.seconds);
  const of = version === undefined ? {} : { version };
  tell(JSON.stringify(await playRealRun({ seed, seconds, share: Number(values.share), ...of, tell })));
}
if (dumps !== undefined) await playDump({ version: version ?? dumps, seed, tell });
