/** What `check` is told of the stream, and why where it is told nothing. */
import assert from 'node:assert/strict';
import { type AddressInfo, createServer } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { describeStream } from '../../../lambda/kinesis/describe-stream.ts';
import { refusal, type ScriptedAnswer, type ScriptedEndpoint, startScripted } from '../../support/scripted-endpoint.ts';
import { clientOf } from './publisher-fixtures.ts';

const SUMMARY = {
  StreamName: 'changes',
  StreamARN: 'arn:aws:kinesis:us-east-1:123456789012:stream/changes',
  StreamStatus: 'ACTIVE',
  StreamModeDetails: { StreamMode: 'ON_DEMAND' },
  RetentionPeriodHours: 48,
  StreamCreationTimestamp: 1,
  EncryptionType: 'KMS',
  OpenShardCount: 4,
  MaxRecordSizeInKiB: 2048,
  EnhancedMonitoring: [],
};
const NAMED = { name: 'changes', arn: undefined };

describe('the description of a stream', () => {
  let endpoint: ScriptedEndpoint;
  let answer: Parameters<typeof startScripted>[0];
  before(async () => {
    endpoint = await startScripted((...request) => answer(...request));
  });
  after(() => endpoint.stop());

  /** Asks with this answer. */
  async function asked(
    given: ScriptedAnswer | typeof answer,
    stream: { name: string; arn: string | undefined } = NAMED,
  ) {
    answer = typeof given === 'function' ? given : () => given;
    const client = clientOf(endpoint.endpoint);
    try {
      return await describeStream(client, stream, 20_000);
    } finally {
      client.destroy();
    }
  }
  const found = (summary: object): ScriptedAnswer => ({ body: JSON.stringify({ StreamDescriptionSummary: summary }) });

  it('is what the stream says of itself, and where it is', async () => {
    const { port } = new URL(endpoint.endpoint);
    assert.deepEqual(await asked(found(SUMMARY)), {
      kind: 'found',
      where: ` in us-east-1 (127.0.0.1:${port})`,
      status: 'ACTIVE',
      encrypted: true,
      shards: 4,
      onDemand: true,
      retentionHours: 48,
      maxRecordKib: 2048,
    });
  });

  it('is of a stream without a key and with shards of its own, too; what is not told is not known', async () => {
    const provisioned = await asked(
      found({ ...SUMMARY, EncryptionType: 'NONE', StreamModeDetails: { StreamMode: 'PROVISIONED' } }),
    );
    assert.deepEqual(provisioned.kind === 'found' && [provisioned.encrypted, provisioned.onDemand], [false, false]);
    const bare = await asked({ body: '{}' });
    assert.deepEqual(bare.kind === 'found' && { ...bare, where: '' }, {
      kind: 'found',
      where: '',
      status: 'unknown',
      encrypted: false,
      shards: 0,
      onDemand: false,
      retentionHours: 0,
      maxRecordKib: undefined,
    });
  });

  it('is asked for by the ARN where one was given, else by the name', async () => {
    await asked(found(SUMMARY));
    assert.deepEqual(JSON.parse(endpoint.seen.at(-1)?.body ?? ''), { StreamName: 'changes' });
    await asked(found(SUMMARY), { name: 'changes', arn: SUMMARY.StreamARN });
    assert.deepEqual(JSON.parse(endpoint.seen.at(-1)?.body ?? ''), { StreamARN: SUMMARY.StreamARN });
  });

  for (const [type, kind] of [
    ['ResourceNotFoundException', 'missing'],
    ['AccessDeniedException', 'denied'],
    ['ExpiredTokenException', 'no-credentials'],
    ['SomethingNew', 'failed'],
  ] as const) {
    it(`is "${kind}" after ${type}`, async () => {
      const told = await asked(refusal(type));
      assert.equal(told.kind, kind);
      if (told.kind === 'no-credentials') {
        assert.equal(told.reason, type);
        assert.match(told.remedy ?? '', /have expired/);
      }
      if (told.kind === 'failed') assert.equal(told.reason, 'SomethingNew (HTTP 400)');
      assert.match('where' in told ? told.where : '', / in us-east-1 \(127\.0\.0\.1:/);
    });
  }

  for (const [what, first] of [
    ['the server fails', refusal('InternalFailure', 500)],
    ['it is asked too often', refusal('LimitExceededException')],
    [
      'the clock was wrong, which the SDK sets right',
      { ...refusal('InvalidSignatureException'), headers: { date: new Date(Date.now() + 3_600_000).toUTCString() } },
    ],
    ['the connection was closed meanwhile', 'close'],
  ] as const) {
    it(`is asked for once more where ${what}`, async () => {
      const before = endpoint.seen.length;
      assert.equal((await asked((_, asks) => (asks === before ? first : found(SUMMARY)))).kind, 'found');
      assert.equal(endpoint.seen.length - before, 2);
    });
  }

  it('is "silent" in time where the credentials do not come', async () => {
    const client = clientOf(endpoint.endpoint);
    client.config.credentials = () => new Promise(() => undefined);
    const told = await describeStream(client, NAMED, 50);
    client.destroy();
    assert.equal(told.kind, 'silent');
  });

  it('is "unreachable" where nobody listens, with the reason', async () => {
    // A port that no system gives to whoever asks for any.
    const client = clientOf('http://127.0.0.1:1');
    const told = await describeStream(client, NAMED, 20_000);
    client.destroy();
    assert.equal(told.kind, 'unreachable');
    assert.match(told.reason, /ECONNREFUSED/);
  });

  for (const [what, requestTimeoutMs, timeoutMs] of [
    ['the time that it was given', 600_000, 400],
    ['the time of a request', 400, 600_000],
  ] as const) {
    it(`is "silent" after ${what}, in whole seconds of the first`, async () => {
      const server = createServer((socket) => socket.on('error', () => undefined)).listen(0, '127.0.0.1');
      await new Promise((resolve) => server.once('listening', resolve));
      const { port } = server.address() as AddressInfo;
      const client = clientOf(`http://127.0.0.1:${port}`, requestTimeoutMs);
      const told = await describeStream(client, NAMED, timeoutMs);
      client.destroy();
      server.close();
      assert.equal(told.kind, 'silent');
      assert.equal(told.seconds, Math.round(timeoutMs / 1000));
    });
  }
});
