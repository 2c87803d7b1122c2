/**
 * What docs/records.md says of readers that we did not write, on the stream's real bytes: Lambda's event filters and its
 * partial batch failures, Firehose, whatever makes text of the data. Each is a few lines here, written from what AWS documents.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { changesOf, changesOfEvent, identityOf, type LambdaRecord, userRecords } from '../../lib/consumer/consumer.ts';
import { CHANGES, eventOf } from './event.ts';

const dataOf = ({ kinesis }: LambdaRecord): Buffer => Buffer.from(kinesis.data, 'base64');
const rawOf = (record: LambdaRecord) => ({ partitionKey: record.kinesis.partitionKey, data: dataOf(record) });
/** An event without its repeat. */
const once = (...of: Parameters<typeof eventOf>): LambdaRecord[] => eventOf(...of).event.Records.slice(0, -1);

/** @see https://docs.aws.amazon.com/lambda/latest/dg/with-kinesis-filtering.html */
function passesFilter(record: LambdaRecord, matches: (data: object) => boolean): boolean {
  try {
    const data = JSON.parse(dataOf(record).toString()) as unknown;
    return typeof data === 'object' && data !== null && matches(data);
  } catch {
    // "If either is not valid JSON, Lambda drops the record."
    return false;
  }
}

describe('an event filter on data', () => {
  const isInsert = (data: object): boolean => 'op' in data && data.op === 'INSERT';
  const passed = (records: readonly LambdaRecord[]): number =>
    records.filter((record) => passesFilter(record, isInsert)).length;

  it('passes each change of json with AGGREGATION=none', () => {
    assert.equal(passed(once('none', 'none')), CHANGES);
  });

  for (const [aggregation, compression] of [
    ['kpl', 'none'],
    ['lines', 'none'],
    ['lines', 'gzip'],
    ['lines', 'zstd'],
  ] as const)
    it(`discards every record of AGGREGATION=${aggregation}, COMPRESSION=${compression}, though each holds changes that match`, () => {
      const records = once(aggregation, compression);
      assert.ok(records.length > 0 && records.every((record) => changesOf(rawOf(record)).some(isInsert)));
      assert.equal(passed(records), 0);
    });

  it('passes a record of lines that holds one change: it seems to work while there is little to do', () => {
    assert.equal(passed(once('lines', 'none', 1)), 1);
    assert.equal(passed(once('kpl', 'none', 1)), 0);
  });

  for (const format of ['csv', 'csv-payload'] as const)
    it(`discards every record of ${format}, also with AGGREGATION=none`, () => {
      const records = once('none', 'none', CHANGES, format);
      assert.equal(records.length, CHANGES);
      assert.equal(records.filter((record) => passesFilter(record, () => true)).length, 0);
    });
});

describe('an object that Firehose writes', () => {
  /** It unpacks aggregates, and writes one user record behind the other. */
  const written = (records: readonly LambdaRecord[], delimiter: string): string =>
    records
      .flatMap((record) => userRecords(rawOf(record)))
      .map(({ data }) => data.toString() + delimiter)
      .join('');

  it('is one line that nobody can parse, without a delimiter', () => {
    const object = written(once('kpl'), '');
    assert.equal(object.split('\n').length, 1);
    assert.throws(() => JSON.parse(object) as unknown);
  });

  it('is a change a line with AppendDelimiterToRecord, or with AGGREGATION=lines', () => {
    for (const object of [written(once('kpl'), '\n'), written(once('lines'), '')]) {
      const lines = object.split('\n').filter(Boolean);
      assert.equal(lines.length, CHANGES);
      for (const line of lines) assert.ok('id' in (JSON.parse(line) as object));
    }
  });

  it('is no JSON with csv-payload, which its JSON features need', () => {
    const [line = ''] = written(once('kpl', 'none', 1, 'csv-payload'), '\n').split('\n');
    assert.match(line, /^0,CDC,\{/);
    assert.throws(() => JSON.parse(line) as unknown);
  });
});

describe('data that is made text before it is unpacked', () => {
  it('is an aggregate no more: its bytes cannot be had back', () => {
    for (const record of once('kpl')) {
      const raw = rawOf(record);
      const text = raw.data.toString('utf8');
      assert.ok(text.includes('\ufffd'));
      const [back, ...others] = userRecords({ ...raw, data: Buffer.from(text) });
      assert.deepEqual(others, []);
      assert.notDeepEqual(back?.data, raw.data);
      assert.throws(() => changesOf({ ...raw, data: Buffer.from(text) }), /no change of FORMAT=json/);
    }
  });
});

describe('a partial batch failure', () => {
  it('repeats the whole aggregate of the change that failed, and all behind it; dropping repeats makes that safe', () => {
    const records = once('kpl');
    const applied = new Map<string, number>();
    const apply = (name: string): void => void applied.set(name, (applied.get(name) ?? 0) + 1);
    /** A handler that reports the Kinesis record in which it failed, as Lambda wants it. */
    const handle = (batch: readonly LambdaRecord[], failsAt: number): string | undefined => {
      for (const record of batch)
        for (const change of changesOf(rawOf(record))) {
          const name = identityOf(change);
          if (applied.has(name)) continue;
          if (applied.size === failsAt) return record.kinesis.sequenceNumber;
          apply(name);
        }
      return undefined;
    };
    const failed = handle(records, CHANGES - 5);
    const from = records.findIndex(({ kinesis }) => kinesis.sequenceNumber === failed);
    assert.ok(from >= 0);
    const repeated = changesOfEvent({ Records: records.slice(from) }).map(identityOf);
    assert.ok(
      repeated.some((name) => applied.has(name)),
      'some of the aggregate had been applied',
    );
    assert.equal(handle(records.slice(from), Infinity), undefined);
    assert.equal(applied.size, CHANGES);
    assert.ok([...applied.values()].every((times) => times === 1));
  });
});

describe('ParallelizationFactor', () => {
  for (const aggregation of ['kpl', 'lines'] as const)
    it(`keeps each row in order with ${aggregation}: all its changes have one partition key on the stream`, () => {
      const keys = new Map<string, Set<string>>();
      for (const record of eventOf(aggregation, 'none', CHANGES, 'json', 10).event.Records)
        for (const change of changesOf(rawOf(record))) {
          const row = JSON.stringify(change.key);
          keys.set(row, (keys.get(row) ?? new Set()).add(record.kinesis.partitionKey));
        }
      assert.equal(keys.size, 10);
      assert.ok([...keys.values()].every((of) => of.size === 1));
      assert.ok(new Set([...keys.values()].flatMap((of) => [...of])).size > 1, 'over several lanes');
    });
});
