/**
 * What docs/records.md says of Powertools for AWS Lambda, with the packages themselves, on the stream's real bytes: its parser
 * destroys an aggregate, its batch utility does not. Asks the registry: `npm run test:apps`.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { changesOf, type LambdaRecord } from '../../lib/consumer/consumer.ts';
import { CHANGES, eventOf } from '../examples/event.ts';

const PROGRAM = `
import { readFileSync } from 'node:fs';
import { KinesisDataStreamSchema } from '@aws-lambda-powertools/parser/schemas/kinesis';
import { BatchProcessorSync, EventType, processPartialResponseSync } from '@aws-lambda-powertools/batch';
const event = JSON.parse(readFileSync(0, 'utf8'));
const parsed = KinesisDataStreamSchema.parse(event).Records.map(({ kinesis }) => kinesis.data);
const raw = [];
const keep = ({ kinesis }) => void raw.push(kinesis);
const answer = processPartialResponseSync(event, keep, new BatchProcessorSync(EventType.KinesisDataStreams));
console.log(JSON.stringify({ parsed, raw, answer }));
`;

interface Report {
  readonly parsed: readonly unknown[];
  readonly raw: readonly LambdaRecord['kinesis'][];
  readonly answer: { readonly batchItemFailures: readonly object[] };
}

/** The rest of what Lambda puts into an event. */
function whole({ kinesis }: LambdaRecord): object {
  return {
    eventSource: 'aws:kinesis',
    eventVersion: '1.0',
    eventID: `shardId-000000000000:${kinesis.sequenceNumber}`,
    eventName: 'aws:kinesis:record',
    awsRegion: 'eu-central-1',
    invokeIdentityArn: 'arn:aws:iam::123456789012:role/consumer',
    eventSourceARN: 'arn:aws:kinesis:eu-central-1:123456789012:stream/changes',
    kinesis: { ...kinesis, kinesisSchemaVersion: '1.0', approximateArrivalTimestamp: 1_767_323_046.5 },
  };
}

describe('Powertools for AWS Lambda', () => {
  let folder: string;
  const run = (command: string, args: readonly string[], input = ''): string => {
    const { status, stdout, stderr } = spawnSync(command, args, {
      cwd: folder,
      encoding: 'utf8',
      input,
      timeout: 300_000,
      maxBuffer: 1 << 26,
    });
    assert.equal(status, 0, stderr.slice(-3000));
    return stdout;
  };
  const read = (records: readonly LambdaRecord[]): Report =>
    JSON.parse(
      run(process.execPath, ['program.mjs'], JSON.stringify({ Records: records.map(whole) })).trim(),
    ) as Report;

  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'pg2kinesis-powertools-'));
    writeFileSync(join(folder, 'package.json'), '{"name":"app","private":true}\n');
    writeFileSync(join(folder, 'program.mjs'), PROGRAM);
    const packages = ['@aws-lambda-powertools/parser', '@aws-lambda-powertools/batch', 'zod'];
    run('npm', ['install', '--no-audit', '--no-fund', '--ignore-scripts', ...packages]);
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  it('makes text of an aggregate in its parser: nothing can be read of it any more', () => {
    const { parsed } = read(eventOf('kpl').event.Records);
    for (const data of parsed) {
      assert.ok(typeof data === 'string' && data.includes('\ufffd'));
      assert.throws(() => changesOf({ partitionKey: 'k', data: Buffer.from(data) }), /no change of FORMAT=json/);
    }
  });

  it('reads json with AGGREGATION=none in its parser', () => {
    const { parsed } = read(eventOf('none').event.Records.slice(0, -1));
    assert.equal(parsed.length, CHANGES);
    assert.ok(parsed.every((change) => typeof change === 'object' && change !== null && 'id' in change));
  });

  it('gives the record as it came in its batch utility', () => {
    const { raw, answer } = read(eventOf('kpl').event.Records.slice(0, -1));
    assert.deepEqual(answer.batchItemFailures, []);
    const changes = raw.flatMap(({ partitionKey, data }) =>
      changesOf({ partitionKey, data: Buffer.from(data, 'base64') }),
    );
    assert.equal(changes.length, CHANGES);
  });
});
