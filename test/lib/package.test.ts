/**
 * The packed file, installed in an empty CDK app and used as its user would: from ES modules and from CommonJS, on the
 * Node.js that is running this and on the machine's own, with types, and through npx. No registry is asked.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { Construct } from 'constructs';
import ts from 'typescript';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
let folder: string;
let app: string;

/** What a user writes, given `import` or `require` lines before it. */
const PROGRAM = `
const app = new App({ outdir: process.argv[2], builtinCloudFormationValidation: false });
const stack = new Stack(app, 'mine');
const vpc = new ec2.Vpc(stack, 'Vpc');
const { stream } = new SlotStream(stack, 'Stream');
const publisher = new SlotPublisher(stack, 'Publisher', {
  vpc,
  databaseHost: 'db.example.com',
  databaseName: 'app',
  databaseSecret: new secretsmanager.Secret(stack, 'Secret'),
  databaseSecurityGroup: new ec2.SecurityGroup(stack, 'Database', { vpc }),
  stream,
  format: 'json',
});
new SlotLifecycle(stack, 'Slot', { publisher, onRemoval: 'retain' });
const alarms = new SlotAlarms(stack, 'Alarms', { publisher, email: 'oncall@example.com' });
new SlotDashboard(stack, 'Dashboard', { publisher, alarms });
publisher.grantInvoke(new iam.Role(stack, 'Operator', { assumedBy: new iam.AccountRootPrincipal() }));
publisher.metric('LagSeconds', { statistic: 'p90' });
if (changesOfEvent({ Records: [] }).length !== 0) throw new Error('The consumer made a change out of nothing.');
app.synth();
`;

const NAMES: readonly (readonly [names: string, module: string])[] = [
  ['{ App, Stack }', 'aws-cdk-lib'],
  ['ec2', 'aws-cdk-lib/aws-ec2'],
  ['iam', 'aws-cdk-lib/aws-iam'],
  ['secretsmanager', 'aws-cdk-lib/aws-secretsmanager'],
  ['{ SlotAlarms, SlotDashboard, SlotLifecycle, SlotPublisher, SlotStream }', 'pg2kinesis'],
  ['{ changesOfEvent }', 'pg2kinesis/consumer'],
];
const ESM =
  NAMES.map(([names, module]) => `import ${names.startsWith('{') ? names : `* as ${names}`} from '${module}';`).join(
    '\n',
  ) + PROGRAM;
const CJS = NAMES.map(([names, module]) => `const ${names} = require('${module}');`).join('\n') + PROGRAM;

/** Every other Node.js on the PATH: the machine's own, where node_modules/.bin has put another before it. */
const nodes = [process.execPath, ...(process.env['PATH'] ?? '').split(delimiter).map((path) => join(path, 'node'))]
  .filter((path) => existsSync(path))
  .map((path) => ({ path, version: spawnSync(path, ['--version'], { encoding: 'utf8' }).stdout.trim() }))
  .filter(
    ({ version }, index, all) =>
      Number(version.slice(1).split('.')[0]) >= 20 && all.findIndex((other) => other.version === version) === index,
  );

/** Runs a program, and fails with what it said where it fails. */
function run(
  command: string,
  args: readonly string[],
  cwd: string,
  env: Readonly<Record<string, string>> = {},
): string {
  const { NODE_OPTIONS, ...inherited } = process.env;
  assert.ok(NODE_OPTIONS === undefined || NODE_OPTIONS.length >= 0);
  const result = spawnSync(command, args, {
    cwd,
    encoding: 'utf8',
    timeout: 240_000,
    env: { ...inherited, npm_config_update_notifier: 'false', ...env },
  });
  assert.equal(
    result.status,
    0,
    `${command} ${args.join(' ')}\n${result.error?.message ?? ''}${result.stdout}${result.stderr}`,
  );
  return result.stdout;
}

