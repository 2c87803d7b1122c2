/** `init`: by flags and by questions; what it writes, for whom to read, and what it never writes over. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { parseEnv } from 'node:util';
import { environmentFile, withContext } from '../../../bin/cli/init/files.ts';
import { init, type InitOptions, type Prompter } from '../../../bin/cli/init/init.ts';
import type { SettingsDestination } from '../../../bin/cli/init/questions.ts';
import { runCli } from '../../support/cli.ts';
import { withEnvironment } from '../../support/scripted-endpoint.ts';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'pg2kinesis-init-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Runs it, with nobody to be asked unless there is a prompter. */
async function run(options: InitOptions, prompter?: Prompter, env: Record<string, string> = {}) {
  let out = '';
  const nothing = (): void => undefined;
  const status = await init(
    options,
    {
      env,
      stdout: { write: (text) => (out += text) },
      stderr: { write: nothing },
      on: nothing,
      off: nothing,
      exit: nothing,
    },
    prompter,
  );
  return { status, out };
}

/** Answers from a table; the default where there is none. */
const answering = (
  kind: SettingsDestination | undefined,
  answers: Readonly<Record<string, string | undefined>>,
): Prompter => ({
  choose: () => Promise.resolve(kind),
  ask: ({ name, fallback = '' }) => Promise.resolve(name in answers ? answers[name] : fallback),
});

const DATABASE = { host: '127.0.0.1', database: 'app', user: 'cdc', sslmode: 'disable', region: 'eu-central-1' };
const STACK = {
  vpcId: 'vpc-0a1b2c3d',
  host: 'db.example.com',
  database: 'app',
  secretArn: 'arn:aws:secretsmanager:eu-central-1:123456789012:secret:pg-AbCdEf',
  securityGroupId: 'sg-0a1b2c3d',
};

