/** How far may be read by what standbys have confirmed, and which of them cannot be waited for. Without a server. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { readStandbys, standbyBound } from '../../../lambda/postgres/standby-bound.ts';
import { scriptedServer } from './scripted-server.ts';

const PHYSICAL = { slot_type: 'physical', restart_lsn: '0/50', active: true };
const NEAR = { name: 'near', required: true, slot: PHYSICAL };
const AWAITING = { standbySlots: ['near'], failover: false };

/** A server that has flushed up to 0/99, and these standbys. */
const server = (standbys: readonly object[] | null, wal: object = {}) =>
  scriptedServer([['AS readable', [{ readable: '0/99', flush: '0/99', standbys, ...wal }]]]);
const read = (...standbys: readonly object[]) => readStandbys(server(standbys).client, AWAITING);

describe('how far may be read', () => {
  it('is to the end of the WAL where no standby is awaited, by one cheap question', async () => {
    const script = server(null);
    assert.deepEqual(await readStandbys(script.client, { standbySlots: [], failover: false }), {
      flush: 0x99n,
      bound: 0x99n,
      confirmedOnly: false,
      awaited: [],
      absent: [],
      all: [],
      faults: [],
    });
    assert.deepEqual([script.sent.length, script.sent[0]?.values], [1, undefined]);
    assert.ok(!script.sent[0]?.text.includes('AS standbys'));
  });

  it('asks for the standbys of the setting, and of a failover slot for those of the server', async () => {
    for (const awaiting of [AWAITING, { standbySlots: [], failover: true }]) {
      const script = server([]);
      const { confirmedOnly, bound } = await readStandbys(script.client, awaiting);
      assert.deepEqual([confirmedOnly, bound], [false, 0x99n], 'there are none');
      assert.deepEqual(script.sent[0]?.values, [awaiting.standbySlots, awaiting.failover]);
    }
    assert.equal((await readStandbys(server(null).client, AWAITING)).confirmedOnly, false);
  });

  it('is to what the last of the standbys has confirmed', async () => {
    const far = { name: 'far', required: true, slot: { ...PHYSICAL, restart_lsn: '0/40', active: false } };
    const { flush, bound, confirmedOnly, awaited } = await read(NEAR, far);
    assert.deepEqual([flush, bound, confirmedOnly], [0x99n, 0x40n, true]);
    assert.deepEqual(awaited, [
      { name: 'near', active: true, confirmed: 0x50n, behindBytes: 0x49, fault: undefined },
      { name: 'far', active: false, confirmed: 0x40n, behindBytes: 0x59, fault: undefined },
    ]);
    assert.equal((await read(far, NEAR)).bound, 0x40n);
  });

  it('is to the end where all have confirmed it, who are waited for no more', async () => {
    for (const restart of ['0/99', '0/A0']) {
      const all = await read({ ...NEAR, slot: { ...PHYSICAL, restart_lsn: restart } });
      assert.deepEqual([all.bound, all.confirmedOnly, all.awaited, all.all.length], [0x99n, true, [], 1]);
      assert.equal(all.all[0]?.behindBytes, 0);
    }
  });

  it('is to what a standby has replayed, and the end is what it has received', async () => {
    const wal = { readable: '0/80', flush: '0/99' };
    const { flush, bound } = await readStandbys(server(null, wal).client, { standbySlots: [], failover: false });
    assert.deepEqual([flush, bound], [0x99n, 0x80n]);
    const more = { readable: '0/A0', flush: '0/99' };
    const ahead = await readStandbys(server(null, more).client, { standbySlots: [], failover: false });
    assert.deepEqual([ahead.flush, ahead.bound], [0xa0n, 0xa0n], 'between the two it has replayed more');
  });

  it('is not guessed where the server does not say', async () => {
    for (const wal of [{ readable: null }, { flush: null }])
      await assert.rejects(
        readStandbys(server(null, wal).client, { standbySlots: [], failover: false }),
        /no flush LSN/,
      );
  });
});

describe('a slot of STANDBY_SLOTS', () => {
  for (const [what, slot, fault] of [
    ['is not there', null, 'there is no slot "x"'],
    ['is a logical one', { ...PHYSICAL, slot_type: 'logical' }, `"x" is a logical slot, not a standby's physical one`],
    [
      'is lost',
      { ...PHYSICAL, wal_status: 'lost' },
      '"x" is lost: its standby fell too far behind and has to be copied again',
    ],
    [
      'was given up',
      { ...PHYSICAL, invalidation_reason: 'idle_timeout' },
      '"x" is lost: its standby fell too far behind and has to be copied again',
    ],
    ['was never used', { ...PHYSICAL, restart_lsn: null }, '"x" was never used by a standby'],
  ] as const) {
    it(`that ${what} fails with CONFIG_INVALID`, async () => {
      const script = server([{ name: 'x', required: true, slot }]);
      await assert.rejects(standbyBound(script.client, AWAITING), {
        code: 'CONFIG_INVALID',
        what: `STANDBY_SLOTS names slots by which no standby can be waited for: ${fault}. The slot was not advanced over what was not acknowledged.`,
      });
      const told = await readStandbys(script.client, AWAITING);
      assert.deepEqual([told.faults, told.bound], [[fault], 0n]);
      assert.deepEqual(told.all, [
        { name: 'x', active: slot?.active === true, confirmed: undefined, behindBytes: undefined, fault },
      ]);
    });
  }

  it('fails by name with all others that cannot be waited for', async () => {
    const none = (name: string) => ({ name, required: true, slot: null });
    await assert.rejects(standbyBound(server([none('a'), none('b')]).client, AWAITING), {
      what: /: there is no slot "a"; there is no slot "b"\. The slot was not advanced over/,
    });
  });

  it('may be absent where another is there: members of a cluster take turns', async () => {
    for (const slot of [null, { ...PHYSICAL, restart_lsn: null }]) {
      const bound = await standbyBound(server([NEAR, { name: 'own', required: true, slot }]).client, AWAITING);
      assert.deepEqual([bound.absent, bound.bound], [['own'], 0x50n]);
      assert.deepEqual(
        bound.awaited.map(({ name }) => name),
        ['near'],
      );
      assert.ok(!('faults' in bound));
    }
  });

  it('is no absent one where it was lost, or is of another kind', async () => {
    for (const slot of [
      { ...PHYSICAL, restart_lsn: null, wal_status: 'lost' },
      { ...PHYSICAL, restart_lsn: null, slot_type: 'logical' },
    ])
      await assert.rejects(standbyBound(server([NEAR, { name: 'own', required: true, slot }]).client, AWAITING), {
        code: 'CONFIG_INVALID',
      });
  });

  it('of the server’s own list is waited for without being required', async () => {
    const listed = { name: 'listed', required: false, slot: null };
    const { absent, faults, awaited, bound } = await read(NEAR, listed);
    assert.deepEqual([absent, faults, bound], [[], [], 0n]);
    assert.deepEqual(
      awaited.map(({ name, fault }) => [name, fault]),
      [
        ['near', undefined],
        ['listed', 'there is no slot "listed"'],
      ],
    );
  });
});