before(() => {
  folder = mkdtempSync(join(tmpdir(), 'pg2kinesis-package-'));
  app = join(folder, 'app');
  mkdirSync(app);
  run('npm', ['pack', '--pack-destination', folder], ROOT);
  const [tarball] = readdirSync(folder).filter((name) => name.endsWith('.tgz'));
  assert.ok(tarball);
  writeFileSync(join(app, 'package.json'), '{"name":"app","private":true}\n');
  run('npm', ['install', '--offline', '--no-audit', '--no-fund', join(folder, tarball)], app);
  // The peers, as they are here: the same files that a registry would give.
  for (const peer of ['aws-cdk-lib', 'constructs'])
    symlinkSync(join(ROOT, 'node_modules', peer), join(app, 'node_modules', peer));
  writeFileSync(join(app, 'app.mjs'), ESM);
  writeFileSync(join(app, 'app.cjs'), CJS);
});
after(() => rmSync(folder, { recursive: true, force: true }));

/** Imports each file that it is given, in one process: the CDK is loaded once. Each app is written to a folder of its name. */
const SYNTHESISE = `
const [out, ...files] = process.argv.slice(2);
for (const file of files) {
  process.env.CDK_OUTDIR = out + '/' + file.replace(/^.*\\/|\\..*$/g, '');
  await import(file);
}
`;

describe('the apps of docs/examples', () => {
  const examples = () => join(app, 'node_modules/pg2kinesis/docs/examples');
  const names = readdirSync(join(ROOT, 'docs/examples')).map((file) => file.replace(/\.ts$/, ''));
  /** What the stacks of an app hold, by type. */
  const typesIn = (out: string): string[] =>
    readdirSync(out)
      .filter((file) => file.endsWith('.template.json'))
      .flatMap((file) => {
        const { Resources } = JSON.parse(readFileSync(join(out, file), 'utf8')) as {
          Resources: Record<string, { Type: string }>;
        };
        return Object.values(Resources).map(({ Type }) => Type);
      });

  for (const [kind, module] of [
    ['mjs', ts.ModuleKind.ESNext],
    ['cjs', ts.ModuleKind.CommonJS],
  ] as const) {
    it(`synthesise, compiled to ${kind === 'mjs' ? 'ES modules' : 'CommonJS'}`, () => {
      const compiled = join(app, `examples-${kind}`);
      mkdirSync(compiled);
      const files = names.map((name) => {
        const source = readFileSync(join(examples(), `${name}.ts`), 'utf8');
        const { outputText } = ts.transpileModule(source, {
          compilerOptions: { module, target: ts.ScriptTarget.ES2022 },
        });
        const file = join(compiled, `${name}.${kind}`);
        writeFileSync(file, outputText);
        return pathToFileURL(file).href;
      });
      writeFileSync(join(compiled, 'all.mjs'), SYNTHESISE);
      run(process.execPath, ['--no-experimental-require-module', join(compiled, 'all.mjs'), compiled, ...files], app);
      const types = new Map(names.map((name) => [name, typesIn(join(compiled, name))]));
      for (const [name, made] of types) assert.ok(made.includes('Custom::Pg2KinesisSlot'), name);
      assert.ok(types.get('rds-instance')?.includes('AWS::RDS::DBInstance'));
      assert.ok(types.get('consumers')?.includes('AWS::Lambda::EventSourceMapping'));
      assert.equal(types.get('two-pipelines')?.filter((type) => type === 'AWS::EC2::VPCEndpoint').length, 2);
      assert.ok(!types.get('aurora-iam')?.includes('AWS::Kinesis::Stream'));
    });
  }

  it('show every construct that the package offers, and the page on constructs names each app', async () => {
    const offered = (await import('../../lib/pg2kinesis.ts')) as Record<string, unknown>;
    const shown = names.map((name) => readFileSync(join(ROOT, 'docs/examples', `${name}.ts`), 'utf8')).join('\n');
    const page = readFileSync(join(ROOT, 'docs/constructs.md'), 'utf8');
    const constructs = Object.entries(offered).filter(
      ([, value]) => typeof value === 'function' && value.prototype instanceof Construct,
    );
    assert.ok(constructs.length >= 8);
    for (const [name] of constructs) {
      assert.ok(shown.includes(`new ${name}(`), `no app shows ${name}`);
      assert.ok(page.includes(`\`${name}\``), `docs/constructs.md does not name ${name}`);
    }
    for (const name of names) assert.ok(page.includes(`(examples/${name}.ts)`), name);
  });
});

