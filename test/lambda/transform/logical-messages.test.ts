/** Logical messages in a whole run: which are published, their ids, what is counted, and where a run goes on among them. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { formatLsn, parseLsn } from '../../../lambda/decode/lsn.ts';
import type { PipelineError } from '../../../lambda/errors.ts';
import type { ByteWriter } from '../../../lambda/format/byte-writer.ts';
import { FORMATS } from '../../../lambda/format/formats.ts';
import { logicalMessageKeyWriter } from '../../../lambda/format/partition-key.ts';
import { run } from '../../../lambda/run/run.ts';
import type { RunOptions } from '../../../lambda/run/run-options.ts';
import { skipFirstTransaction } from '../../../lambda/run/skip-first-transaction.ts';
import { compilePatterns } from '../../../lambda/settings/filters.ts';
import type { Formatter } from '../../../lib/formatter/formatter.ts';
import { FORMAT_OPTIONS } from '../../support/changes.ts';
import { FakeKeys, FakeSlot } from '../../support/fake-slot.ts';
import { type RunKit, runKit, TestClock } from '../../support/run-kit.ts';

const message = (prefix: string, content = 'c', transactional = true): string =>
  `message: transactional: ${transactional ? 1 : 0} prefix: ${prefix}, sz: ${Buffer.byteLength(content)} content:${content}`;
const insert = (id: number): string => `table public.t: INSERT: id[integer]:${id}`;
const SECRET = 'ssn-123-45';

/** For whatever record. */
const oneKey = (_record: unknown, out: ByteWriter): void => out.ascii('k');

function wanted(prefixes: string, over: Partial<RunOptions> = {}): Partial<RunOptions> {
  return {
    format: FORMATS.json(FORMAT_OPTIONS),
    messages: { prefixes: compilePatterns(prefixes), partitionKey: logicalMessageKeyWriter('primary-key', 'test') },
    ...over,
  };
}

/** What a test looks at in a record: `row 1 #1`, `orders/1=c #1.1`. */
function told(records: readonly string[]): string[] {
  return records.map((text) => {
    const { id, op, prefix, content, key } = JSON.parse(text) as Record<string, unknown>;
    const place = String(id).replace(/^.*?@\d+/, '');
    return op === 'MESSAGE' ? `${String(prefix)}=${String(content)} ${place}` : `row ${JSON.stringify(key)} ${place}`;
  });
}

function kitOf(slot: FakeSlot): RunKit {
  return runKit(slot, new FakeKeys({ 'public.t': {} }));
}

async function publish(slot: FakeSlot, options: Partial<RunOptions>) {
  const kit = kitOf(slot);
  const answer = await run(kit.ports, kit.options(options)).then(
    (value) => ({ value, error: undefined }),
    (error: unknown) => ({ value: undefined, error: error as PipelineError }),
  );
  return { ...answer, kit, records: kit.publisher.acknowledged };
}

