/** What answers as node-postgres does not expect ends the connection, and not the process: over a real socket. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { describe, it } from 'node:test';
import { PipelineError } from '../../../lambda/errors.ts';
import { createDatabase, logIn } from '../../../lambda/postgres/connection.ts';
import { createClient, unreachable } from '../../../replica/postgres/connection.ts';
import { TestClock } from '../../support/run-kit.ts';
import { message } from '../../support/wire-server.ts';

/** Asks whoever comes to log in by that number. */
const logInBy = (kind: number, more = ''): Buffer => {
  const body = Buffer.alloc(4);
  body.writeInt32BE(kind);
  return message('R', Buffer.concat([body, Buffer.from(more)]));
};

/** Lets a client come to a server that answers so. @returns what became of it */
async function answered<T>(answer: Buffer, come: (port: number) => Promise<T>): Promise<unknown> {
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket);
    socket.on('error', () => undefined);
    socket.once('data', () => socket.write(answer));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  try {
    return await come((server.address() as AddressInfo).port).catch((error: unknown) => error);
  } finally {
    for (const socket of sockets) socket.destroy();
    server.close();
  }
}

async function refused(answer: Buffer): Promise<PipelineError> {
  const error = await answered(answer, async (port) => {
    const clock = new TestClock();
    const database = createDatabase({
      settings: { host: '127.0.0.1', port, database: 'app', user: 'cdc', auth: 'password', sslMode: 'disable' },
      secrets: () => Promise.reject(new Error('no secret was to be read')),
      iamToken: () => Promise.reject(new Error('no token was to be made')),
      clock,
    });
    return await logIn(database, { deadline: clock.time + 60_000 });
  });
  assert.ok(error instanceof PipelineError, String(error));
  return error;
}

describe('an answer that is not expected', () => {
  for (const [what, answer] of [
    ['GSSAPI', logInBy(7)],
    ['SSPI', logInBy(9)],
    ['OAuth', logInBy(10, 'OAUTHBEARER\0\0')],
  ] as const) {
    it(`asks for a log-in by ${what}: the error says so`, async () => {
      const { code, what: said, remedy } = await refused(answer);
      assert.equal(code, 'DATABASE_AUTH_FAILED');
      assert.match(
        said,
        /wants user "cdc" to log in by GSSAPI, SSPI or OAuth, none of which is supported here\. Nothing/,
      );
      assert.match(remedy, /scram-sha-256 in pg_hba\.conf/);
    });
  }

  for (const [what, answer] of [
    ['is of another database', Buffer.from('J\0\0\0\x0a8.0.36\0', 'latin1')],
    ['has a length that no message has', Buffer.from('R\0\0\0\x01\0\0', 'latin1')],
  ] as const) {
    it(`${what}: the error says so`, async () => {
      const { code, what: said, remedy } = await refused(answer);
      assert.equal(code, 'DATABASE_UNREACHABLE');
      assert.match(said, /does not speak as PostgreSQL does\. Nothing was read/);
      assert.match(remedy, /those of a PostgreSQL server/);
    });
  }

  it('is told of a target, too', async () => {
    const address = {
      host: '127.0.0.1',
      user: 'copy',
      password: '',
      database: 'app',
      sslMode: 'disable',
      sslRootCert: undefined,
    } as const;
    const error = await answered(logInBy(7), (port) => createClient({ ...address, port }).connect());
    const told = unreachable({ ...address, port: 5432 }, error);
    assert.equal(told.code, 'TARGET_UNREACHABLE');
    assert.match(told.message, /cannot be read: Unknown authenticationOk message type 7/);
  });
});
