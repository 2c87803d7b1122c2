/** Which of two connections share their backends: a pool by transaction or statement is refused, a server and a pool by session pass. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type pg from 'pg';
import { refuseSharedBackends, type Unproven } from '../../../lambda/postgres/pooler.ts';

/** What answers a question of a client. @param client - which of the two */
type Backends = (client: number, text: string) => number | Error;

function connections(backends: Backends, over: { processID?: number | null; optionsRefused?: boolean } = {}) {
  const asked: string[] = [];
  const make = (client: number): Unproven => ({
    client: {
      processID: over.processID === undefined ? client * 100 : over.processID,
      query: (text: string) => {
        asked.push(`${client} ${text.includes('pg_backend_pid') ? 'pid' : text}`);
        const answer = backends(client, text);
        return answer instanceof Error ? Promise.reject(answer) : Promise.resolve({ rows: [{ pid: answer }] });
      },
    } as unknown as pg.Client,
    optionsRefused: over.optionsRefused ?? false,
  });
  return { one: make(1), two: make(2), asked };
}

const OWN: Backends = (client) => client * 100;

describe('two connections', () => {
  it('of a server pass after two questions each, one after the other', async () => {
    const { one, two, asked } = connections(OWN);
    assert.deepEqual(await refuseSharedBackends(one, two, 'db:5432'), [100, 200]);
    assert.deepEqual(asked, ['1 pid', '2 pid', '1 pid', '2 pid']);
  });

  for (const [what, backends] of [
    ['that is idle gives both the same backend', () => 7],
    [
      'that is busy gives a connection another backend',
      (() => {
        let next = 1;
        return () => next++;
      })(),
    ],
    ...[1, 2].map((changing): readonly [string, Backends] => {
      let next = 10;
      return [
        `gives only the connection ${changing} another backend`,
        (client) => (client === changing ? next++ : client),
      ];
    }),
    [
      'exchanges them',
      (() => {
        let asked = 0;
        return (client: number) => (asked++ < 2 ? client : 3 - client) * 100;
      })(),
    ],
  ] as readonly (readonly [string, Backends])[])
    it(`of a pool are refused which ${what}`, async () => {
      const { one, two } = connections(backends);
      await assert.rejects(refuseSharedBackends(one, two, 'pool:6432'), (error: Error & { code?: string }) => {
        assert.equal(error.code, 'POOLER_REFUSED');
        assert.match(error.message, /^POOLER_REFUSED: At pool:6432 a connection pool answers.*Nothing was set or read/);
        return true;
      });
    });

  for (const [what, over] of [
    ['the process id at log-in is another', { processID: 9_999 }],
    ['there was none', { processID: null }],
    ['settings at log-in were refused', { optionsRefused: true }],
  ] as const)
    it(`are asked eight times, and in transactions, where ${what}; a pool by session passes`, async () => {
      const { one, two, asked } = connections(OWN, over);
      assert.deepEqual(await refuseSharedBackends(one, two, 'pool:6432'), [100, 200]);
      assert.equal(asked.filter((text) => text === '1 BEGIN').length, 6);
      assert.equal(asked.filter((text) => text === '2 COMMIT').length, 6);
      assert.deepEqual(asked.slice(4, 14), [
        '1 pid',
        '2 pid',
        '1 BEGIN',
        '2 pid',
        '1 COMMIT',
        '2 pid',
        '2 BEGIN',
        '1 pid',
        '2 COMMIT',
        '1 pid',
      ]);
    });

  it('of a pool by transaction are refused that gives out the backend that became free last', async () => {
    let free = [1, 2];
    let held: number | undefined;
    const backends: Backends = (client, text) => {
      if (text === 'BEGIN') {
        held = client;
        free = free.filter((each) => each !== client);
      }
      if (text === 'COMMIT' && held !== undefined) {
        // It is given to the other one next.
        free = [held];
        held = undefined;
        return 0;
      }
      return (free.includes(client) ? client : (free[0] ?? client)) * 100;
    };
    const { one, two } = connections(backends, { processID: null });
    await assert.rejects(refuseSharedBackends(one, two, 'pool:6432'), { code: 'POOLER_REFUSED' });
  });

  it('of a pool by statement are refused by what it answers to BEGIN', async () => {
    const refusal = Object.assign(new Error('transaction blocks not allowed'), { code: '08P01' });
    const backends: Backends = (client, text) => (text === 'BEGIN' ? refusal : client * 100);
    const { one, two } = connections(backends, { optionsRefused: true });
    await assert.rejects(refuseSharedBackends(one, two, 'pool:6432'), { code: 'POOLER_REFUSED', cause: refusal });
  });

  it('fail as they fail', async () => {
    const lost = new Error('lost');
    const { one, two } = connections((client, text) => (text === 'BEGIN' ? lost : client * 100), { processID: null });
    await assert.rejects(refuseSharedBackends(one, two, 'pool:6432'), lost);
    const never = connections(() => lost);
    await assert.rejects(refuseSharedBackends(never.one, never.two, 'pool:6432'), lost);
  });
});
