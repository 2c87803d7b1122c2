/**
 * The packed file in the apps that its users have: with the oldest and the newest release of the CDK that package.json
 * admits, under jest as `cdk init` sets it up, and compiled by an old and a new TypeScript in each of its kinds of modules.
 * Asks the registry and takes a minute or two, so it is no part of `npm test`: `npm run test:apps`.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const { peerDependencies, devDependencies } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
  peerDependencies: Record<string, string>;
  devDependencies: Record<string, string>;
};
const least = (name: string): string => (peerDependencies[name] ?? '').replace('^', '');
let folder: string;
let tarball: string;

/** What a user writes. */
const IMPORTS = `
import { App, Stack } from 'aws-cdk-lib';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as secretsmanager from 'aws-cdk-lib/aws-secretsmanager';
import { Pg2KinesisStack, SlotAlarms, SlotDashboard, SlotLifecycle, SlotPublisher, SlotStream } from 'pg2kinesis';
import { changesOfEvent } from 'pg2kinesis/consumer';
`;
const BODY = `
const app = new App();
const stack = new Stack(app, 'mine');
const vpc = new ec2.Vpc(stack, 'Vpc');
const { stream } = new SlotStream(stack, 'Stream', { maxRecordKib: 2048 });
const publisher = new SlotPublisher(stack, 'Publisher', {
  vpc,
  databaseHost: 'db.example.com',
  databaseName: 'app',
  databaseSecret: new secretsmanager.Secret(stack, 'Secret'),
  databaseSecurityGroup: new ec2.SecurityGroup(stack, 'Database', { vpc }),
  stream,
  endpoints: ['kinesis', 'secretsmanager'],
  maxRecordKib: 2048,
});
new SlotLifecycle(stack, 'Slot', { publisher });
const alarms = new SlotAlarms(stack, 'Alarms', { publisher, email: 'oncall@example.com' });
new SlotDashboard(stack, 'Dashboard', { publisher, alarms });
new Pg2KinesisStack(app, 'whole', {
  settings: {
    vpcId: 'vpc-0a1b2c3d',
    subnetIds: ['subnet-0a1b2c3d'],
    availabilityZones: ['eu-central-1a'],
    databaseHost: 'other.example.com',
    databaseName: 'app',
    databaseSecretArn: 'arn:aws:secretsmanager:eu-central-1:123456789012:secret:pg2kinesis-AbCdEf',
    alarms: false,
  },
});
const template = app.synth().getStackByName('mine').template;
`;
/** As CommonJS. */
const REQUIRES = IMPORTS.replace(/import (?:\* as )?(.+) from '(.+)';/g, "const $1 = require('$2');");

/** Runs a program, and fails with what it said where it fails. */
function run(command: string, args: readonly string[], cwd: string): string {
  const { NODE_OPTIONS, ...env } = process.env;
  assert.ok(NODE_OPTIONS === undefined || NODE_OPTIONS.length >= 0);
  const result = spawnSync(command, args, {
    cwd,
    encoding: 'utf8',
    timeout: 600_000,
    env: { ...env, npm_config_update_notifier: 'false' },
  });
  assert.equal(result.status, 0, `${command} ${args.join(' ')}\n${result.stdout}${result.stderr}`.slice(-5000));
  return result.stdout;
}

/** A new app with the packed file and some packages of the registry. */
function makeApp(name: string, ...packages: readonly string[]): string {
  const app = join(folder, name);
  mkdirSync(app);
  writeFileSync(join(app, 'package.json'), '{"name":"app","private":true}\n');
  run('npm', ['install', '--no-audit', '--no-fund', '--ignore-scripts', tarball, ...packages], app);
  return app;
}

before(() => {
  folder = mkdtempSync(join(tmpdir(), 'pg2kinesis-apps-'));
  run('npm', ['pack', '--pack-destination', folder], ROOT);
  tarball = join(folder, readdirSync(folder).find((name) => name.endsWith('.tgz')) ?? '');
});
after(() => rmSync(folder, { recursive: true, force: true }));

