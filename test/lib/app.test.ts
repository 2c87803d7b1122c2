/** The app as the CDK's command line runs it: settings from -c, an assembly in a folder, messages for a reader. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { EXAMPLE } from '../../lib/settings.ts';
import { MINIMAL } from './synth.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
let folder: string;

before(() => {
  folder = mkdtempSync(join(tmpdir(), 'pg2kinesis-app-'));
  // What a user has there for other apps is no fault here.
  writeFileSync(join(folder, '.cdk.json'), JSON.stringify({ context: { stage: 'dev', owner: 'me' } }));
});
after(() => rmSync(folder, { recursive: true, force: true }));

/** Runs `cdk` in the checkout, with no account and none of the user's own settings. */
function cdk(...args: string[]): { readonly status: number | null; readonly stdout: string; readonly stderr: string } {
  return spawnSync(process.execPath, [join(ROOT, 'node_modules/aws-cdk/bin/cdk'), ...args], {
    cwd: ROOT,
    encoding: 'utf8',
    timeout: 240_000,
    env: {
      PATH: `${join(ROOT, 'node_modules/.bin')}:${process.env['PATH'] ?? ''}`,
      HOME: folder,
      CDK_DISABLE_CLI_TELEMETRY: 'true',
      AWS_EC2_METADATA_DISABLED: 'true',
    },
  });
}

/** Settings as -c options. */
const options = (settings: Readonly<Record<string, unknown>>): string[] =>
  Object.entries(settings).flatMap(([name, value]) => [
    '-c',
    `${name}=${Array.isArray(value) ? value.join(',') : String(value)}`,
  ]);

describe('cdk synth', () => {
  it('synthesises a pipeline without an account, to a template that the CDK finds nothing wrong with', () => {
    const out = join(folder, 'out');
    const run = cdk(
      'synth',
      '--quiet',
      '--strict',
      '--output',
      out,
      ...options({ ...MINIMAL, name: 'orders', alarmEmail: 'oncall@example.com', endpoints: 'kinesis,secretsmanager' }),
    );
    assert.equal(run.status, 0, run.stderr);
    assert.doesNotMatch(run.stderr, /WARNING|ERROR/);
    const template = JSON.parse(readFileSync(join(out, 'orders.template.json'), 'utf8')) as {
      Resources: Record<string, { Type: string }>;
    };
    assert.ok(Object.values(template.Resources).some(({ Type }) => Type === 'AWS::Scheduler::Schedule'));
    const bundles = readdirSync(out).filter((name) => existsSync(join(out, name, 'handler.mjs')));
    assert.equal(bundles.length, 1);
    assert.deepEqual(readdirSync(join(out, bundles[0] ?? '')).sort(), [
      'THIRD-PARTY-NOTICES.txt',
      'handler.mjs',
      'handler.mjs.map',
    ]);
  });

  it('fails on wrong settings with one message that names every fault and shows an example, and no stack trace', () => {
    const out = join(folder, 'wrong');
    const run = cdk(
      'synth',
      '--quiet',
      '--output',
      out,
      ...options({ ...MINIMAL, lanes: 5, schedule: 'maybe', colour: 'red' }),
    );
    assert.equal(run.status, 1);
    for (const fault of ['"colour" is no setting', 'lanes cannot be "5"', 'schedule cannot be "maybe"'])
      assert.ok(run.stderr.includes(fault), run.stderr);
    assert.ok(run.stderr.includes(EXAMPLE));
    assert.doesNotMatch(run.stderr, /\n\s+at /);
    assert.ok(!existsSync(join(out, 'manifest.json')));
  });
});

describe('cdk.json', () => {
  it('has cdk watch look at all that is deployed, and at nothing that a deployment writes', () => {
    const { watch } = JSON.parse(readFileSync(join(ROOT, 'cdk.json'), 'utf8')) as {
      watch: { include: string[]; exclude: string[] };
    };
    for (const path of watch.include) assert.ok(existsSync(join(ROOT, path.replace('/**', ''))), path);
    for (const room of ['lambda/**', 'lib/**', 'scripts/**']) assert.ok(watch.include.includes(room), room);
    for (const folder of ['cdk.out', 'dist']) assert.ok(watch.exclude.includes(folder), folder);
  });
});

/** Runs the app as the CDK's command line does, with what that would have looked up. */
const synthesise = (context: Readonly<Record<string, unknown>>, out: string) =>
  spawnSync(process.execPath, ['bin/app.ts'], {
    cwd: ROOT,
    encoding: 'utf8',
    timeout: 60_000,
    env: { PATH: process.env['PATH'] ?? '', CDK_OUTDIR: join(folder, out), CDK_CONTEXT_JSON: JSON.stringify(context) },
  });

describe('the app in a VPC that it has looked up', () => {
  const { subnetIds, availabilityZones, ...settings } = MINIMAL;
  assert.ok(subnetIds && availabilityZones);
  const vpcId = String(settings['vpcId']);
  const lookup = `vpc-provider:account=123456789012:filter.vpc-id=${vpcId}:region=eu-central-1:returnAsymmetricSubnets=true`;
  const context = { ...settings, account: '123456789012', region: 'eu-central-1' };
  const vpc = (...subnets: string[]) => ({
    vpcId,
    vpcCidrBlock: '10.0.0.0/16',
    availabilityZones: [],
    subnetGroups: [
      {
        name: 'Private',
        type: 'Private',
        subnets: subnets.map((subnetId) => ({
          subnetId,
          cidr: '10.0.0.0/24',
          availabilityZone: 'eu-central-1a',
          routeTableId: 'rtb-1',
        })),
      },
    ],
  });

  it('takes the subnets that the settings name', () => {
    const run = synthesise(
      { ...context, subnetIds: 'subnet-0a1b2c3e', [lookup]: vpc('subnet-0a1b2c3d', 'subnet-0a1b2c3e') },
      'named',
    );
    assert.equal(run.status, 0, run.stderr);
    assert.match(
      readFileSync(join(folder, 'named', 'pg2kinesis.template.json'), 'utf8'),
      /"SubnetIds": \[\s*"subnet-0a1b2c3e"\s*\]/,
    );
  });

  it('fails for a subnet that it does not have', () => {
    const run = synthesise(
      { ...context, subnetIds: 'subnet-0a1b2c3d,subnet-0a1b2c3f', [lookup]: vpc('subnet-0a1b2c3d') },
      'strange',
    );
    assert.equal(run.status, 1, run.stderr);
    assert.match(run.stderr, /subnetIds cannot have subnet-0a1b2c3f: VPC vpc-0a1b2c3d has subnet-0a1b2c3d\./);
  });

  it('fails where there are no private subnets with what to do, and no stack trace', () => {
    const run = synthesise({ ...context, [lookup]: { ...vpc(), subnetGroups: [] } }, 'public');
    assert.equal(run.status, 1, run.stderr);
    assert.match(run.stderr, /^The VPC vpc-\w+ has no private subnets with a route out.*subnetIds=/);
    assert.doesNotMatch(run.stderr, /\n\s+at /);
    assert.ok(!existsSync(join(folder, 'public', 'manifest.json')));
  });
});

describe('the app with no settings at all', () => {
  it('prints the example, synthesises nothing and exits 0', () => {
    const run = synthesise({ 'aws:cdk:version-reporting': true }, 'none');
    assert.equal(run.status, 0, run.stderr);
    assert.ok(run.stderr.includes(EXAMPLE));
    assert.deepEqual(
      readdirSync(join(folder, 'none')).filter((name) => name.endsWith('.template.json')),
      [],
    );
  });
});
