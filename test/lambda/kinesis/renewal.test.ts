/** What a process that lives long renews when a refusal shows it to be old: credentials and connections; once a refusal. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { createKinesisClient } from '../../../lambda/kinesis/client.ts';
import { createPublisher } from '../../../lambda/kinesis/publisher.ts';
import type { Published } from '../../../lambda/ports/publisher.ts';
import {
  refusal,
  type ScriptedAnswer,
  type ScriptedRequest,
  startScripted,
  stored,
  withEnvironment,
} from '../../support/scripted-endpoint.ts';
import { hurried, memoryLog, round } from './publisher-fixtures.ts';

let directory: string;
before(async () => (directory = await mkdtemp(join(tmpdir(), 'pg2kinesis-renewal-'))));
after(() => rm(directory, { recursive: true }));

const keyOf = (request: ScriptedRequest): string =>
  /Credential=([^/]*)/.exec(request.headers.authorization ?? '')?.[1] ?? '';

/** Kinesis takes what is signed with the key that is in force. */
const taking =
  (key: () => string) =>
  (request: ScriptedRequest): ScriptedAnswer =>
    keyOf(request) === key() ? stored(request.body) : refusal('ExpiredTokenException');

/** A publisher whose client finds everything in the environment. */
function publisherTo(endpoint: string) {
  const client = createKinesisClient({ region: 'eu-west-1', endpoint, requestTimeoutMs: 20_000 });
  const publisher = createPublisher({
    client,
    stream: 'changes',
    clock: hurried,
    log: memoryLog(),
    requestTimeoutMs: 20_000,
  });
  const signal = new AbortController().signal;
  return {
    publish: (text: string): Promise<Published> => publisher.publish(round({ text }), Date.now() + 60_000, signal),
    end: () => client.destroy(),
  };
}

describe('renewal', () => {
  it('reads a credentials file anew that was written anew', async () => {
    let inForce = 'OLD';
    const kinesis = await startScripted(taking(() => inForce));
    const file = join(directory, 'credentials');
    const write = (key: string) => writeFile(file, `[default]\naws_access_key_id=${key}\naws_secret_access_key=s\n`);
    await write('OLD');
    await withEnvironment({ AWS_SHARED_CREDENTIALS_FILE: file, AWS_CONFIG_FILE: '/nonexistent/config' }, async () => {
      const { publish, end } = publisherTo(kinesis.endpoint);
      assert.equal((await publish('a')).complete, true);
      inForce = 'NEW';
      await write('NEW');
      assert.equal((await publish('b')).complete, true);
      assert.deepEqual(kinesis.seen.map(keyOf), ['OLD', 'OLD', 'NEW']);
      end();
    });
    await kinesis.stop();
  });

  it("asks a container's credentials endpoint anew before its credentials expire", async () => {
    let inForce = 'FIRST';
    const kinesis = await startScripted(taking(() => inForce));
    const container = await startScripted(() => ({
      body: JSON.stringify({
        AccessKeyId: inForce,
        SecretAccessKey: 's',
        Token: 't',
        Expiration: new Date(Date.now() + 3_600_000).toISOString(),
      }),
    }));
    await withEnvironment({ AWS_CONTAINER_CREDENTIALS_FULL_URI: `${container.endpoint}/credentials` }, async () => {
      const { publish, end } = publisherTo(kinesis.endpoint);
      assert.equal((await publish('a')).complete, true);
      inForce = 'SECOND';
      assert.equal((await publish('b')).complete, true);
      assert.deepEqual(kinesis.seen.map(keyOf), ['FIRST', 'FIRST', 'SECOND']);
      assert.equal(container.seen.length, 2);
      end();
    });
    await Promise.all([kinesis.stop(), container.stop()]);
  });

  it('fails when new credentials are refused too, and tries again in the next run', async () => {
    const kinesis = await startScripted(() => refusal('UnrecognizedClientException'));
    await withEnvironment({ AWS_ACCESS_KEY_ID: 'K', AWS_SECRET_ACCESS_KEY: 's' }, async () => {
      const { publish, end } = publisherTo(kinesis.endpoint);
      await assert.rejects(publish('a'), { name: 'STREAM_ACCESS_DENIED' });
      assert.equal(kinesis.seen.length, 2);
      await assert.rejects(publish('a'), { name: 'STREAM_ACCESS_DENIED' });
      assert.equal(kinesis.seen.length, 4);
      end();
    });
    await kinesis.stop();
  });

  it('I7: waits for new credentials no longer than there is time for the round', { timeout: 15_000 }, async () => {
    let now = 0;
    const kinesis = await startScripted(() => {
      now = 59_900;
      return refusal('ExpiredTokenException');
    });
    const client = createKinesisClient({ region: 'eu-west-1', endpoint: kinesis.endpoint, requestTimeoutMs: 20_000 });
    client.config.credentials = (options) => {
      if (options?.['forceRefresh'] === true) return new Promise(() => undefined);
      return Promise.resolve({ accessKeyId: 'K', secretAccessKey: 's' });
    };
    const clock = { ...hurried, now: () => now };
    const log = memoryLog();
    const publisher = createPublisher({ client, stream: 'changes', clock, log, requestTimeoutMs: 20_000 });
    const { complete } = await publisher.publish(round({ text: 'a' }), 60_000, new AbortController().signal);
    assert.deepEqual([complete, kinesis.seen.length], [false, 1]);
    assert.match(log.lines.join(), /credentials .* are renewed/);
    client.destroy();
    await kinesis.stop();
  });

  it("connects anew, and so asks for the endpoint's address again, when the server behind a connection fails", async () => {
    const kinesis = await startScripted(({ body }, before) =>
      before === 1 ? refusal('ServiceUnavailable', 503) : stored(body),
    );
    await withEnvironment({ AWS_ACCESS_KEY_ID: 'K', AWS_SECRET_ACCESS_KEY: 's' }, async () => {
      const { publish, end } = publisherTo(kinesis.endpoint);
      await publish('a');
      await publish('b');
      await publish('c');
      assert.deepEqual(
        kinesis.seen.map(({ connection }) => connection),
        [1, 1, 2, 2],
      );
      end();
    });
    await kinesis.stop();
  });

  it('takes a success with an empty error code beside its sequence number', async () => {
    const kinesis = await startScripted(() => ({
      body: JSON.stringify({
        FailedRecordCount: 0,
        Records: [{ SequenceNumber: '1', ErrorCode: '', ErrorMessage: '' }],
      }),
    }));
    await withEnvironment({ AWS_ACCESS_KEY_ID: 'K', AWS_SECRET_ACCESS_KEY: 's' }, async () => {
      const { publish, end } = publisherTo(kinesis.endpoint);
      assert.deepEqual(await publish('a'), { complete: true, throttledEntries: 0 });
      assert.equal(kinesis.seen.length, 1);
      end();
    });
    await kinesis.stop();
  });
});
