/** What a slot's state says against making, reading or dropping it: by code, in words, with the way on. Without a server. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Connection } from '../../../lambda/postgres/connection.ts';
import type { ErrorContext } from '../../../lambda/postgres/error-context.ts';
import { makeFailoverSlot, requireFailoverSupport } from '../../../lambda/postgres/failover-slot.ts';
import { createSlot, dropSlot, requireDroppable, requireUsable } from '../../../lambda/postgres/slot-create-drop.ts';
import { explainSlotError, readSlotState, type SlotState, validateSlot } from '../../../lambda/postgres/slot-state.ts';
import { toSlotRow } from '../../../lambda/postgres/status-queries.ts';
import { refusal, scriptedServer } from './scripted-server.ts';

const CONTEXT: ErrorContext = { host: 'db', port: 5432, database: 'app', user: 'cdc', auth: 'password' };
const SLOT = {
  plugin: 'test_decoding',
  slot_type: 'logical',
  database: 'app',
  temporary: false,
  restart_lsn: '0/10',
  confirmed_flush_lsn: '0/20',
};
const slotOf = (over: object = {}) => toSlotRow('s', { ...SLOT, ...over });
const stateOf = (over: Partial<SlotState> = {}): SlotState => ({
  slot: slotOf(),
  walLevel: 'logical',
  inRecovery: false,
  versionNum: 160004,
  ...over,
});

/** A connection to a scripted server. */
function connectionTo(script: ReturnType<typeof scriptedServer>, over: object = {}): Connection {
  const made = {
    ...script.client,
    client: script.client,
    pid: 4711,
    versionNum: 160004,
    identity: { inRecovery: false },
    plugin: { name: 'test_decoding', publications: [] },
    context: CONTEXT,
    ...over,
  };
  return made as unknown as Connection;
}

const state = (slot: object | null, more: object = {}) =>
  ['AS level', [{ level: 'logical', recovery: false, num: 160004, slot, ...more }]] as const;

