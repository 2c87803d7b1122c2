/** The recipe for Iceberg, synthesised: a table whose columns are what its formatter writes, and rights before the delivery. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { App, Stack } from 'aws-cdk-lib';
import { Match, Template } from 'aws-cdk-lib/assertions';
import * as kinesis from 'aws-cdk-lib/aws-kinesis';
import rows from '../../examples/iceberg-rows.ts';
import { IcebergStack } from '../../examples/iceberg-stack.ts';

const CHANGE = {
  id: '0/1@2#3',
  source: 's',
  op: 'UPDATE',
  schema: 'public',
  table: 'users',
  key: { id: 7 },
  row: { id: 7, name: 'Ada', picture: new Uint8Array([1, 2]) },
  unchanged: ['bio'],
  types: {},
  xid: 1,
  commitLsn: '0/1',
  ordinal: 3,
  commitTime: '2026-01-02T03:04:05.678901Z',
} as const;

describe('the recipe for Iceberg', () => {
  const app = new App();
  const pipeline = new Stack(app, 'pipeline');
  const template = Template.fromStack(
    new IcebergStack(app, 'iceberg', { stream: new kinesis.Stream(pipeline, 'Stream') }),
  );
  const read = ({ data }: { data: string | Uint8Array }) => JSON.parse(String(data)) as Record<string, unknown>;

  it('has a column for each field that the formatter writes, of its type', () => {
    const record = read(rows.format(CHANGE));
    const [table] = Object.values(template.findResources('AWS::Glue::Table')) as {
      Properties: { TableInput: { StorageDescriptor: { Columns: { Name: string; Type: string }[] } } };
    }[];
    assert.deepEqual(
      table?.Properties.TableInput.StorageDescriptor.Columns,
      Object.entries(record).map(([Name, value]) => ({ Name, Type: typeof value === 'number' ? 'int' : typeof value })),
    );
    assert.deepEqual(JSON.parse(String(record['row_json'])), { id: 7, name: 'Ada', picture: 'AQI=' });
    const { row, unchanged, ...gone } = CHANGE;
    assert.deepEqual([record['table_name'], record['unchanged']], ['public.users', unchanged.join(',')]);
    assert.deepEqual(JSON.parse(String(record['key_json'])), { id: row.id });
    const deleted = read(rows.format({ ...gone, op: 'DELETE', key: null }));
    assert.deepEqual([deleted['row_json'], deleted['key_json'], deleted['unchanged']], [null, null, null]);
  });

  it('appends the stream to a table of the version that Firehose takes', () => {
    template.hasResourceProperties('AWS::Glue::Table', {
      OpenTableFormatInput: { IcebergInput: { MetadataOperation: 'CREATE', Version: '2' } },
    });
    template.hasResourceProperties('AWS::KinesisFirehose::DeliveryStream', {
      DeliveryStreamType: 'KinesisStreamAsSource',
      KinesisStreamSourceConfiguration: { KinesisStreamARN: Match.anyValue(), RoleARN: Match.anyValue() },
      IcebergDestinationConfiguration: {
        AppendOnly: true,
        DestinationTableConfigurationList: [{ DestinationDatabaseName: 'pg2kinesis', DestinationTableName: 'changes' }],
      },
    });
  });

  it('may read the stream, write the bucket and the table, before it is made; the table is there, too', () => {
    const policies = JSON.stringify(template.findResources('AWS::IAM::Policy'));
    for (const action of ['kinesis:GetRecords', 's3:PutObject', 'glue:GetTable', 'glue:UpdateTable'])
      assert.ok(policies.includes(action), action);
    const [delivery] = Object.values(template.findResources('AWS::KinesisFirehose::DeliveryStream'));
    const before = JSON.stringify((delivery as { DependsOn?: unknown } | undefined)?.DependsOn ?? []);
    for (const type of ['AWS::IAM::Policy', 'AWS::Glue::Table'])
      for (const id of Object.keys(template.findResources(type))) assert.ok(before.includes(id), id);
  });

  it('is named by the docs', () => {
    const page = readFileSync(new URL('../../docs/records.md', import.meta.url), 'utf8');
    for (const file of ['iceberg-stack', 'iceberg-rows']) assert.ok(page.includes(`(../examples/${file}.ts)`), file);
  });
});
