/** Who a server says that it is, also where it does not tell everything, and whether two are one. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { describeServer, isSameServer, readServerIdentity } from '../../../lambda/postgres/server-identity.ts';
import type { Queryable } from '../../../lambda/postgres/status-queries.ts';

const STARTED = '2026-01-02T03:04:05.678901Z';
const ROW = { started: STARTED, recovery: false, system: '7301', timeline: '0000000A', wal_end: '0/16B3748' };

/** A server that refuses each statement with a column that is named here. */
function server(row: Record<string, unknown>, refused: readonly string[] = [], code = '42501') {
  const asked: string[] = [];
  const client: Queryable = {
    query: (text: string) => {
      asked.push(text);
      const names = [...text.matchAll(/ AS (started|recovery|system|timeline|wal_end)\b/g)].map(
        ([, name = '']) => name,
      );
      if (names.some((name) => refused.includes(name))) {
        return Promise.reject(Object.assign(new Error('refused'), { code }));
      }
      return Promise.resolve({ rows: [Object.fromEntries(names.map((name) => [name, row[name]]))] });
    },
  };
  return { client, asked };
}

describe('a server', () => {
  it('says who it is in one statement', async () => {
    const { client, asked } = server(ROW);
    assert.deepEqual(await readServerIdentity(client), {
      systemIdentifier: '7301',
      startedAt: STARTED,
      inRecovery: false,
      timeline: 10,
      walEnd: 0x16b3748n,
    });
    assert.equal(asked.length, 1);
    assert.ok(asked[0]?.startsWith('SELECT '));
  });

  it('is asked by qualified names only: no search_path is set yet', async () => {
    const { client, asked } = server(ROW, ['system', 'timeline', 'wal_end']);
    await readServerIdentity(client);
    assert.equal(asked.length, 5);
    const syntax = new Set(['coalesce', 'greatest']);
    for (const text of asked) {
      const called = [...text.matchAll(/([\w.]+)\(/g)].map(([, name = '']) => name);
      const foreign = called.filter((name) => !name.startsWith('pg_catalog.') && !syntax.has(name));
      assert.deepEqual(foreign, [], text);
      assert.doesNotMatch(text, /::(?!pg_catalog\.)|\|\|/, text);
    }
  });

  it('has its timeline in digits where it is a standby', async () => {
    const { client } = server({ ...ROW, recovery: true, timeline: '10' });
    const { timeline, inRecovery } = await readServerIdentity(client);
    assert.deepEqual([timeline, inRecovery], [10, true]);
  });

  for (const code of ['42501', '42883', '0A000', '55000'])
    it(`is asked for each by itself where it refuses one, with ${code}`, async () => {
      for (const [name, field] of [
        ['system', 'systemIdentifier'],
        ['timeline', 'timeline'],
        ['wal_end', 'walEnd'],
      ] as const) {
        const { client } = server(ROW, [name], code);
        const whole = await readServerIdentity(server(ROW).client);
        assert.deepEqual(await readServerIdentity(client), { ...whole, [field]: undefined });
      }
    });

  it('fails with what it says where it does not tell when it was started', async () => {
    await assert.rejects(readServerIdentity(server(ROW, ['started']).client), { code: '42501' });
  });

  it('fails with any other error', async () => {
    await assert.rejects(readServerIdentity(server(ROW, ['system'], '57P01').client), { code: '57P01' });
  });

  it('has to say when it was started', async () => {
    await assert.rejects(readServerIdentity(server({ ...ROW, started: null }).client), /when it was started/);
  });

  it('is one with another of the same system that started at the same moment', async () => {
    const it = await readServerIdentity(server(ROW).client);
    assert.equal(isSameServer(it, { ...it, timeline: 9, inRecovery: true }), true);
    assert.equal(isSameServer(it, { ...it, startedAt: '2026-01-02T03:04:05.678902Z' }), false, 'its standby');
    assert.equal(isSameServer(it, { ...it, systemIdentifier: '7302' }), false);
  });

  it('is named so that an operator can tell it from another', async () => {
    const it = await readServerIdentity(server(ROW).client);
    assert.equal(describeServer(it), `system 7301, started ${STARTED}`);
    assert.equal(
      describeServer({ ...it, systemIdentifier: undefined, inRecovery: true }),
      `system unknown, started ${STARTED}, a standby`,
    );
  });
});