describe('logical messages', () => {
  it('are published in their place, those whose prefix is wanted; rows keep their ids', async () => {
    const lines = [
      message('orders/1'),
      insert(1),
      message('orders/2'),
      message('audit'),
      message('orders/3'),
      insert(2),
    ];
    const slot = new FakeSlot();
    slot.commit(...lines);
    const { records, value } = await publish(slot, wanted('orders/.*'));
    assert.deepEqual(told(records), [
      'orders/1=c #0.1',
      'row {"id":1} #1',
      'orders/2=c #1.1',
      // The second behind the row is not wanted, and counts all the same.
      'orders/3=c #1.3',
      'row {"id":2} #2',
    ]);
    assert.deepEqual(
      [value?.changes, value?.published, value?.messages, value?.messagesSkipped, value?.records],
      [2, 2, 3, 1, 5],
    );
    const off = new FakeSlot();
    off.commit(...lines.map((line) => (line.startsWith('message:') ? 'message:' : line)));
    const without = await publish(off, { format: FORMATS.json(FORMAT_OPTIONS) });
    assert.deepEqual(
      without.records.map((text) => text),
      records.filter((text) => !text.includes('"op":"MESSAGE"')).map((text) => text),
    );
    assert.deepEqual([without.value?.messages, without.value?.messagesSkipped], [0, 0]);
  });

  it('that are not wanted add no record, no byte and no request', async () => {
    const [many, without] = [new FakeSlot(), new FakeSlot()];
    for (let id = 0; id < 50; id++) {
      many.message(message('audit', 'x'.repeat(1_000), false));
      many.commit(message('audit', 'x'.repeat(1_000)), insert(id), message('audit', 'x'.repeat(1_000)));
      without.commit(insert(id));
    }
    const [read, rows] = [await publish(many, wanted('orders/.*')), await publish(without, wanted('orders/.*'))];
    assert.equal(read.value?.messagesSkipped, 150);
    assert.equal(read.records.length, 50);
    assert.deepEqual(read.value.kinesisRecords, rows.value?.kinesisRecords);
    assert.equal(read.kit.publisher.rounds.length, rows.kit.publisher.rounds.length);
  });

  it('of pg2kinesis itself are never published, whatever is wanted', async () => {
    const slot = new FakeSlot();
    slot.commit(message('pg2kinesis'), message('pg2kinesis2'));
    slot.message(message('pg2kinesis', 'c', false));
    const { records, value } = await publish(slot, wanted('.*'));
    assert.deepEqual(told(records), ['pg2kinesis2=c #0.2']);
    assert.equal(value?.messagesSkipped, 2);
  });

  it('outside transactions are published where they stand, once a run, though a peek gives them again', async () => {
    const slot = new FakeSlot();
    slot.commit(insert(1));
    const places = [1, 2, 3].map((n) => slot.message(message('p', String(n), false)));
    slot.commit(insert(2));
    const { records, value } = await publish(slot, wanted('p', { maxRows: 4 }));
    assert.ok(slot.peeks.length > 1, 'the messages behind the first COMMIT were read twice');
    assert.deepEqual(told(records), [
      'row {"id":1} #1',
      ...places.map((lsn, i) => `p=${i + 1} ${formatLsn(lsn)}#m`),
      'row {"id":2} #1',
    ]);
    assert.deepEqual([value?.messages, value?.caughtUp], [3, true]);
  });

  it('alone, more than a batch holds, are passed and published once', async () => {
    const slot = new FakeSlot();
    for (let i = 0; i < 40; i++) slot.message(message('p', String(i), false));
    const { records, value } = await publish(slot, wanted('p', { maxRows: 4 }));
    assert.equal(records.length, 40);
    assert.equal(new Set(records).size, 40);
    assert.deepEqual([value?.caughtUp, slot.unconsumed().length], [true, 0]);
  });

  it('I1: a run that was cut among them goes on behind the last that was acknowledged, and loses no row', async () => {
    const lines = [
      message('p', 'a'),
      message('p', 'b'),
      insert(1),
      message('p', 'c'),
      message('q'),
      message('p', 'd'),
      insert(2),
    ];
    const all = ['p=a #0.1', 'p=b #0.2', 'row {"id":1} #1', 'p=c #1.1', 'p=d #1.3', 'row {"id":2} #2'];
    for (let rounds = 1; rounds <= 7; rounds++) {
      for (const [first, second] of [
        ['p', 'p'],
        ['p', ''],
        ['', 'p'],
      ] as const) {
        const slot = new FakeSlot();
        // A record is a round of its own: each has the same partition key.
        slot.commit(...lines);
        slot.blockLines = 1;
        const one = kitOf(slot);
        const settings = (prefixes: string): Partial<RunOptions> =>
          prefixes === ''
            ? { format: FORMATS.json(FORMAT_OPTIONS), partitionKey: oneKey }
            : wanted(prefixes, {
                partitionKey: oneKey,
                messages: { prefixes: compilePatterns(prefixes), partitionKey: oneKey },
              });
        one.publisher.fate = (round) => (round < rounds ? 'acknowledged' : 'unanswered');
        const answer = await run(one.ports, one.options(settings(first)));
        const two = kitOf(slot);
        const { resume } = answer;
        const done = await run(
          two.ports,
          two.options({ ...settings(second), ...(resume === undefined ? {} : { resume }) }),
        );
        assert.equal(done.caughtUp, true);
        const published = [...told(one.publisher.acknowledged), ...told(two.publisher.acknowledged)];
        const expected = all.filter((each) => each.startsWith('row') || (first === 'p' && second === 'p'));
        assert.deepEqual(
          published.filter((each) => expected.includes(each)),
          expected,
          `${first} ${second} ${rounds}`,
        );
      }
    }
  });

  it('that are too large go without their content, and are named by no prefix', async () => {
    const slot = new FakeSlot();
    const long = 'x'.repeat(1024 * 1024);
    slot.commit(message(SECRET, long), insert(1));
    slot.message(message(SECRET, long, false));
    const { records, value, kit } = await publish(slot, wanted('.*'));
    assert.deepEqual(
      records.map((text) => (JSON.parse(text) as { truncated?: boolean }).truncated),
      [true, undefined, true],
    );
    assert.deepEqual([value?.truncated, value?.messages], [2, 2]);
    const log = kit.recorder.lines.join('\n');
    assert.match(log, /Logical messages too large/);
    assert.ok(!log.includes(SECRET));
  });

  it('whose prefix has more than 64 KiB are left out and counted, however short they are; with 64 KiB they are not', async () => {
    const slot = new FakeSlot();
    const longest = 'é'.repeat(32 * 1024);
    slot.commit(message(`${longest}y`, ''), message('y'.repeat(1024 * 1024), ''), insert(1), message(longest));
    slot.message(message(`${longest}y`, 'c', false));
    const { records, value } = await publish(slot, wanted('.*'));
    assert.deepEqual(told(records), ['row {"id":1} #1', `${longest}=c #1.1`]);
    assert.deepEqual([value?.messagesSkipped, value?.caughtUp], [3, true]);
  });

  it('fails with RECORD_TOO_LARGE where OVERSIZE=fail, and says the way out', async () => {
    const long = 'x'.repeat(1024 * 1024);
    const slot = new FakeSlot();
    const commitLsn = slot.commit(message(SECRET, long));
    const inside = await publish(slot, wanted('.*', { oversize: 'fail' }));
    assert.equal(inside.error?.code, 'RECORD_TOO_LARGE');
    assert.ok(inside.error.message.includes(`in the transaction with commit LSN ${formatLsn(commitLsn)}.`));
    assert.match(inside.error.message, /skip-transaction/);
    const other = new FakeSlot();
    const lsn = other.message(message(SECRET, long, false));
    const outside = await publish(other, wanted('.*', { oversize: 'fail' }));
    assert.equal(outside.error?.code, 'RECORD_TOO_LARGE');
    assert.ok(outside.error.message.includes(`logical message at ${formatLsn(lsn)} has`));
    assert.match(outside.error.message, /outside a transaction\..*take its prefix out of MESSAGES/);
    assert.ok(!`${inside.error.message}${outside.error.message}`.includes(SECRET));
    assert.equal(other.advances.length, 0);
  });

  it('fails with FORMAT_FAILED where the formatter does, and shows nothing of the message', async () => {
    const formatter: Formatter = {
      format: () => ({ data: 'row' }),
      formatMessage: ({ prefix, content }) => {
        throw new Error(`${prefix} ${String(content)}`);
      },
    };
    const options = wanted('.*', { format: FORMATS.module({ ...FORMAT_OPTIONS, formatter }) });
    for (const transactional of [true, false]) {
      const slot = new FakeSlot();
      slot.commit(insert(1));
      if (transactional) slot.commit(message(SECRET, SECRET));
      else slot.message(message(SECRET, SECRET, false));
      const { error, records, kit } = await publish(slot, options);
      assert.equal(error?.code, 'FORMAT_FAILED');
      assert.match(
        error.message,
        /The formatter threw Error at logical-messages\.test\.ts:\d+:\d+, for the logical message at 0\//,
      );
      assert.match(
        error.message,
        transactional ? /skip-transaction/ : /take the prefix of that message out of MESSAGES/,
      );
      assert.ok(!`${error.message}${kit.recorder.lines.join('')}`.includes(SECRET));
      assert.deepEqual(records, ['row']);
      const commitLsn = /commit LSN ([0-9A-F]+\/[0-9A-F]+)/.exec(error.message)?.[1];
      assert.equal(parseLsn(commitLsn ?? '') !== undefined, transactional);
    }
  });

  it('I1: before a transaction that is skipped are published by the run that fails at it, and counted as passed', async () => {
    const formatter: Formatter = {
      format: ({ key }) => {
        if (key?.['id'] === 2) throw new Error(SECRET);
        return { data: `row ${JSON.stringify(key)}` };
      },
      formatMessage: ({ content }) => ({ data: String(content) }),
    };
    const options = wanted('p', { format: FORMATS.module({ ...FORMAT_OPTIONS, formatter }) });
    const slot = new FakeSlot();
    slot.commit(insert(1));
    for (const n of [1, 2, 3]) slot.message(message('p', String(n), false));
    const commitLsn = slot.commit(insert(2), message('p', 'inside'));
    slot.message(message('p', '4', false));
    slot.commit(insert(3));
    const { error, records } = await publish(slot, options);
    assert.equal(error?.code, 'FORMAT_FAILED');
    const clock = new TestClock();
    const skipped = await skipFirstTransaction(slot, clock, commitLsn, clock.now() + 50_000);
    assert.deepEqual([skipped.messagesBefore, skipped.advancedTo], [3, commitLsn]);
    const after = await publish(slot, options);
    assert.deepEqual([...records, ...after.records], ['row {"id":1}', '1', '2', '3', '4', 'row {"id":3}']);
  });

  it('counts those that the formatter leaves out', async () => {
    const slot = new FakeSlot();
    slot.commit(message('a'), message('b'));
    const formatter: Formatter = {
      format: () => undefined,
      formatMessage: ({ prefix }) => (prefix === 'a' ? { data: 'a' } : undefined),
    };
    const { records, value } = await publish(
      slot,
      wanted('.*', { format: FORMATS.module({ ...FORMAT_OPTIONS, formatter }) }),
    );
    assert.deepEqual(records, ['a']);
    assert.deepEqual([value?.messages, value?.messagesSkipped], [1, 1]);
  });
});
