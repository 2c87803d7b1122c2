/** The demo as a user meets it: as a process, from its start to the summary, and interrupted at every turn. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, readdir, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { runDemo } from '../../../bin/demo/demo.ts';
import type { UserRecord } from '../../../lib/consumer/deaggregate.ts';

const COMMAND = fileURLToPath(new URL('../../../bin/pg2kinesis.ts', import.meta.url));

/** A demo under way, in a temporary directory of its own. */
interface Running {
  readonly child: ChildProcess;
  /** What it has printed. */
  text(): string;
  /** Resolves once it has printed that. */
  printed(what: RegExp): Promise<void>;
  /** @returns its exit status, once it has ended */
  readonly ended: Promise<number | null>;
}

/** The number behind a line's words. */
function figure(text: string, words: string): number {
  const found = new RegExp(`^ +${words} +([0-9]+)`, 'm').exec(text);
  assert.ok(found, `no line "${words}" in:\n${text}`);
  return Number(found[1]);
}

function refused(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      resolve(false);
    });
    socket.once('error', () => resolve(true));
  });
}

describe('the demo', { concurrency: 1 }, () => {
  let temp: string;
  before(async () => {
    temp = await mkdtemp(join(tmpdir(), 'pg2kinesis-demo-test-'));
    // Where the tests run as root, the database runs as another, who has to reach its files in here.
    await chmod(temp, 0o755);
  });
  after(() => rm(temp, { recursive: true, force: true }));

  const start = (...args: readonly string[]): Running => {
    const child = spawn(process.execPath, [COMMAND, 'demo', ...args], {
      env: { PATH: process.env['PATH'], HOME: process.env['HOME'], TMPDIR: temp },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let text = '';
    for (const output of [child.stdout, child.stderr])
      output.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
    const ended = once(child, 'close').then(([status]) => status as number | null);
    return {
      child,
      text: () => text,
      printed: async (what) => {
        while (!what.test(text)) {
          assert.ok(
            child.exitCode === null && child.signalCode === null,
            `ended without printing ${String(what)}:\n${text}`,
          );
          await wait(20);
        }
      },
      ended,
    };
  };

  /** Nothing in its directory, nobody on its ports. */
  const leavesNothing = async (text: string): Promise<void> => {
    assert.deepEqual(await readdir(temp), []);
    const [, postgres, kinesis] = /PostgreSQL on port (\d+).*Kinesis at http:\/\/127\.0\.0\.1:(\d+)/.exec(text) ?? [];
    const [, second] = /second PostgreSQL on port (\d+)/.exec(text) ?? [];
    assert.ok(postgres !== undefined && second !== undefined && kinesis !== undefined, text);
    assert.ok(await refused(Number(postgres)), 'PostgreSQL still listens');
    assert.ok(await refused(Number(second)), 'the second PostgreSQL still listens');
    assert.ok(await refused(Number(kinesis)), 'Kinesis still listens');
  };

  it('takes a snapshot while it writes, is killed, and proves that all has arrived and a second PostgreSQL is equal', async () => {
    const demo = start('--seconds', '4', '--rate', '200', '--every', '1');
    const status = await demo.ended;
    const text = demo.text();
    assert.equal(status, 0, text);
    assert.ok(figure(text, 'changes committed with a key') > 50);
    assert.ok(figure(text, 'changes committed without a key') > 0);
    assert.equal(figure(text, 'distinct records received'), figure(text, 'records expected'));
    for (const words of ['missing', 'out of order', 'unexpected', 'wrong']) assert.equal(figure(text, words), 0);
    assert.ok(figure(text, 'rows that a snapshot has read') > 300, text);
    assert.match(text, /^ {2}runs +\d+ {2}and [1-9]\d* that were killed$/m);
    assert.equal([...text.matchAll(/^ {2}\S.* +[1-9]\d* {2}[0-9a-f]{32} {2}equal$/gm)].length, 4, text);
    assert.match(text, /^shard [0-3] {2}\{"id":"/m, 'shows records');
    assert.match(text, /^ {2}\.\.\. and \d+ more$/m, 'says how many it does not show');
    assert.match(text, /changes made, \d+ of \d+ records received, lag [\d.]+ kB/);
    // eslint-disable-next-line no-control-regex -- it is what must not be there
    assert.doesNotMatch(text, /\x1b/, 'no escape codes where there is no terminal');
    assert.doesNotMatch(text, /"level"|_aws/, 'no log line as the function writes it');
    await leavesNothing(text);
  });

  it('ends in good order on Ctrl-C, which npm passes on a second time', async () => {
    const demo = start('--every', '0.5');
    await demo.printed(/^shard /m);
    demo.child.kill('SIGINT');
    // Two of the same that are sent at once may arrive as one, and what is sent later is late on a slow machine.
    demo.child.kill('SIGTERM');
    assert.equal(await demo.ended, 0, demo.text());
    assert.match(demo.text(), /Every change committed with a key has arrived/);
    await leavesNothing(demo.text());
  });

  it('ends on Ctrl-C while it starts, and leaves nothing', async () => {
    const demo = start();
    await demo.printed(/Starting/);
    demo.child.kill('SIGINT');
    assert.equal(await demo.ended, 130, demo.text());
    assert.match(demo.text(), /nothing was written/);
    assert.deepEqual(await readdir(temp), []);
  });

  it('ends at once on a second Ctrl-C, and leaves nothing all the same', async () => {
    const demo = start('--rate', '2000', '--every', '600');
    await demo.printed(/[1-9]\d* changes made/);
    // Enough is written by now for publishing it to take longer than we wait.
    await wait(2500);
    demo.child.kill('SIGTERM');
    await demo.printed(/Writing has stopped/);
    await wait(600);
    demo.child.kill('SIGTERM');
    assert.equal(await demo.ended, 130, demo.text());
    assert.match(demo.text(), /ended at once, nothing verified/);
    await leavesNothing(demo.text());
  });

  it('fails with the settings it cannot use, before anything is started', async () => {
    const demo = start('--format', 'xml', '--lanes', '3');
    assert.equal(await demo.ended, 2);
    assert.match(demo.text(), /CONFIG_INVALID.*FORMAT.*LANES/s);
    assert.doesNotMatch(demo.text(), /Starting/);
    assert.deepEqual(await readdir(temp), []);
  });

  it('fails when a record is lost, one comes twice and two are swapped on the way', async () => {
    let text = '';
    let count = 0;
    let held: UserRecord | undefined;
    const tamper = (record: UserRecord): readonly UserRecord[] => {
      count++;
      if (count === 5) return [];
      if (count === 7) return [record, record];
      // The first of a key's two records is held back until the second has passed.
      if (held === undefined && count > 10) {
        held = record;
        return [];
      }
      if (held?.partitionKey === record.partitionKey) {
        const late = held;
        held = { ...late, partitionKey: 'done' };
        return [record, late];
      }
      return [record];
    };
    const status = await runDemo(
      // Without a snapshot, whose rows are not missed here, and without what comes again after a kill.
      { seconds: 2, rate: 100, every: 0.5, kills: false, settings: { FORMAT: 'csv-payload', PARTITION_BY: 'table' } },
      { env: {}, out: { write: (chunk) => (text += chunk) }, tamper },
    );
    assert.equal(status, 1, text);
    assert.equal(figure(text, 'missing'), 1);
    assert.equal(figure(text, 'duplicates'), 1);
    assert.ok(figure(text, 'out of order') > 0);
    assert.equal(figure(text, 'unexpected'), 0);
    assert.match(text, /FAILED: what arrived is not what was committed/);
    assert.match(text, /There is no second PostgreSQL: the stream has no marks/);
  });
});