describe('the packed file', () => {
  it('holds what a user needs, and none of the sources, tests or tools', () => {
    const files = readdirSync(join(app, 'node_modules/pg2kinesis'), { recursive: true, encoding: 'utf8' });
    for (const file of [
      'README.md',
      'LICENSE',
      'dist/lib/pg2kinesis.js',
      'dist/lib/pg2kinesis.d.ts',
      'dist/lib/consumer/consumer.js',
      'dist/lib/consumer/consumer.d.ts',
      'dist/function/handler.mjs',
      'dist/function/THIRD-PARTY-NOTICES.txt',
      'dist/bin/pg2kinesis.js',
      'dist/bin/THIRD-PARTY-NOTICES.txt',
    ]) {
      // The README is not this test's to write.
      if (file !== 'README.md' || existsSync(join(ROOT, file))) assert.ok(files.includes(file), file);
    }
    assert.deepEqual(
      files.filter((file) =>
        /(^|\/)(test|lambda|scripts|node_modules|cdk\.json)(\/|$)|(?<!\.d)(?<!^(docs\/)?examples\/.*)\.ts$|\.test\./.test(
          file,
        ),
      ),
      [],
    );
  });

  it('brings no dependencies, and has the CDK as its peer', () => {
    const manifest = JSON.parse(readFileSync(join(app, 'node_modules/pg2kinesis/package.json'), 'utf8')) as Record<
      string,
      Record<string, string> | undefined
    >;
    assert.equal(manifest['dependencies'], undefined, 'what is needed is bundled');
    assert.deepEqual(Object.keys(manifest['peerDependencies'] ?? {}), ['aws-cdk-lib', 'constructs']);
    assert.deepEqual(
      readdirSync(join(app, 'node_modules'))
        .filter((name) => !name.startsWith('.'))
        .sort(),
      ['aws-cdk-lib', 'constructs', 'pg2kinesis'],
    );
  });

  it('has what its README and its other pages link to', () => {
    const root = join(app, 'node_modules/pg2kinesis');
    const pages = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.md'));
    assert.ok(pages.length > 5);
    const missing = pages.flatMap((page) =>
      [...readFileSync(join(root, page), 'utf8').matchAll(/\]\((?![a-z]+:|#)([^)#\s]+)/g)]
        .map(([, target = '']) => join(page, '..', target))
        .filter((target) => !existsSync(join(root, target))),
    );
    assert.deepEqual(missing, []);
  });

  for (const { path, version } of nodes) {
    for (const program of ['app.mjs', 'app.cjs']) {
      it(`synthesises from ${program} on Node.js ${version}`, () => {
        const out = join(folder, `out-${version}-${program}`);
        // As in jest and in older releases of Node.js, CommonJS cannot have ES modules here.
        run(path, ['--no-experimental-require-module', program, out], app);
        const template = JSON.parse(readFileSync(join(out, 'mine.template.json'), 'utf8')) as {
          Resources: Record<string, { Type: string; Properties: Record<string, unknown> }>;
        };
        const resources = Object.values(template.Resources);
        const own = resources.find(({ Properties }) => Properties['Handler'] === 'handler.handler');
        assert.ok(own);
        const { Variables } = own.Properties['Environment'] as { Variables: Record<string, unknown> };
        assert.equal(Variables['FORMAT'], 'json');
        const service = Variables['POWERTOOLS_SERVICE_NAME'];
        assert.match(String(service), /^mine-Publisher-[0-9A-F]{8}$/);
        for (const { Properties } of resources.filter(
          ({ Type, Properties: { Namespace } }) => Type === 'AWS::CloudWatch::Alarm' && Namespace === 'pg2kinesis',
        )) {
          assert.deepEqual(Properties['Dimensions'], [{ Name: 'service', Value: service }]);
        }
        const key = (own.Properties['Code'] as { S3Key: string }).S3Key.replace('.zip', '');
        assert.deepEqual(
          readFileSync(join(out, `asset.${key}`, 'handler.mjs')),
          readFileSync(join(app, 'node_modules/pg2kinesis/dist/function/handler.mjs')),
          'the bundle is what came with the package',
        );
      });
    }

    it(`runs the command line on Node.js ${version}`, () => {
      assert.match(run(path, ['node_modules/pg2kinesis/bin/pg2kinesis.js', '--help'], app), /Usage: pg2kinesis/);
    });

    it(`fails to start the demo on Node.js ${version}, and says where it runs`, () => {
      const { status, stdout, stderr } = spawnSync(path, ['node_modules/pg2kinesis/bin/pg2kinesis.js', 'demo'], {
        cwd: app,
        encoding: 'utf8',
        timeout: 60_000,
      });
      assert.equal(status, 1);
      assert.match(stderr, /^Error: The demo was not started: .* clone of the repository/m);
      assert.equal(stdout, '');
    });
  }

  it('runs the command line through npx', () => {
    assert.match(run('npx', ['--offline', '--no-install', 'pg2kinesis', '--help'], app), /Usage: pg2kinesis/);
  });

  it('has types for ES modules and CommonJS, to the last field', () => {
    const typed = ESM.replace('process.argv[2]', "'out'");
    for (const extension of ['mts', 'cts']) {
      writeFileSync(join(app, `right.${extension}`), typed);
      writeFileSync(join(app, `wrong.${extension}`), typed.replace("format: 'json'", "format: 'jsonl'"));
      for (const file of readdirSync(join(ROOT, 'docs/examples')))
        copyFileSync(join(ROOT, 'docs/examples', file), join(app, `right-${file.replace(/ts$/, extension)}`));
    }
    const compilerOptions = {
      noEmit: true,
      strict: true,
      module: 'nodenext',
      target: 'es2022',
      types: [],
      skipLibCheck: true,
    };
    writeFileSync(join(app, 'tsconfig.json'), JSON.stringify({ compilerOptions, include: ['*.mts', '*.cts'] }));
    const { stdout } = spawnSync(process.execPath, [join(ROOT, 'node_modules/typescript/bin/tsc'), '-p', '.'], {
      cwd: app,
      encoding: 'utf8',
      timeout: 240_000,
    });
    assert.deepEqual(
      [...stdout.matchAll(/^(\S+)\(.*"jsonl"' is not assignable/gm)].map(([, file]) => file),
      ['wrong.cts', 'wrong.mts'],
      stdout,
    );
    assert.doesNotMatch(stdout, /^right/m);
  });

  it('has a consumer whose example compiles under strict, its own types looked at, beside @types/node alone', () => {
    const reader = join(folder, 'reader');
    mkdirSync(join(reader, 'node_modules/@types'), { recursive: true });
    for (const name of ['@types/node', 'undici-types'])
      symlinkSync(join(ROOT, 'node_modules', name), join(reader, 'node_modules', name));
    symlinkSync(join(app, 'node_modules/pg2kinesis'), join(reader, 'node_modules/pg2kinesis'));
    copyFileSync(join(ROOT, 'examples/lambda-consumer.ts'), join(reader, 'consumer.mts'));
    const compilerOptions = {
      noEmit: true,
      strict: true,
      module: 'nodenext',
      target: 'es2022',
      lib: ['es2022'],
      types: ['node'],
    };
    writeFileSync(join(reader, 'tsconfig.json'), JSON.stringify({ compilerOptions, include: ['*.mts'] }));
    run(process.execPath, [join(ROOT, 'node_modules/typescript/bin/tsc'), '-p', '.'], reader);
  });
});
