/** A container that is killed in mid-run: the next invocation in the same environment tells of it, once. */
import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { type Container, startContainer } from './container.ts';
import { eventually } from './environment.ts';

const RUN = { action: 'run', maxSeconds: 50 };

describe('a container that was killed', () => {
  let directory = '';
  const started: Container[] = [];
  const sockets = new Set<{ destroy(): void }>();
  // A database that never answers.
  const silent = createServer((socket) => void sockets.add(socket.on('error', () => undefined)));
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'pg2kinesis-killed-'));
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
  });
  after(async () => {
    await Promise.all(started.map((each) => each.kill()));
    for (const socket of sockets) socket.destroy();
    silent.close();
    await rm(directory, { recursive: true });
  });
  const start = async (): Promise<Container> => {
    const container = await startContainer({
      TMPDIR: directory,
      AWS_LAMBDA_FUNCTION_MEMORY_SIZE: '256',
      AWS_REGION: 'us-east-1',
      PGHOST: '127.0.0.1',
      PGPORT: String((silent.address() as AddressInfo).port),
      PGDATABASE: 'app',
      PGUSER: 'cdc',
      PGPASSWORD: 'MARKER-password',
      PGSSLMODE: 'disable',
    });
    started.push(container);
    return container;
  };
  const told = (container: Container) => container.lines.filter(({ killed }) => killed !== undefined);

  it('is told of once, with its memory; one that has answered leaves nothing', async () => {
    const first = await start();
    const ending = first.invoke(RUN);
    await eventually(() => sockets.size > 0, 'it connects');
    await first.kill();
    assert.equal(await ending, 'killed');
    assert.deepEqual(await readdir(directory), ['pg2kinesis-invocation.json']);

    // The same environment, another process, as Lambda starts it.
    const next = await start();
    for (let i = 0; i < 2; i++) assert.equal((await next.refusal({ action: 'none' })).code, 'EVENT_INVALID');
    const [line, ...more] = told(next);
    assert.equal(more.length, 0, 'it is told once');
    assert.equal(line?.['level'], 'WARN');
    assert.match(String(line['message']), /raise memoryMib/);
    const { requestId, lastSeenMemoryMib } = line['killed'] as { requestId: string; lastSeenMemoryMib: number };
    assert.deepEqual([requestId, line['memoryMib']], ['request-1', 256]);
    assert.ok(lastSeenMemoryMib > 20, `${lastSeenMemoryMib} MiB`);
    assert.deepEqual(await readdir(directory), []);
    assert.deepEqual(told(first), []);
  });
});