describe('init for the command line', () => {
  it('writes what flags say into a file that only its owner reads, and what comes next', async () => {
    const out = join(folder, '.env');
    const ended = await run({ ...DATABASE, for: 'env', out, connect: false }, undefined, { PGPASSWORD: "it's #1" });
    assert.equal(ended.status, 0);
    const text = readFileSync(out, 'utf8');
    assert.deepEqual(parseEnv(text), {
      PGHOST: '127.0.0.1',
      PGPORT: '5432',
      PGDATABASE: 'app',
      PGUSER: 'cdc',
      PGPASSWORD: "it's #1",
      PGSSLMODE: 'disable',
      STREAM_NAME: 'pg2kinesis',
      AWS_REGION: 'eu-central-1',
      SLOT_NAME: 'pg2kinesis',
      FORMAT: 'json',
    });
    assert.equal(statSync(out).mode & 0o777, 0o600);
    assert.match(ended.out, /CREATE ROLE "cdc" LOGIN PASSWORD '\.\.\.';\nGRANT rds_replication TO "cdc";/);
    assert.match(ended.out, /GRANT CONNECT ON DATABASE "app" TO "cdc";/);
    assert.match(ended.out, new RegExp(`npx pg2kinesis --env-file ${out} check`));
    assert.ok(!ended.out.includes("it's"), 'I10');
    assert.match(ended.out, /It holds the password: keep it out of version control/);
  });

  it('tries the connection, says what check found, and exits with 1 where it does not work', async () => {
    const out = join(folder, '.env');
    const { status, out: said } = await withEnvironment({ AWS_ENDPOINT_URL: 'http://127.0.0.1:1' }, () =>
      run({ ...DATABASE, for: 'env', port: '1', out }),
    );
    assert.equal(status, 1);
    assert.match(said, /^fault +database +DATABASE_UNREACHABLE: No connection/m);
    assert.doesNotMatch(said, /there is no AWS region/, 'the region that was given is used');
    assert.ok(readFileSync(out, 'utf8').includes('PGPORT=1'), 'the settings are kept, to be corrected');
  });

  it('asks for what no flag says, and writes nothing when the person gives up', async () => {
    const out = join(folder, '.env');
    const answers = { host: 'db', database: 'app', region: 'eu-central-1', password: 'p' };
    await run({ out, connect: false }, answering('env', answers));
    assert.equal(parseEnv(readFileSync(out, 'utf8'))['PGUSER'], 'pg2kinesis');
    for (const gaveUp of [answering(undefined, {}), answering('env', { host: undefined })]) {
      const other = join(folder, 'other');
      const { status, out: said } = await run({ out: other, connect: false }, gaveUp);
      assert.equal(status, 2);
      assert.match(said, /Nothing was written/);
      assert.throws(() => readFileSync(other));
    }
  });

  it('prints commands that a shell takes, wherever the file is', async () => {
    const out = join(folder, "it's here");
    const ended = await run({ ...DATABASE, for: 'env', out, connect: false });
    const [, command = ''] = /npx pg2kinesis --env-file (.*) check$/m.exec(ended.out) ?? [];
    assert.equal(execFileSync('sh', ['-c', `printf %s ${command}`], { encoding: 'utf8' }), out);
  });

  it('refuses flags of the other kind, which would have no effect', async () => {
    const out = join(folder, 'none');
    await assert.rejects(
      run({ ...STACK, for: 'cdk', out, stream: 'mine', sslmode: 'require' }),
      /EVENT_INVALID: .*--sslmode: It is not for cdk\. --stream: It is not for cdk\./,
    );
    await assert.rejects(
      run({ ...DATABASE, for: 'env', out, email: 'a@example.com' }),
      /EVENT_INVALID: .*--email: It is not for env\./,
    );
    assert.throws(() => readFileSync(out));
  });

  it('fails with every flag that is missing or wrong, and writes nothing', async () => {
    const out = join(folder, '.env');
    const failing = run({ ...DATABASE, host: 'http://x', region: 'nowhere', for: 'env', out });
    await assert.rejects(failing, /EVENT_INVALID: .*--host: .*--region: It has to be a region/);
    await assert.rejects(run({ for: 'env', out }), /--host: It is needed\. --database: It is needed\. --region/);
    assert.throws(() => readFileSync(out));
  });

  it('refuses what the settings refuse, and takes what they take', async () => {
    const out = join(folder, '.env');
    const wrong = { port: '99999', stream: 'a b', user: 'u'.repeat(64), slot: 'Orders' };
    await assert.rejects(
      run({ ...DATABASE, ...wrong, for: 'env', out }, undefined, { PGPASSWORD: 'p\n' }),
      /--port: It has to be a whole number from 1 to 65535\. --user: .*PGPASSWORD: It has to be one line\. --stream: .*--slot: /,
    );
    assert.throws(() => readFileSync(out));
    await run({ ...DATABASE, host: 'fd00::1', for: 'env', out, connect: false });
    assert.match(readFileSync(out, 'utf8'), /^PGHOST=fd00::1$/m);
    const arn = 'arn:aws:secretsmanager:eu-central-1:123456789012:secret:pg';
    await assert.rejects(
      run({ ...STACK, secretArn: arn, vpcId: 'vpc-1', email: 'a,b@c', for: 'cdk', out }),
      /--vpc-id: .*--secret-arn: It has to be the full ARN of a secret.*--email: /,
    );
  });

  it('says which file cannot be written or read, and writes nothing', async () => {
    for (const [kind, out] of [
      ['env', join(folder, 'none', '.env')],
      ['cdk', folder],
    ] as const) {
      const failing = run({ ...(kind === 'env' ? DATABASE : STACK), for: kind, out, connect: false });
      await assert.rejects(
        failing,
        /EVENT_INVALID: The file .* cannot be (written|read) \(E\w+\)\. Nothing was written\./,
      );
    }
  });

  it('writes over no file unless told to', async () => {
    const out = join(folder, '.env');
    writeFileSync(out, 'mine');
    await assert.rejects(
      run({ ...DATABASE, for: 'env', out, connect: false }),
      /is there already\. Nothing was written/,
    );
    assert.equal(readFileSync(out, 'utf8'), 'mine');
    await run({ ...DATABASE, for: 'env', out, connect: false, force: true });
    assert.match(readFileSync(out, 'utf8'), /^PGHOST=/);
    assert.equal(statSync(out).mode & 0o777, 0o600);
  });

  it('writes values that Node.js and a shell read alike, or none', () => {
    const values = { A: 'plain', B: 'with space', C: '#$`"\\x', D: "it's", E: 'a=b' };
    const text = environmentFile(values);
    assert.deepEqual({ ...parseEnv(text) }, values);
    const file = join(folder, 'env');
    writeFileSync(file, text);
    const shell = execFileSync('sh', ['-c', `set -a; . "${file}"; printf '%s\\n' "$A" "$B" "$C" "$D" "$E"`]).toString();
    assert.deepEqual(shell.trimEnd().split('\n'), Object.values(values));
    assert.throws(() => environmentFile({ A: `'"` }), RangeError);
  });
});

