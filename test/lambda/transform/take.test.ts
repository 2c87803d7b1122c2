/** What a transformation makes of single changes and rows, where a run shows it only with a server or a snapshot. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Message, type RowChange, type Transaction, ValueKind } from '../../../lambda/decode/messages.ts';
import { FORMATS } from '../../../lambda/format/formats.ts';
import { partitionKeyWriter } from '../../../lambda/format/partition-key.ts';
import type { Format } from '../../../lambda/format/record.ts';
import { createPacker } from '../../../lambda/pack/create-packer.ts';
import { compilePatterns, NO_FILTERS } from '../../../lambda/settings/filters.ts';
import { OPERATIONS } from '../../../lambda/settings/setting-schemas.ts';
import { CopyTextReader } from '../../../lambda/snapshot/copy-text-reader.ts';
import { RowChanges } from '../../../lambda/snapshot/row-changes.ts';
import { RowSet } from '../../../lambda/snapshot/row-set.ts';
import { RunState } from '../../../lambda/snapshot/run-state.ts';
import { AlterationOrder } from '../../../lambda/transform/alterations.ts';
import { KeyHistoryCache } from '../../../lambda/transform/key-history-cache.ts';
import { SkippedLog } from '../../../lambda/transform/skipped-log.ts';
import { SnapshotRows } from '../../../lambda/transform/snapshot-rows.ts';
import { TablePolicies } from '../../../lambda/transform/table-policies.ts';
import { Transformer, type TransformerParts } from '../../../lambda/transform/transform.ts';
import { FORMAT_OPTIONS, recordOf } from '../../support/changes.ts';
import { FakeKeys } from '../../support/fake-slot.ts';
import { Recorder } from '../../support/run-kit.ts';

const T = { printed: 'public.t', schema: 'public', name: 't' };
const transaction: Transaction = { xid: 705, commitLsn: 0x40n, commitTimeMicros: 0n };

function make(over: Partial<TransformerParts> = {}, filters = NO_FILTERS) {
  const policies = new TablePolicies(new FakeKeys({ 'public.t': {}, 'public.bare': { key: [] } }), filters);
  const transformer = new Transformer({
    policies,
    keyHistory: new KeyHistoryCache(policies),
    alterations: new AlterationOrder(),
    skippedLog: new SkippedLog(new Recorder(), new Set()),
    packer: createPacker({ aggregation: 'none', lanes: 1, maxRecordBytes: 1024 * 1024 }),
    format: FORMATS.json(FORMAT_OPTIONS),
    partitionKey: partitionKeyWriter('primary-key', 'test'),
    oversize: 'key-only',
    unknownKey: 'skip',
    operations: new Set(OPERATIONS),
    resume: undefined,
    ...over,
  });
  const records = () => {
    transformer.flush();
    return transformer.closed.flatMap(({ round }) => round.entries.map(({ data }) => data.toString()));
  };
  return { transformer, records };
}

function changeOf(line: string): RowChange {
  const { change } = recordOf(line);
  assert.ok(change !== undefined);
  return change;
}

it('the position of a row is asked for where the format shows it, and only there', () => {
  for (const usesRowLsn of [true, false, undefined]) {
    const seen: bigint[] = [];
    const format: Format = {
      supportsDeleteWithoutKey: false,
      showsRow: true,
      ...(usesRowLsn === undefined ? {} : { usesRowLsn }),
      write: ({ lsn }) => void seen.push(lsn),
    };
    const { transformer } = make({ format });
    let asked = 0;
    const row = { rowLsn: () => BigInt(++asked) };
    const messages: Message[] = [{ kind: 'begin', transaction }, changeOf('table public.t: INSERT: id[integer]:1')];
    for (const message of [...messages, messages[1] ?? { kind: 'ignored' }]) transformer.take(message, row);
    assert.deepEqual([seen, asked], usesRowLsn === true ? [[1n, 2n], 2] : [[0n, 0n], 0]);
  }
});

describe('a snapshot that is under way', () => {
  /** Keeps what it is told. */
  class Watched extends SnapshotRows {
    readonly published: boolean[] = [];

    override get isUnderWay(): boolean {
      return true;
    }

    override observe(change: RowChange, _policy: unknown, _xid: number, published: boolean): RowChange {
      this.published.push(published);
      return change;
    }
  }

  it('is told of each change, and whether it becomes a record', () => {
    const snapshots = new Watched(new RowChanges(new RunState()));
    const { transformer, records } = make({ snapshots, operations: new Set(['INSERT']) });
    for (const message of [
      { kind: 'begin', transaction } as const,
      changeOf('table public.t: INSERT: id[integer]:1'),
      changeOf('table public.t: DELETE: id[integer]:1'),
      changeOf('table public.bare: INSERT: id[integer]:1'),
      changeOf('table public.bare: DELETE: id[integer]:1'),
    ])
      transformer.take(message, { rowLsn: () => 1n });
    assert.deepEqual(snapshots.published, [true, false, false, false]);
    assert.equal(records().length, 1);
  });
});

it('I10: a row that a snapshot has read shows no column that is excluded', () => {
  const column = (id: number, name: string) => ({
    header: { id, printed: name, name, type: 'text' },
    kind: ValueKind.quoted,
  });
  const reader = new CopyTextReader(2, 1000);
  reader.push(Buffer.from('1\t123-45\n'));
  const rows = new RowSet(T, [column(1, 'id'), column(2, 'ssn')], ['id'], reader.values());
  const { transformer, records } = make({}, { ...NO_FILTERS, columnExclude: compilePatterns('public\\.t\\.ssn') });
  assert.equal(transformer.publishSnapshotRow({ rows, index: 0 }, transaction, 1), 'published');
  const [record = ''] = records();
  assert.ok(record.includes('"row":{"id":"1"}') && !record.includes('123-45'), record);
});
