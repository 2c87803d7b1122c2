/**
 * `npm run test:python`: the consumer in Python on the stream's real bytes. It needs `python3` (3.8 or later), and so is
 * no part of `npm test`, which needs Node.js only.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { comparable, demoStream } from './demo-stream.ts';
import { CHANGES, eventOf } from './event.ts';

const SCRIPT = `
import base64, json, sys
from consumer import consumer, lsn
applied = {}
handler = consumer(applied.__contains__, lambda change, identity: applied.update({identity: change}))
event = json.load(sys.stdin)
for other in ({"op": "MARK", "source": "s"}, {"op": "MESSAGE", "source": "s", "id": "0/1#m"}):
    data = base64.b64encode(json.dumps(other).encode()).decode()
    event["Records"].append({"kinesis": {"data": data}})
handler(event, None)
handler(event, None)
assert lsn("0/9") < lsn("0/10") < lsn("1/0")
print(json.dumps([change["id"] for change in applied.values()]))
`;

// The standard library reads zstd from Python 3.14 on.
const zstd = spawnSync('python3', ['-c', 'import compression.zstd']).status === 0;
const cases = [
  ['kpl', 'none'],
  ['lines', 'none'],
  ['lines', 'gzip'],
  ...(zstd ? ([['lines', 'zstd']] as const) : []),
  ['none', 'none'],
] as const;
for (const [aggregation, compression] of cases) {
  const { event, ids } = eventOf(aggregation, compression);
  const { status, stdout, stderr, error } = spawnSync('python3', ['-c', SCRIPT], {
    cwd: fileURLToPath(new URL('../../examples/', import.meta.url)),
    input: JSON.stringify(event),
    encoding: 'utf8',
    env: { ...process.env, PYTHONDONTWRITEBYTECODE: '1' },
  });
  if (error !== undefined) throw new Error('It needs python3, 3.8 or later, on the PATH.', { cause: error });
  assert.equal(status, 0, stderr);
  const applied = JSON.parse(stdout) as string[];
  assert.equal(applied.length, CHANGES);
  assert.deepEqual(new Set(applied), ids);
  console.log(`AGGREGATION=${aggregation}, COMPRESSION=${compression}: ${applied.length} changes applied, each once.`);
}

/** The demo's stream, each event twice: the consumer must end with the rows of the tables. */
const REPLICA = `
import json, sys
from consumer import consumer
seen, rows = set(), {}
def apply(change, identity):
    seen.add(identity)
    name = change["table"] + json.dumps(change["key"])
    if change["op"] == "DELETE":
        rows.pop(name, None)
    else:
        rows[name] = {"table": change["table"], "row": {**rows.get(name, {}).get("row", {}), **change["row"]}}
handler = consumer(seen.__contains__, apply)
for event in json.load(sys.stdin):
    handler(event, None)
print(json.dumps([len(seen), list(rows.values())]))
`;
const { events, rows } = await demoStream();
const { status, stdout, stderr } = spawnSync('python3', ['-c', REPLICA], {
  cwd: fileURLToPath(new URL('../../examples/', import.meta.url)),
  input: JSON.stringify(events),
  encoding: 'utf8',
  maxBuffer: 1 << 28,
  env: { ...process.env, PYTHONDONTWRITEBYTECODE: '1' },
});
assert.equal(status, 0, stderr);
const [changes, copy] = JSON.parse(stdout) as [number, Parameters<typeof comparable>[0]];
assert.ok(changes > 500);
assert.deepEqual(comparable(copy), rows);
console.log(`The demo's stream, every event twice: ${changes} changes applied, and the copy has the tables' rows.`);
