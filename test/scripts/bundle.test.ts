/** The function's bundle: its size, and that it needs nothing beside it. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { gzipSync } from 'node:zlib';
import { bundleFunction, bundleReplicaFunction, writeOutputs } from '../../scripts/bundle.ts';

describe("the function's bundle", () => {
  let folder: string;
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'pg2kinesis-bundle-'));
    await bundleFunction(folder);
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  it('is small: at most 1.5 MB with its map, 0.8 MB packed', () => {
    const files = readdirSync(folder).map((name) => readFileSync(join(folder, name)));
    assert.ok(files.reduce((sum, { length }) => sum + length, 0) <= 1.5e6);
    assert.ok(files.reduce((sum, file) => sum + gzipSync(file).length, 0) <= 0.8e6);
  });

  it('needs nothing beside it: loads in an empty folder, and answers bad settings by their code', () => {
    const program = `
      const { handler } = await import(${JSON.stringify(join(folder, 'handler.mjs'))});
      const context = { awsRequestId: 'r', functionName: 'f', getRemainingTimeInMillis: () => 10000 };
      try { await handler({ action: 'status' }, context); } catch (error) { console.log(error.name, error.constructor.name, error.stack.includes('lambda/settings/config.ts')); }`;
    const result = spawnSync(process.execPath, ['--enable-source-maps', '--input-type=module', '-e', program], {
      cwd: folder,
      encoding: 'utf8',
      timeout: 60_000,
      env: {},
    });
    assert.equal(result.stdout.trim().split('\n').at(-1), 'CONFIG_INVALID PipelineError true', result.stderr);
  });

  it('has the licences of all that it contains beside it', () => {
    const notices = readFileSync(join(folder, 'THIRD-PARTY-NOTICES.txt'), 'utf8');
    for (const name of ['pg', 'zod', '@middy/core', '@aws-sdk/client-kinesis', '@smithy/core', 'split2'])
      assert.match(notices, new RegExp(`^${name} [0-9.]+ \\(`, 'm'), name);
    for (const text of ['Apache License', 'Brian M. Carlson', 'MIT License']) assert.ok(notices.includes(text), text);
  });

  it('has a map of our lines only, without their text', () => {
    const map = JSON.parse(readFileSync(join(folder, 'handler.mjs.map'), 'utf8')) as {
      sources: string[];
      sourcesContent?: unknown;
    };
    assert.equal(map.sourcesContent, undefined);
    assert.ok(map.sources.length > 0);
    assert.deepEqual(
      map.sources.filter((source) => source.includes('node_modules') || !/lambda\//.test(source)),
      [],
    );
  });
});

describe("the bundle of a replica's function", () => {
  let folder: string;
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'pg2kinesis-bundle-'));
    await bundleReplicaFunction(folder);
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  it('is smaller than that of the publisher: at most 0.9 MB with its map', () => {
    const sizes = readdirSync(folder).map((name) => statSync(join(folder, name)).size);
    assert.ok(sizes.reduce((sum, size) => sum + size, 0) <= 0.9e6, sizes.join());
  });

  it('needs nothing beside it, and names bad settings', () => {
    const program = `
      const { handler } = await import(${JSON.stringify(join(folder, 'handler.mjs'))});
      try { await handler({ Records: [] }, { awsRequestId: 'r' }); } catch (error) { console.log(error.name, error.message); }`;
    const result = spawnSync(process.execPath, ['--input-type=module', '-e', program], {
      cwd: folder,
      encoding: 'utf8',
      timeout: 60_000,
      env: { PGSSLMODE: 'prefer' },
    });
    assert.match(result.stdout.trim().split('\n').at(-1) ?? '', /^REPLICA_USAGE .*PGSSLMODE/, result.stderr);
  });
});

describe('writeOutputs', () => {
  it('leaves alone what is right, replaces what is not, and leaves no draft', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'pg2kinesis-outputs-'));
    try {
      const file = (name: string, text: string): { path: string; contents: Uint8Array } => ({
        path: join(folder, name),
        contents: Buffer.from(text),
      });
      assert.deepEqual(
        [...(await writeOutputs([file('a', 'one'), file('b', 'two')]))],
        [
          ['a', 3],
          ['b', 3],
        ],
      );
      const inodes = (): number[] => ['a', 'b'].map((name) => statSync(join(folder, name)).ino);
      const [a, b] = inodes();
      await writeOutputs([file('a', 'one'), file('b', 'new')]);
      assert.equal(inodes()[0], a);
      assert.notEqual(inodes()[1], b, 'replaced in one step, not written over');
      assert.equal(readFileSync(join(folder, 'b'), 'utf8'), 'new');
      assert.deepEqual(readdirSync(folder).sort(), ['a', 'b']);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