describe('init for a stack', () => {
  it('puts the settings into cdk.json and keeps what is there', async () => {
    const out = join(folder, 'cdk.json');
    writeFileSync(out, JSON.stringify({ app: 'x', context: { '@aws-cdk/core:flag': true } }));
    const { status, out: said } = await run({ ...STACK, for: 'cdk', out, email: 'oncall@example.com' });
    assert.equal(status, 0);
    assert.deepEqual(JSON.parse(readFileSync(out, 'utf8')), {
      app: 'x',
      context: {
        pg2kinesis: {
          name: 'app-changes',
          vpcId: 'vpc-0a1b2c3d',
          databaseHost: 'db.example.com',
          databaseName: 'app',
          databaseSecretArn: STACK.secretArn,
          databaseSecurityGroupId: 'sg-0a1b2c3d',
          alarmEmail: 'oncall@example.com',
          format: 'json',
        },
        '@aws-cdk/core:flag': true,
      },
    });
    assert.match(said, /npx cdk deploy\n {2}npx pg2kinesis check --stack app-changes/);
  });

  it('shows them where there is no cdk.json, or one with settings', async () => {
    const out = join(folder, 'cdk.json');
    const none = await run({ ...STACK, for: 'cdk', out });
    assert.match(none.out, /^There is no .*cdk\.json here\. Put this into its "context":\n\n"pg2kinesis": \{/);
    assert.throws(() => readFileSync(out));
    const before = JSON.stringify({ context: { pg2kinesis: { name: 'mine' } } });
    writeFileSync(out, before);
    assert.match((await run({ ...STACK, for: 'cdk', out })).out, /has settings of pg2kinesis already/);
    assert.equal(readFileSync(out, 'utf8'), before);
    assert.equal(withContext('no JSON', {}), undefined);
    for (const context of ['null', '[]', '"x"']) assert.equal(withContext(`{"context":${context}}`, {}), undefined);
  });
});

describe('pg2kinesis init', () => {
  it('is a command, which asks nobody where there is no terminal', async () => {
    const { status, err } = await runCli(['init', '--for', 'env']);
    assert.equal(status, 2);
    assert.match(err, /^EVENT_INVALID: Some flags are missing or wrong: --host: It is needed\./);
    assert.match((await runCli(['init', '--help'])).out, /--secret-arn <arn>/);
  });

  it('writes a file that --env-file reads', async () => {
    const out = join(folder, 'settings.env');
    const flags = ['--host', '127.0.0.1', '--port', '1', '--database', 'app', '--sslmode', 'disable'];
    const made = await runCli([
      'init',
      '--for',
      'env',
      ...flags,
      '--region',
      'eu-central-1',
      '--out',
      out,
      '--no-connect',
    ]);
    assert.equal(made.status, 0, made.err);
    assert.doesNotMatch(made.out, /holds the password/, 'none was given');
    const { err } = await runCli(['--env-file', out, 'status']);
    assert.match(err, /^DATABASE_UNREACHABLE: .*127\.0\.0\.1:1/);
    const missing = await runCli(['--env-file', join(folder, 'none'), 'status']);
    assert.equal(missing.status, 2);
    assert.match(
      missing.err,
      /^CONFIG_INVALID: The file .*none of --env-file cannot be read \(ENOENT\)\. Nothing was done\./,
    );
  });
});
