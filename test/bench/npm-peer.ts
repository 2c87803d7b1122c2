/**
 * The peer from npm in a process of its own: pg-logical-replication reads a slot by the replication protocol and decodes
 * its rows in JavaScript. It publishes nothing. Prints its time and processor time once it has seen all commits.
 */
import { LogicalReplicationService, TestDecodingPlugin } from 'pg-logical-replication';

const [slot = '', commits = '0'] = process.argv.slice(2);
const { PGHOST: host, PGPORT: port, PGDATABASE: database, PGUSER: user, PGPASSWORD: password } = process.env;
const service = new LogicalReplicationService(
  { host, port: Number(port), database, user, password },
  { acknowledge: { auto: false, timeoutSeconds: 0 } },
);
const began = performance.now();
const cpu = process.cpuUsage();
let left = Number(commits);
service.on('data', (_lsn: string, message: { readonly trx?: string }) => {
  if (message.trx !== 'COMMIT' || --left > 0) return;
  const { user: userTime, system } = process.cpuUsage(cpu);
  const maxRssMb = process.resourceUsage().maxRSS / 1024;
  console.log(
    `bench ${JSON.stringify({ ms: performance.now() - began, cpuMs: (userTime + system) / 1000, maxRssMb })}`,
  );
  process.exit(0);
});
service.on('error', (error: Error) => {
  console.error(error.message);
  process.exit(1);
});
await service.subscribe(new TestDecodingPlugin({ skipEmptyXacts: true, includeTimestamp: true }), slot);