describe('the packed file, with the CDK', () => {
  for (const [title, cdk, constructs] of [
    ['the oldest', least('aws-cdk-lib'), least('constructs')],
    ['the newest', 'latest', 'latest'],
  ] as const) {
    it(`synthesises in CommonJS and in ES modules with ${title} release: ${cdk}`, () => {
      const app = makeApp(title.replace(' ', '-'), `aws-cdk-lib@${cdk}`, `constructs@${constructs}`);
      const report = `${BODY}\nconsole.log(template.Resources !== undefined, changesOfEvent({ Records: [] }).length);\n`;
      writeFileSync(join(app, 'app.cjs'), REQUIRES + report);
      writeFileSync(join(app, 'app.mjs'), IMPORTS + report);
      for (const program of ['app.cjs', 'app.mjs'])
        assert.match(run(process.execPath, [program], app), /^true 0$/m, program);
    });
  }
});

describe('the packed file, in a TypeScript app', () => {
  let app: string;
  before(() => {
    app = makeApp(
      'typed',
      'aws-cdk-lib',
      'constructs',
      'jest@30',
      'ts-jest@29',
      '@swc/jest',
      '@swc/core',
      '@types/jest@30',
      '@types/node',
      'typescript@5.9',
      'typescript-5.4@npm:typescript@5.4',
      `typescript-now@npm:typescript@${devDependencies['typescript'] ?? ''}`,
    );
  });

  for (const transform of ['ts-jest', '@swc/jest']) {
    it(`passes its tests under jest with ${transform}, as cdk init sets it up`, () => {
      const tests = join(app, 'test');
      mkdirSync(tests, { recursive: true });
      writeFileSync(
        join(tests, 'app.test.ts'),
        `${IMPORTS}
test('has a function', () => {
${BODY}
  expect(JSON.stringify(template)).toContain('handler.handler');
  expect(changesOfEvent({ Records: [] })).toEqual([]);
});
`,
      );
      writeFileSync(
        join(app, 'jest.config.js'),
        `module.exports = { testEnvironment: 'node', roots: ['<rootDir>/test'], testMatch: ['**/*.test.ts'], transform: { '^.+\\\\.tsx?$': ${JSON.stringify(transform)} } };\n`,
      );
      writeFileSync(
        join(app, 'tsconfig.json'),
        JSON.stringify({
          compilerOptions: {
            target: 'es2022',
            module: 'nodenext',
            moduleResolution: 'nodenext',
            strict: true,
            esModuleInterop: true,
            isolatedModules: true,
          },
        }),
      );
      run(process.execPath, ['node_modules/jest/bin/jest.js'], app);
    });
  }

  for (const compiler of ['typescript-5.4', 'typescript', 'typescript-now']) {
    for (const [module, moduleResolution, ...extensions] of [
      ['node16', 'node16', 'cts', 'mts'],
      ['nodenext', 'nodenext', 'cts', 'mts'],
      ['commonjs', 'node10', 'ts'],
      ['esnext', 'bundler', 'ts'],
    ] as const) {
      it(`compiles with ${compiler} as ${extensions.join(' and ')}, module ${module}, moduleResolution ${moduleResolution}`, () => {
        const include = extensions.map((extension) => `program.${extension}`);
        for (const file of include) writeFileSync(join(app, file), IMPORTS + BODY);
        const compilerOptions = {
          noEmit: true,
          strict: true,
          module,
          moduleResolution,
          target: 'es2022',
          types: ['node'],
          skipLibCheck: true,
          ...(compiler === 'typescript-now' && moduleResolution === 'node10' ? { ignoreDeprecations: '6.0' } : {}),
        };
        writeFileSync(join(app, 'tsconfig.one.json'), JSON.stringify({ compilerOptions, include }));
        run(process.execPath, [join('node_modules', compiler, 'bin/tsc'), '-p', 'tsconfig.one.json'], app);
      });
    }
  }
});