describe('a slot that a run is to read', () => {
  it('is read where it is the pipeline’s own', () => {
    assert.equal(validateSlot(stateOf(), 's', CONTEXT), undefined);
    const pgoutput = stateOf({ slot: slotOf({ plugin: 'pgoutput' }) });
    assert.equal(validateSlot(pgoutput, 's', { ...CONTEXT, plugin: 'pgoutput' }), undefined);
  });

  for (const [what, given, code, words] of [
    ['is not there', { slot: undefined }, 'SLOT_MISSING', /^There is no replication slot "s" at db:5432\. Nothing was/],
    [
      'cannot be there',
      { slot: undefined, walLevel: 'replica' },
      'CONFIG_INVALID',
      /^wal_level is replica at db:5432 and has to be logical.*Nothing was read and the slot was not advanced\.$/,
    ],
    ['is a physical one', { slot: slotOf({ slot_type: 'physical' }) }, 'WRONG_PLUGIN', /^Slot "s" is a physical one\./],
    [
      'is of another plugin',
      { slot: slotOf({ plugin: 'decoderbufs' }) },
      'WRONG_PLUGIN',
      /^Slot "s" uses the plugin decoderbufs, not test_decoding\./,
    ],
    ['has no plugin', { slot: slotOf({ plugin: null }) }, 'WRONG_PLUGIN', /uses the plugin none, not test_decoding/],
    [
      'is of another database',
      { slot: slotOf({ database: 'other' }) },
      'CONFIG_INVALID',
      /^Slot "s" belongs to database "other", and PGDATABASE \(or the secret's dbname\) says "app"\./,
    ],
    ['is of no database', { slot: slotOf({ database: null }) }, 'CONFIG_INVALID', /belongs to database "", and/],
    ['has two_phase', { slot: slotOf({ two_phase: true }) }, 'WRONG_PLUGIN', /^Slot "s" was made with two_phase/],
    ['is lost', { slot: slotOf({ wal_status: 'lost' }) }, 'SLOT_LOST', /Slot "s" can be read no more/],
    [
      'is on a standby that has none',
      { slot: undefined, inRecovery: true },
      'SERVER_IS_STANDBY',
      /^The server at db:5432 is a standby, and it has no slot "s"\. Nothing was read/,
    ],
    [
      'is on a standby that can have none',
      { inRecovery: true, versionNum: 159999 },
      'SERVER_IS_STANDBY',
      /is a standby, and before PostgreSQL 16 a standby has no logical slots\. Nothing was read/,
    ],
    [
      'is the standby’s copy',
      { inRecovery: true, slot: slotOf({ synced: true }) },
      'SERVER_IS_STANDBY',
      /is a standby\. Its slot "s" is a copy that the server keeps in step.*after a promotion\. Nothing was read/,
    ],
  ] as const) {
    it(`is refused with ${code} where it ${what}`, () => {
      const error = validateSlot(stateOf(given), 's', CONTEXT);
      assert.equal(error?.code, code);
      assert.match(error.what, words);
    });
  }

  it('of a standby that has its own is read', () => {
    assert.equal(validateSlot(stateOf({ inRecovery: true }), 's', CONTEXT), undefined);
  });

  it('is refused with the way on', () => {
    const remedy = (given: Partial<SlotState>) => validateSlot(stateOf(given), 's', CONTEXT)?.remedy ?? '';
    assert.equal(
      remedy({ slot: slotOf({ slot_type: 'physical' }) }),
      "Use another SLOT_NAME. Only if nobody needs that slot: SELECT pg_drop_replication_slot('s'); then create-slot.",
    );
    assert.equal(
      remedy({ slot: slotOf({ plugin: 'pgoutput' }) }),
      "If the slot is this pipeline's, set PLUGIN=pgoutput. If it is another's, use another SLOT_NAME.",
    );
    assert.doesNotMatch(remedy({ slot: slotOf({ plugin: 'decoderbufs' }) }), /set PLUGIN=/);
    assert.match(
      remedy({ slot: undefined, inRecovery: true }),
      /^Connect to the primary.*promotion has ended\. To read/,
    );
  });

  it('is read with what of its server matters, in one statement', async () => {
    const script = scriptedServer([state(SLOT, { recovery: true })]);
    assert.deepEqual(await readSlotState(script.client, 's'), stateOf({ inRecovery: true }));
    assert.deepEqual([script.sent.length, script.sent[0]?.values], [1, ['s']]);
  });
});

describe('an error of a statement on the slot', () => {
  const explained = async (error: unknown, ...answers: Parameters<typeof scriptedServer>[0]) => {
    const script = scriptedServer(answers);
    const found = await explainSlotError(error, script.client, 's', CONTEXT);
    return { found: found as { code?: string; what?: string; cause?: unknown }, looks: script.sent.length };
  };

  it('is what the slot’s state says, where that tells more', async () => {
    for (const code of ['55000', '42704', '58P01', '55006']) {
      const error = refusal(code);
      const { found, looks } = await explained(error, state(null));
      assert.deepEqual([found.code, found.cause, looks], ['SLOT_MISSING', error, 1], code);
    }
  });

  it('is what it says itself where the slot is sound, and the slot is not looked at for any other', async () => {
    const sound = await explained(refusal('42704'), state(SLOT));
    assert.deepEqual([sound.found.code, sound.looks], ['NO_PROGRESS', 1]);
    const unknown = await explained(refusal('42704'), ['AS level', refusal('57P01')]);
    assert.equal(unknown.found.code, 'SLOT_MISSING');
    const other = await explained(refusal('53100'), state(null));
    assert.deepEqual([other.found.code, other.looks], ['NO_PROGRESS', 0]);
    const error = new TypeError('of ours');
    assert.equal((await explained(error)).found, error);
  });

  it('names who may not use slots, and the publication that is missing', async () => {
    const rights = await explained(refusal('42501', { routine: 'CheckSlotPermissions' }), state(SLOT));
    assert.match(rights.found.what ?? '', /^User "cdc" may not use replication slots\. /);
    for (const routine of [undefined, 7]) {
      const other = await explained(refusal('42501', { routine }), state(SLOT));
      assert.match(other.found.what ?? '', /^User "cdc" has no right to something that a run needs\. /);
    }
    const missing = await explained(refusal('42704', { routine: 'GetPublicationByName' }), state(SLOT));
    assert.equal(missing.found.code, 'PUBLICATION_MISSING');
  });

  it('is a standby’s where that refuses what its slots do not explain', async () => {
    const standby = state(SLOT, { recovery: true });
    const { found } = await explained(refusal('55000'), standby);
    assert.equal(found.code, 'SERVER_IS_STANDBY');
    assert.match(
      found.what ?? '',
      /refused to use a replication slot\. It says: refused with 55000 \(SQLSTATE 55000\)/,
    );
    assert.notEqual((await explained(refusal('55006'), standby)).found.code, 'SERVER_IS_STANDBY');
    assert.notEqual((await explained(refusal('55000'), state(SLOT))).found.code, 'SERVER_IS_STANDBY');
  });
});

describe('making a slot', () => {
  const making = (answers: Parameters<typeof scriptedServer>[0], over: object = {}) => {
    const script = scriptedServer(answers);
    const connection = connectionTo(script, over);
    const make = (options: Parameters<typeof createSlot>[4] = {}) =>
      createSlot(connection, connection, 's', 30_000.7, options);
    return { ...script, make };
  };

  it('leaves one of ours as it is', async () => {
    const { make, sent } = making([state(SLOT)]);
    assert.deepEqual(await make(), { created: false, confirmedFlush: 0x20n });
    assert.equal(sent.length, 1);
  });

  it('waits as long as it may, and says where it begins', async () => {
    const { make, valuesOf } = making([state(null), ['SELECT (SELECT to_jsonb', [{ slot: SLOT }]]]);
    assert.deepEqual(await make(), { created: true, confirmedFlush: 0x20n });
    assert.deepEqual(valuesOf('statement_timeout'), [['30000ms']]);
    assert.deepEqual(valuesOf('SELECT pg_create_logical_replication_slot($1, $2)'), [['s', 'test_decoding']]);
  });

  it('makes a failover slot where one is asked for, from 17 on', async () => {
    const { make, valuesOf } = making([state(null)], { versionNum: 170000 });
    assert.deepEqual(await make({ failover: true }), { created: true, confirmedFlush: undefined });
    assert.equal(valuesOf('pg_create_logical_replication_slot($1, $2, false, false, true)').length, 1);
    await assert.rejects(making([state(null)]).make({ failover: true }), {
      code: 'CONFIG_INVALID',
      what: 'SLOT_FAILOVER is on, so that the slot "s" is to be a failover slot, but this server is PostgreSQL 16, and they came with 17. The slot was not made or changed.',
    });
    await assert.rejects(
      making([state(null)], { versionNum: 180000, identity: { inRecovery: true } }).make({ failover: true }),
      {
        code: 'CONFIG_INVALID',
        what: /but this server is a standby, which can have none of its own\. The slot was not/,
      },
    );
  });

  it('is refused on a standby, unless one is meant that can have slots, and has not', async () => {
    for (const [more, slot, options, code] of [
      [{ recovery: true }, null, {}, 'SERVER_IS_STANDBY'],
      [{ recovery: true }, null, { onStandby: true }, undefined],
      [{ recovery: true, num: 150000 }, null, { onStandby: true }, 'SERVER_IS_STANDBY'],
      [{ recovery: true }, { ...SLOT, synced: true }, { onStandby: true }, 'SERVER_IS_STANDBY'],
    ] as const) {
      const outcome = await making([state(slot, more)])
        .make(options)
        .then(
          () => undefined,
          (error: unknown) => (error as { code: string }).code,
        );
      assert.equal(outcome, code, JSON.stringify([more, slot, options]));
    }
  });

  for (const [what, sqlState, more, code, words] of [
    [
      'wal_level does not allow it',
      '55000',
      {},
      'CONFIG_INVALID',
      /^The slot "s" cannot be made: wal_level is not logical/,
    ],
    [
      'it is a standby',
      '0A000',
      {},
      'SERVER_IS_STANDBY',
      /^The slot "s" cannot be made: the server is a standby\. No slot/,
    ],
    [
      'all slots are in use',
      '53400',
      {},
      'CONFIG_INVALID',
      /all replication slots are in use\. Raise max_replication_slots/,
    ],
    ['the plugin is not there', '58P01', {}, 'CONFIG_INVALID', /does not have the plugin that PLUGIN names/],
    ['the plugin has another name', '42704', {}, 'CONFIG_INVALID', /does not have the plugin that PLUGIN names/],
    [
      'nobody can be named whom it waits for',
      '57014',
      {},
      'SLOT_BUSY',
      /one did not end within 30 s: a transaction that could not be identified\. No slot was made\.$/,
    ],
    [
      'the primary of a standby is idle',
      '57014',
      { recovery: true },
      'SLOT_BUSY',
      /on a standby waits until the primary has written .* within 30 s\. No slot was made\.$/,
    ],
    ['the connection is lost', '57P01', {}, 'DATABASE_UNREACHABLE', /./],
  ] as const) {
    it(`fails with ${code} where ${what}`, async () => {
      const error = refusal(sqlState);
      const { make } = making([state(null, more), ['pg_create_logical', error]]);
      await assert.rejects(make({ onStandby: true }), { code, what: words, cause: error });
    });
  }

  it('takes one that somebody else made meanwhile', async () => {
    let made = false;
    const script = scriptedServer([]);
    const query = (text: string) => {
      if (text.includes('pg_create_logical')) {
        made = true;
        return Promise.reject(refusal('42710'));
      }
      const rows = text.includes('AS level') ? state(made ? SLOT : null)[1] : [];
      return Promise.resolve({ rows: [...rows] as Record<string, unknown>[] });
    };
    const connection = connectionTo({ ...script, client: { query } });
    assert.deepEqual(await createSlot(connection, connection, 's', 1_000), { created: false, confirmedFlush: 0x20n });
  });

  it('says whom it waits for, once, and how to end that one', async () => {
    const BLOCKER = { pid: 7, user: 'app', application: 'psql', age: 5, state: 'idle in transaction' };
    const told: string[] = [];
    let ended = (): void => undefined;
    const query = (text: string) => {
      if (text.includes('pg_blocking_pids')) {
        if (told.length > 0) setTimeout(() => ended(), 300);
        return Promise.resolve({ rows: [BLOCKER] });
      }
      if (text.includes('pg_create_logical'))
        return new Promise<never>((_, reject) => {
          ended = () => reject(refusal('57014'));
        });
      return Promise.resolve({
        rows: text.includes('AS level') ? ([...state(null)[1]] as Record<string, unknown>[]) : [],
      });
    };
    const connection = connectionTo({ ...scriptedServer([]), client: { query } });
    const who = 'backend 7 (user app, application psql, open for 5 s, idle in transaction)';
    await assert.rejects(createSlot(connection, connection, 's', 60_000, { onWait: (text) => told.push(text) }), {
      code: 'SLOT_BUSY',
      what: `Making the slot "s" waits for the transactions that were writing when it began, and one did not end within 60 s: ${who}. SELECT pg_terminate_backend(7) ends it. No slot was made.`,
    });
    assert.deepEqual(told, [
      `Making the slot "s" waits for a transaction that was open before, up to 60 s: ${who}. SELECT pg_terminate_backend(7) ends it.`,
    ]);
  });
});

describe('a slot that is there', () => {
  const usable = (over: object, context: Partial<ErrorContext> = {}) => {
    const row = slotOf(over);
    assert.ok(row !== undefined);
    try {
      requireUsable(row, { ...CONTEXT, ...context });
    } catch (error) {
      const { code, what, remedy } = error as { code: string; what: string; remedy: string };
      return { code, what, remedy };
    }
    return undefined;
  };

  it('is used where it is ours', () => {
    assert.equal(usable({}), undefined);
    assert.equal(usable({ plugin: 'pgoutput' }, { plugin: 'pgoutput' }), undefined);
  });

  it('is left as it is where it is another’s', () => {
    const other =
      "Use another SLOT_NAME. Only if nobody needs that slot: SELECT pg_drop_replication_slot('s'); then create-slot.";
    for (const [over, what, remedy] of [
      [{ slot_type: 'physical' }, 'is a physical one, not a logical one', other],
      [{ plugin: 'decoderbufs' }, 'uses the plugin decoderbufs, not test_decoding', other],
      [{ plugin: null }, 'uses the plugin none, not test_decoding', other],
      [{ database: 'x' }, 'belongs to database "x", not to "app"', other],
      [{ database: null }, 'belongs to database "", not to "app"', other],
      [
        { plugin: 'wal2json' },
        'uses the plugin wal2json, not test_decoding',
        "If the slot is this pipeline's, set PLUGIN=wal2json. If it is another's, use another SLOT_NAME.",
      ],
    ] as const) {
      const found = usable(over);
      assert.deepEqual(found, { code: 'WRONG_PLUGIN', what: `The slot "s" ${what}. It was left as it is.`, remedy });
    }
    const lost = usable({ wal_status: 'lost' });
    assert.equal(lost?.code, 'SLOT_LOST');
    assert.match(lost.what, /^The slot "s" exists, but is lost.* It was left as it is\.$/);
  });
});

describe('dropping a slot', () => {
  const dropping = (...answers: Parameters<typeof scriptedServer>[0]) => {
    const script = scriptedServer(answers);
    return { ...script, drop: (plugin?: string) => dropSlot(connectionTo(script), 's', plugin) };
  };

  it('says whether there was one', async () => {
    const { drop, valuesOf } = dropping(state(SLOT));
    assert.equal(await drop(), true);
    assert.deepEqual(valuesOf('pg_drop_replication_slot'), [['s']]);
    const none = dropping(state(null));
    assert.deepEqual([await none.drop(), none.valuesOf('pg_drop_replication_slot')], [false, []]);
    assert.equal(await dropping(state(SLOT), ['pg_drop_replication_slot', refusal('42704')]).drop(), false);
  });

  it('is refused where it is not ours, on a standby, and while it is read', async () => {
    await assert.rejects(dropping(state({ ...SLOT, plugin: 'pgoutput' })).drop(), { code: 'WRONG_PLUGIN' });
    assert.equal(await dropping(state({ ...SLOT, plugin: 'pgoutput' })).drop('pgoutput'), true);
    await assert.rejects(dropping(state(null, { recovery: true })).drop(), {
      code: 'SERVER_IS_STANDBY',
      what: /The slot was not dropped\.$/,
    });
    const busy = refusal('55006');
    const reader = { usename: 'x', user: 'app', application: 'recv', age: 9, state: 'active' };
    await assert.rejects(
      dropping(
        state(SLOT),
        ['pg_drop_replication_slot', busy],
        ['SELECT (SELECT to_jsonb', [{ slot: { ...SLOT, active_pid: 12 } }]],
        ['backend_start', [reader]],
      ).drop(),
      {
        code: 'SLOT_BUSY',
        what: 'The slot "s" is being read by backend 12 (user app, application recv, open for 9 s, active). It was not dropped.',
        cause: busy,
      },
    );
    await assert.rejects(dropping(state(SLOT), ['pg_drop_replication_slot', busy]).drop(), {
      code: 'SLOT_BUSY',
      what: 'The slot "s" is being read by another process. It was not dropped.',
    });
    await assert.rejects(dropping(state(SLOT), ['pg_drop_replication_slot', refusal('57P01')]).drop(), {
      code: 'DATABASE_UNREACHABLE',
      what: /The slot was not dropped\.$/,
    });
  });

  it('can be refused before anything is asked of it', async () => {
    const check = (...answers: Parameters<typeof scriptedServer>[0]) => {
      const script = scriptedServer(answers);
      return requireDroppable(connectionTo(script), 's');
    };
    await check(state(null));
    await check(state(SLOT));
    await assert.rejects(check(state({ ...SLOT, database: 'x' })), { code: 'WRONG_PLUGIN' });
    await assert.rejects(check(state(null, { recovery: true })), {
      code: 'SERVER_IS_STANDBY',
      what: /The slot was not dropped\.$/,
    });
    await assert.rejects(check(state({ ...SLOT, active_pid: 12 })), { code: 'SLOT_BUSY' });
  });
});

describe('a failover slot', () => {
  it('needs PostgreSQL 17, and a primary', () => {
    const to = (versionNum: number, inRecovery: boolean) =>
      connectionTo(scriptedServer([]), { versionNum, identity: { inRecovery } });
    requireFailoverSupport(to(170000, false), 's');
    for (const connection of [to(169999, false), to(170000, true)])
      assert.throws(() => requireFailoverSupport(connection, 's'), {
        code: 'CONFIG_INVALID',
        remedy: /SLOT_FAILOVER=off/,
      });
  });

  it('is not asked for where no server has them', async () => {
    const script = scriptedServer([['to_jsonb', [{ slot: SLOT }]]]);
    const connection = connectionTo(script, { versionNum: 160004 });
    await assert.rejects(makeFailoverSlot(undefined as never, { deadline: 0 }, connection, 's'), {
      code: 'CONFIG_INVALID',
    });
    assert.equal(script.sent.length, 0);
  });

  it('is left as it is where it is one, and where no server can tell', async () => {
    for (const slot of [{ ...SLOT, failover: true }, null]) {
      const script = scriptedServer([['to_jsonb', [{ slot }]]]);
      const connection = connectionTo(script, { versionNum: 170000 });
      // Without a database: no connection is opened.
      assert.equal(await makeFailoverSlot(undefined as never, { deadline: 0 }, connection, 's'), false);
    }
  });
});
