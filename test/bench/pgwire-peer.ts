/**
 * The other peer from npm in a process of its own: pgwire reads a slot of pgoutput by the replication protocol and decodes
 * its rows in JavaScript. It publishes nothing. Prints its time and processor time once it has seen all commits.
 */
import { pgconnection } from 'pgwire';

const [slot = '', commits = '0'] = process.argv.slice(2);
const { PGHOST = '', PGPORT, PGDATABASE, PGUSER, PGPASSWORD = '' } = process.env;
const uri = `postgresql://${PGUSER}:${encodeURIComponent(PGPASSWORD)}@${PGHOST}:${PGPORT}/${PGDATABASE}`;
const connection = pgconnection({ replication: 'database' }, uri);
const options = { proto_version: 1, publication_names: 'bench' };
const began = performance.now();
const cpu = process.cpuUsage();
let left = Number(commits);
for await (const { messages } of connection.logicalReplication({ slot, options }).pgoutputDecode()) {
  for (const { tag } of messages) if (tag === 'commit') left--;
  if (left <= 0) break;
}
const { user, system } = process.cpuUsage(cpu);
const maxRssMb = process.resourceUsage().maxRSS / 1024;
console.log(`bench ${JSON.stringify({ ms: performance.now() - began, cpuMs: (user + system) / 1000, maxRssMb })}`);
process.exit(0);
