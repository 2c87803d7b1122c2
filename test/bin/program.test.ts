/** The command line's surface: help, what is refused as wrong usage, exit statuses, and where things are printed. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { describe, it } from 'node:test';
import { main } from '../../bin/cli/program.ts';
import { ACTION_NAMES } from '../../lambda/settings/payloads.ts';
import { SETTINGS } from '../../lambda/settings/settings-table.ts';
import { runCli } from '../support/cli.ts';

// The SDK reads the process's own environment and files: none of them has a region.
delete process.env['AWS_REGION'];
delete process.env['AWS_PROFILE'];
process.env['AWS_CONFIG_FILE'] = process.env['AWS_SHARED_CREDENTIALS_FILE'] = '/dev/null';

/** Runs a command line. */
async function cli(
  args: string[],
  env: Record<string, string> = {},
): Promise<{ status: number; out: string; err: string }> {
  let out = '';
  let err = '';
  const nothing = (): void => undefined;
  const status = await main(args, {
    env,
    stdout: { write: (text) => (out += text) },
    stderr: { write: (text) => (err += text) },
    on: nothing,
    off: nothing,
    exit: nothing,
  });
  return { status, out, err };
}

describe('pg2kinesis', () => {
  it('lists commands and settings with --help, on the standard output', async () => {
    const { status, out, err } = await cli(['--help']);
    assert.equal(status, 0);
    assert.equal(err, '');
    for (const command of ['demo', 'tail', ...ACTION_NAMES])
      assert.match(out, new RegExp(`^  ${command}\\b`, 'm'), `a command for ${command}, in bin/cli/action-commands.ts`);
    for (const name of Object.keys(SETTINGS)) assert.ok(out.includes(name), name);
  });

  it('keeps the lines of its help within a terminal', async () => {
    const { out } = await cli(['--help']);
    assert.deepEqual(
      out.split('\n').filter((line) => line.length > 80),
      [],
    );
  });

  for (const command of ['demo', 'run', 'drain', 'tail', 'skip-transaction']) {
    it(`explains ${command}`, async () => {
      const { status, out } = await cli([command, '--help']);
      assert.equal(status, 0);
      assert.match(out, new RegExp(`^Usage: pg2kinesis ${command}`));
    });
  }

  const misused: [what: string, args: string[], said: RegExp][] = [
    ['no command', [], /Usage: pg2kinesis/],
    ['an unknown command', ['explode'], /unknown command 'explode'/],
    ['an unknown option', ['run', '--fast'], /unknown option '--fast'/],
    ['an argument too many', ['status', 'now'], /too many arguments/],
    ['a number that is none', ['run', '--max-seconds', 'x'], /It has to be a number, 3 to 900/],
    ['a time in which no run can succeed', ['run', '--max-seconds', '2'], /It has to be a number, 3 to 900/],
    ['more time than a run has', ['run', '--max-seconds', '901'], /It has to be a number, 3 to 900/],
    ['runs without a pause', ['run', '--every', '0'], /It has to be a number, 0\.1 or more/],
    [
      'a resume that is no resume',
      ['run', '--resume', '{"a":1}'],
      /EVENT_INVALID: --resume cannot be \{"a":1\}.*See pg2kinesis run --help/,
    ],
    ['half a batch', ['run', '--max-batches', '1.5'], /It has to be a whole number, 1 or more/],
    ['a resume that is no JSON', ['run', '--resume', '{'], /It has to be JSON/],
    ['no commit LSN', ['skip-transaction'], /missing required argument 'commit-lsn'/],
    ['a position that is none', ['tail', '--from', 'now'], /Allowed choices are latest, trim-horizon/],
    [
      'a commit LSN that is none',
      ['skip-transaction', 'abc'],
      /EVENT_INVALID: the commit LSN cannot be "abc".*See pg2kinesis skip-transaction --help/,
    ],
    ['a stream without a name', ['tail', '--stream', ''], /'--stream <name>' argument '' is invalid\. It is empty\./],
    ['a copy without a name', ['replicate', '--name', ''], /'--name <name>' argument '' is invalid/],
    ['a copy of a stream without a name', ['replicate', '--stream', ' '], /'--stream <name>' argument ' ' is invalid/],
    ['a copy of a source without a name', ['replicate', '--source', ''], /'--source <name>' argument '' is invalid/],
    [
      'no slot',
      ['copy-slot', '--from', 'Old'],
      /EVENT_INVALID: --from cannot be "Old".*See pg2kinesis copy-slot --help/,
    ],
    ['no tables', ['snapshot', '--tables', ''], /EVENT_INVALID: --tables cannot be .*See pg2kinesis snapshot --help/],
    ['more than a week', ['drain', '--max-seconds', '604801'], /It has to be a number, 3 to 604800\./],
    ['less time than it has', ['skip-transaction', '0/1', '--max-seconds', '899'], /a number, 900 to 604800\./],
  ];
  for (const [what, args, said] of misused) {
    it(`fails with 2 for ${what}`, async () => {
      const { status, out, err } = await cli(args);
      assert.equal(status, 2);
      assert.match(err, said);
      assert.doesNotMatch(err, /\{"action"/, 'nobody typed a payload');
      assert.equal(out, '');
    });
  }

  it('fails with 2 for bad settings, by code and message, without a stack', async () => {
    const { status, out, err } = await cli(['run'], { PGHOST: 'h', PGUSER: 'u', PGDATABASE: 'd', LANES: '3' });
    assert.equal(status, 2);
    assert.equal(out, '');
    assert.match(
      err,
      /^CONFIG_INVALID: A setting is missing or not valid, nothing was done\. LANES has a value that is not allowed, of 1 character/,
    );
    assert.ok(!/^\s+at /m.test(err));
  });

  it('where no database is named, says how to begin here, and how to reach a deployed function', async () => {
    const { status, err } = await runCli(['status']);
    assert.equal(status, 2);
    assert.match(err, /^CONFIG_INVALID: .*PGHOST is not set.*give --stack or --function.*pg2kinesis init asks for/);
  });

  it('fails with CONFIG_INVALID without a region', async () => {
    const { status, err } = await cli(['run'], { PGHOST: 'h', PGUSER: 'u', PGDATABASE: 'd' });
    assert.equal(status, 2);
    assert.match(err, /^CONFIG_INVALID: There is no AWS region for the stream "pg2kinesis"/);
  });

  it('warns of a variable that is nearly a setting, and shows in check what is in force', async () => {
    const env = {
      PGHOST: '127.0.0.1',
      PGPORT: '1',
      PGUSER: 'u',
      PGDATABASE: 'd',
      PGPASSWORD: 's3cret',
      STREAMNAME: 'x',
    };
    const { status, out, err } = await cli(['check', '--json'], env);
    assert.equal(status, 1);
    const { settings, findings } = JSON.parse(out) as {
      settings: { name: string; value: string; from: string }[];
      findings: { check: string; found: string }[];
    };
    const of = (name: string) => settings.find((each) => each.name === name);
    assert.deepEqual(of('PGPORT'), { name: 'PGPORT', value: '1', from: 'environment' });
    assert.deepEqual(of('STREAM_NAME'), { name: 'STREAM_NAME', value: 'pg2kinesis', from: 'default' });
    assert.match(String(findings.find(({ check }) => check === 'settings')?.found), /is STREAM_NAME meant\?$/);
    assert.match(String(findings.find(({ check }) => check === 'stream')?.found), /there is no AWS region/);
    assert.match((await cli(['run'], env)).err, /WARN STREAMNAME is set.*is STREAM_NAME meant\?/);
    assert.ok(!(out + err).includes('s3cret'));
  });

  for (const [what, args, env] of [
    ['bad settings', ['run'], { LANES: '3' }],
    ['a database that is away', ['status'], { PGHOST: '127.0.0.1', PGPORT: '1', PGUSER: 'u', PGDATABASE: 'd' }],
    ['a wrong option', ['run', '--every', '0'], {}],
    ['a wrong argument', ['skip-transaction', 'abc'], {}],
    ['an unknown command', ['explode'], {}],
  ] as const) {
    it(`writes ${what} as JSON, with its time, where --log-json is given`, async () => {
      const { err } = await cli(['--log-json', ...args], env);
      const lines = err.trimEnd().split('\n');
      assert.equal(lines.filter((line) => line.includes('"ERROR"')).length, 1, 'an error is one line');
      for (const line of lines) {
        const { level, timestamp, code, message } = JSON.parse(line) as Record<string, string>;
        assert.equal(level, 'ERROR');
        assert.ok(code !== undefined && message !== undefined);
        assert.ok(Math.abs(Date.parse(String(timestamp)) - Date.now()) < 60_000);
      }
    });
  }

  it('shows the help as text where no command is given, with --log-json, too', async () => {
    const { status, out, err } = await cli(['--log-json']);
    assert.deepEqual([status, out], [2, '']);
    assert.match(err, /^Usage: pg2kinesis \[options\] \[command\]\n/);
    assert.deepEqual(await cli([]), { status, out, err });
  });

  it('shows the stack with LOG_LEVEL=DEBUG', async () => {
    const { err } = await cli(['run'], { LOG_LEVEL: 'debug' });
    assert.match(err, /^CONFIG_INVALID: /);
    assert.match(err, /^\s+at /m);
  });

  it('fails with 1 where nobody answers, and I10: shows no password', async () => {
    const { status, err } = await cli(['status'], {
      PGHOST: '127.0.0.1',
      PGPORT: '1',
      PGUSER: 'u',
      PGDATABASE: 'd',
      PGPASSWORD: 's3cret-pass',
      LOG_LEVEL: 'DEBUG',
    });
    assert.equal(status, 1);
    assert.match(err, /^DATABASE_UNREACHABLE: /);
    assert.ok(!err.includes('s3cret-pass'));
  });

  it('goes on when nobody reads its log any more', async () => {
    // Its warning is the first thing that it writes, and breaks the pipe.
    const database = { PGHOST: '127.0.0.1', PGPORT: '1', PGUSER: 'u', PGDATABASE: 'd', PGSSLMODE: 'disable' };
    const env = { ...database, AGGREGATION: 'none', PARTITION_BY: 'table', AWS_CONFIG_FILE: '/dev/null' };
    const child = spawn(process.execPath, ['bin/pg2kinesis.ts', 'check', '--json'], {
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    child.stderr.destroy();
    let out = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (out += text));
    await once(child, 'close');
    assert.match(out, /"action":"check".*DATABASE_UNREACHABLE/);
  });

  it('says which Node.js it needs in a clone, on one that does not run TypeScript, and runs on this one', () => {
    const on = (version: string) => {
      const versions = JSON.stringify({ ...process.versions, node: version });
      const pretend = `data:text/javascript,Object.defineProperty(process,'versions',{value:${encodeURIComponent(versions)}})`;
      return spawnSync(process.execPath, ['--import', pretend, 'bin/pg2kinesis.js', '--version'], { encoding: 'utf8' });
    };
    const old = on('20.20.2');
    assert.deepEqual([old.status, old.stdout], [1, '']);
    assert.match(
      old.stderr,
      /^Error: In a clone .* Node\.js 24, and this is 20\.20\.2\. Nothing was done\..* "npx pg2kinesis" then takes\.\n$/,
    );
    const now = on(process.versions.node);
    assert.deepEqual([now.status, now.stderr], [0, '']);
    assert.match(now.stdout, /^\d+\.\d+\.\d+\n$/);
  });
});
