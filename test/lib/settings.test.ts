/** The settings of the context: one pipeline or several, -c over cdk.json, every fault at once. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { RegionInfo } from 'aws-cdk-lib/region-info';
import { CONTEXT_KEY, EXAMPLE, readSettings, SettingsError } from '../../lib/settings.ts';
import { STACK_SETTINGS } from '../../lib/stack-settings-table.ts';
import { IAM, MINIMAL } from './synth.ts';

const arn = (service: string, region: string, resource: string): string =>
  `arn:aws:${service}:${region}:123456789012:${resource}`;
const KEY = (region: string): string => arn('kms', region, 'key/0a1b2c3d-0000-4000-8000-000000000000');

/** The faults of a context, where the command line is signed in to a region and an account. */
function faultsOf(context: Readonly<Record<string, unknown>>, region?: string, account?: string): readonly string[] {
  try {
    readSettings(context, { region, account });
  } catch (error) {
    assert.ok(error instanceof SettingsError);
    return error.faults;
  }
  return [];
}

describe('readSettings', () => {
  it('reads one object, with its defaults', () => {
    assert.deepEqual(readSettings({ [CONTEXT_KEY]: MINIMAL }), [
      {
        ...MINIMAL,
        name: 'pg2kinesis',
        databasePort: 5432,
        databaseAuth: 'secret',
        schedule: true,
        slotLifecycle: true,
        alarms: true,
        dashboard: true,
      },
    ]);
  });

  it('reads a list of objects, a pipeline each', () => {
    const pipelines = readSettings({
      [CONTEXT_KEY]: [MINIMAL, { ...MINIMAL, name: 'billing', databaseHost: 'billing.example.com' }],
    });
    assert.deepEqual(
      pipelines.map(({ name, databaseHost }) => [name, databaseHost]),
      [
        ['pg2kinesis', 'db.example.com'],
        ['billing', 'billing.example.com'],
      ],
    );
  });

  it('reads settings given by -c alone, all of them text', () => {
    const given = Object.fromEntries(
      Object.entries(MINIMAL).map(([name, value]) => [name, Array.isArray(value) ? value.join(', ') : value]),
    );
    const [settings] = readSettings({
      ...given,
      databasePort: '5433',
      schedule: 'false',
      lanes: '128',
      operations: 'insert,Delete',
      tableIncludeList: 'public\\.a,public\\.t_\\d{1,3}',
    });
    assert.ok(settings);
    assert.deepEqual(settings.subnetIds, MINIMAL['subnetIds']);
    assert.equal(settings.databasePort, 5433);
    assert.equal(settings.schedule, false);
    assert.equal(settings.lanes, 128);
    assert.deepEqual(settings.operations, ['INSERT', 'DELETE']);
    assert.deepEqual(settings.tableIncludeList, ['public\\.a', 'public\\.t_\\d{1,3}']);
  });

  it('lets -c win over cdk.json, in every pipeline', () => {
    const pipelines = readSettings({
      [CONTEXT_KEY]: [MINIMAL, { ...MINIMAL, name: 'two', slotName: 'two', format: 'csv' }],
      format: 'json',
      schedule: 'false',
    });
    assert.deepEqual(
      pipelines.map(({ format, schedule }) => [format, schedule]),
      [
        ['json', false],
        ['json', false],
      ],
    );
  });

  it('passes over the keys that the CDK itself puts into the context', () => {
    const own = {
      'aws:cdk:enable-path-metadata': true,
      '@aws-cdk/core:checkSecretUsage': true,
      'vpc-provider:account=1:filter.vpc-id=vpc-1:region=x': {},
      'aws:cdk:bundling-stacks': ['**'],
    };
    assert.deepEqual(readSettings(own), []);
    assert.equal(readSettings({ ...own, [CONTEXT_KEY]: MINIMAL }).length, 1);
  });

  for (const [title, context] of [
    ['no context', {}],
    ['an empty object', { [CONTEXT_KEY]: {} }],
    ['an empty list', { [CONTEXT_KEY]: [] }],
  ] as const) {
    it(`finds no pipeline in ${title}`, () => assert.deepEqual(readSettings(context), []));
  }

  it('fails once, naming every fault and showing an example', () => {
    const { databaseName, ...rest } = MINIMAL;
    assert.ok(databaseName);
    const context = {
      [CONTEXT_KEY]: {
        ...rest,
        vpcId: 'my-vpc',
        lanes: 63,
        schedule: 'yes',
        databasePort: '54x32',
        format: 'JSON',
        colour: 1,
      },
      databseHost: 'x',
      TABLES_EXCLUDE_LIST: 'x',
    };
    assert.throws(
      () => readSettings(context),
      (error: unknown) => {
        assert.ok(error instanceof SettingsError);
        assert.deepEqual(error.faults, [
          `"databseHost" is no setting; is databaseHost meant? The settings' names are listed below.`,
          `"TABLES_EXCLUDE_LIST" is no setting; is tableExcludeList meant? The settings' names are listed below.`,
          `"colour" is no setting. The settings' names are listed below.`,
          'vpcId cannot be "my-vpc": it must be a VPC such as vpc-0a1b2c3d.',
          'databasePort cannot be "54x32": it must be a whole number from 1 to 65535.',
          'format cannot be "JSON": it must be one of csv, csv-payload, json, debezium, dms, module.',
          'lanes cannot be 63: it must be one of 1, 2, 4, 8, 16, 32, 64, 128, 256.',
          'schedule cannot be "yes": it must be true or false.',
          "databaseName is missing: it must be a database's name, 1 to 63 characters.",
        ]);
        for (const fault of error.faults) assert.ok(error.message.includes(fault));
        assert.ok(error.message.includes(EXAMPLE));
        return true;
      },
    );
  });

  it('fails naming every fault of every pipeline, and which it is', () => {
    const faults = faultsOf({
      [CONTEXT_KEY]: [
        { ...MINIMAL, lanes: 3 },
        { ...MINIMAL, name: 'b', slotName: 'b', oversize: 'drop' },
      ],
    });
    assert.deepEqual(faults, [
      `${CONTEXT_KEY}[0]: lanes cannot be 3: it must be one of 1, 2, 4, 8, 16, 32, 64, 128, 256.`,
      `${CONTEXT_KEY}[1]: oversize cannot be "drop": it must be one of key-only, fail.`,
    ]);
  });

  for (const [title, given, expected] of [
    ['a name of Object.prototype', { constructor: 1 }, /"constructor" is no setting/],
    ['a secret by name', { databaseSecretArn: 'pg2kinesis' }, /databaseSecretArn cannot be "pg2kinesis": .*full ARN/],
    [
      'a secret without its suffix',
      { databaseSecretArn: 'arn:aws:secretsmanager:eu-central-1:123456789012:secret:app' },
      /six random characters/,
    ],
    [
      'a key alias',
      { streamKeyArn: 'arn:aws:kms:eu-central-1:123456789012:alias/app' },
      /streamKeyArn .*not of an alias/,
    ],
    ['a port as a fraction', { databasePort: 5432.5 }, /databasePort cannot be 5432.5/],
    ['a number with blanks', { memoryMib: ' 512' }, /memoryMib cannot be " 512"/],
    ['a number as exponent', { memoryMib: '1e3' }, /memoryMib cannot be "1e3"/],
    ['a boolean as number', { tracing: 1 }, /tracing cannot be 1: it must be true or false/],
    ['an empty list', { endpoints: '' }, /endpoints cannot be ""/],
    [
      'an unknown entry',
      { endpoints: 'kinesis,s3' },
      /endpoints cannot be "kinesis,s3".*one of kinesis, secretsmanager/,
    ],
    ['a repeated entry', { endpoints: 'kinesis,kinesis' }, /endpoints cannot be/],
    ['a list of a number', { subnetIds: [1, 2] }, /subnetIds cannot be \[1,2\]/],
    ['no regular expression', { tableIncludeList: 'public.(' }, /tableIncludeList cannot be "public.\("/],
    ['an array entry that is two', { tableIncludeList: ['a,b'] }, /tableIncludeList cannot be/],
    [
      '2 of reserved concurrency',
      { reservedConcurrency: 2 },
      /reservedConcurrency cannot be 2: it must be a whole number from 3/,
    ],
    ['a retention that CloudWatch Logs has not', { logRetentionDays: 31 }, /logRetentionDays cannot be 31/],
    ['compression of aggregates', { compression: 'gzip' }, /compression cannot be "gzip" without aggregation lines/],
    ['messages with the default format', { messages: 'a' }, /messages has no effect with format csv-payload/],
    [
      'messages with wal2json',
      { messages: 'a', format: 'json', plugin: 'wal2json' },
      /messages has no effect with plugin wal2json/,
    ],
    ['messages with dms', { messages: 'a', format: 'dms' }, /messages has no effect with format dms/],
    ['marks with the default format', { marks: 'on' }, /marks cannot be "on" with format csv-payload/],
    [
      'marks without lanes',
      { marks: 'on', format: 'json', aggregation: 'none' },
      /marks cannot be "on" with aggregation none/,
    ],
    ['lingering without a schedule', { linger: 'on', schedule: false }, /linger cannot be "on" with schedule false/],
    [
      'a runbook without its scheme',
      { runbookUrl: 'wiki/pg2kinesis' },
      /runbookUrl cannot be .*an address such as https/,
    ],
    [
      'a runbook that nothing links to',
      { runbookUrl: 'https://wiki.example.com', alarms: false, dashboard: false },
      /runbookUrl has no effect with alarms false and dashboard false/,
    ],
    ['a share without lingering', { lingerDuty: 20 }, /lingerDuty has no effect without linger on/],
    ['lines with csv', { format: 'csv', aggregation: 'lines' }, /aggregation cannot be "lines" with format csv/],
    [
      'zones that do not fit the subnets',
      { availabilityZones: ['eu-central-1a'] },
      /availabilityZones cannot be .*each of the 2 subnetIds/,
    ],
    ['zones without subnets', { subnetIds: undefined }, /availabilityZones has no effect without subnetIds/],
    [
      'retention of an existing stream',
      { existingStream: 'mine', streamRetentionHours: 168 },
      /streamRetentionHours has no effect with existingStream/,
    ],
    [
      'two ways to be told',
      { alarmEmail: 'a@b.example', alarmTopicArn: 'arn:aws:sns:eu-central-1:123456789012:t' },
      /cannot both be given/,
    ],
    [
      'an alarm setting without alarms',
      { alarms: false, alarmEmail: 'a@b.example' },
      /alarmEmail has no effect with alarms false/,
    ],
    [
      'a group and addresses',
      { databaseCidr: '10.0.0.0/16' },
      /databaseCidr has no effect with databaseSecurityGroupId/,
    ],
    ['a group of a peered account', { databaseSecurityGroupId: '210987654321/sg-0a1b2c3d' }, /give databaseCidr/],
    [
      'no range of addresses',
      { databaseSecurityGroupId: undefined, databaseCidr: '10.0.0.300/8' },
      /databaseCidr cannot/,
    ],
    [
      'an ingress rule without its group',
      { databaseSecurityGroupId: undefined, databaseIngress: false },
      /databaseIngress has no effect without databaseSecurityGroupId/,
    ],
    [
      'an endpoint that is made and there',
      { endpoints: 'kinesis', existingEndpoints: 'kinesis,secretsmanager' },
      /endpoints and existingEndpoints cannot both hold "kinesis"/,
    ],
    [
      'authorities that nothing looks at',
      { databaseSslRootCert: 'ca.pem', databaseSslMode: 'disable' },
      /databaseSslRootCert has no effect with databaseSslMode disable/,
    ],
    ['onRemoval without lifecycle', { slotLifecycle: false, onRemoval: 'retain' }, /onRemoval has no effect/],
    ['a resource ID without iam', { databaseResourceId: 'db-1' }, /databaseResourceId has no effect/],
    [
      'a secret with iam',
      { databaseAuth: 'iam', databaseUser: 'cdc', databaseResourceId: 'db-1' },
      /databaseSecretArn has no effect with databaseAuth iam/,
    ],
  ] as const) {
    it(`fails on ${title}, naming it alone`, () => {
      const faults = faultsOf({ [CONTEXT_KEY]: { ...MINIMAL, ...given } });
      assert.equal(faults.length, 1, faults.join('\n'));
      assert.match(faults[0] ?? '', expected);
    });
  }

  for (const missing of ['vpcId', 'databaseHost', 'databaseName', 'databaseSecretArn']) {
    it(`fails without ${missing}`, () => {
      const faults = faultsOf({ [CONTEXT_KEY]: { ...MINIMAL, [missing]: undefined } });
      assert.equal(faults.length, 1);
      assert.match(faults[0] ?? '', new RegExp(`^${missing} is missing: it must be `));
    });
  }

  for (const missing of ['databaseUser', 'databaseResourceId']) {
    it(`fails with databaseAuth iam and no ${missing}`, () => {
      const faults = faultsOf({ [CONTEXT_KEY]: { ...IAM, [missing]: undefined } });
      assert.equal(faults.length, 1);
      assert.match(faults[0] ?? '', new RegExp(`^${missing} is missing: databaseAuth iam needs it`));
    });
  }

  for (const [title, other, expected] of [
    ['name, whatever its case', { name: 'PG2Kinesis', slotName: 'b' }, /^name "pg2kinesis" is there more than once/],
    [
      'slot of one server, though of another database',
      { name: 'b', databaseName: 'b' },
      /^the slot "pg2kinesis of db.example.com:5432" is there more than once/,
    ],
  ] as const) {
    it(`fails on two pipelines of one ${title}`, () => {
      const faults = faultsOf({ [CONTEXT_KEY]: [MINIMAL, { ...MINIMAL, ...other }] });
      assert.equal(faults.length, 1);
      assert.match(faults[0] ?? '', expected);
    });
  }

  it('takes two pipelines of one slot of one private name, in two regions', () => {
    const secret = MINIMAL['databaseSecretArn'] as string;
    const at = (region: string): object => ({
      ...MINIMAL,
      name: region,
      region,
      availabilityZones: [`${region}a`, `${region}b`],
      databaseSecretArn: secret.replace('eu-central-1', region),
    });
    assert.equal(readSettings({ [CONTEXT_KEY]: [at('eu-central-1'), at('us-east-1')] }).length, 2);
  });

  for (const value of ['text', 7, null, [[]], [MINIMAL, 'x']]) {
    it(`fails on ${JSON.stringify(value).slice(0, 20)} for settings`, () =>
      assert.match(faultsOf({ [CONTEXT_KEY]: value }).join(), /must be an object of settings/));
  }

  for (const [title, given, expected] of [
    ['zones', { availabilityZones: 'eu-central-1a,us-east-1b' }, /^availabilityZones cannot hold eu-central-1a: /],
    [
      'a secret',
      {},
      /^databaseSecretArn cannot be ".*": its region is eu-central-1, and that of the stack us-east-1; /,
    ],
    [
      "a stream's key",
      { existingStream: arn('kinesis', 'us-west-2', 'stream/s'), streamKeyArn: KEY('us-east-1') },
      /^streamKeyArn cannot be ".*": its region is us-east-1, and that of the stream us-west-2; /,
    ],
    ['the key of a stream that is made', { streamKeyArn: KEY('us-west-2') }, /^streamKeyArn .* stream us-east-1; /],
    ["a secret's key", { databaseSecretKeyArn: KEY('eu-west-1') }, /^databaseSecretKeyArn .*eu-west-1/],
    ['a topic', { alarmTopicArn: arn('sns', 'ap-south-1', 't') }, /^alarmTopicArn .*ap-south-1.*own region only/],
    ["the log's key", { logKeyArn: KEY('eu-west-1') }, /^logKeyArn .*eu-west-1/],
    ["the environment's key", { environmentKeyArn: KEY('eu-west-1') }, /^environmentKeyArn .*eu-west-1/],
    [
      'an endpoint for a stream of another region',
      { existingStream: arn('kinesis', 'us-west-2', 'stream/s'), endpoints: 'kinesis,secretsmanager' },
      /^endpoints cannot hold "kinesis" with a stream of us-west-2: /,
    ],
    [
      'a partition',
      { existingStream: arn('kinesis', 'us-gov-west-1', 'stream/s').replace('aws', 'aws-us-gov') },
      /^existingStream cannot be ".*": its partition is aws-us-gov, and the stack's region us-east-1 is in aws\.$/,
    ],
    [
      "a role's partition",
      { roleArn: 'arn:aws-cn:iam::123456789012:role/r' },
      /^roleArn cannot be ".*": its partition is aws-cn, /,
    ],
  ] as const) {
    it(`fails on ${title} of elsewhere, naming it alone`, () => {
      const here = {
        ...MINIMAL,
        availabilityZones: 'us-east-1a,us-east-1b',
        databaseSecretArn: arn(
          'secretsmanager',
          title === 'a secret' ? 'eu-central-1' : 'us-east-1',
          'secret:s-AbCdEf',
        ),
      };
      const settings = { ...here, ...given };
      for (const faults of [
        faultsOf({ [CONTEXT_KEY]: { ...settings, region: 'us-east-1' } }),
        faultsOf({ [CONTEXT_KEY]: settings }, 'us-east-1'),
      ]) {
        assert.equal(faults.length, 1, faults.join('\n'));
        assert.match(faults[0] ?? '', expected);
      }
    });
  }

  it('takes a stream of another region and account, with its key there, and compares nothing with an unknown region', () => {
    const stream = {
      existingStream: arn('kinesis', 'us-west-2', 'stream/s').replace('123456789012', '210987654321'),
      streamKeyArn: KEY('us-west-2'),
    };
    assert.deepEqual(faultsOf({ [CONTEXT_KEY]: { ...MINIMAL, ...stream, region: 'eu-central-1' } }), []);
    assert.deepEqual(faultsOf({ [CONTEXT_KEY]: { ...MINIMAL, alarmTopicArn: arn('sns', 'ap-south-1', 't') } }), []);
  });

  it('takes every region that the CDK knows, and its zones', () => {
    for (const { name, partition = 'aws' } of RegionInfo.regions) {
      const databaseSecretArn = `arn:${partition}:secretsmanager:${name}:123456789012:secret:s-AbCdEf`;
      const settings = { region: name, availabilityZones: `${name}a,${name}b`, databaseSecretArn };
      assert.deepEqual(faultsOf({ [CONTEXT_KEY]: { ...MINIMAL, ...settings } }), [], name);
    }
  });

  it('fails on a role of another account, and on a secret of one without a key of its own', () => {
    const role = { roleArn: 'arn:aws:iam::210987654321:role/cdc' };
    const secret = {
      databaseSecretArn: arn('secretsmanager', 'eu-central-1', 's-AbCdEf').replace(':s-', ':secret:s-'),
    };
    const foreign = { databaseSecretArn: secret.databaseSecretArn.replace('123456789012', '210987654321') };
    for (const settings of [
      (given: object) => faultsOf({ [CONTEXT_KEY]: { ...MINIMAL, ...given, account: '123456789012' } }),
      (given: object) => faultsOf({ [CONTEXT_KEY]: { ...MINIMAL, ...given } }, undefined, '123456789012'),
    ]) {
      const [ofRole = '', ofSecret = '', ...others] = settings({ ...role, ...foreign });
      assert.match(
        ofRole,
        /^roleArn cannot be ".*": its account is 210987654321, and that of the stack 123456789012; /,
      );
      assert.match(ofSecret, /^databaseSecretKeyArn is missing: the secret is of account 210987654321, /);
      assert.deepEqual(others, []);
      assert.deepEqual(settings({ ...foreign, databaseSecretKeyArn: KEY('eu-central-1') }), []);
    }
    assert.deepEqual(faultsOf({ [CONTEXT_KEY]: { ...MINIMAL, ...role, ...foreign } }), [], 'no account is known');
  });

  it("fails on a permissions boundary as -c gives it, which the CDK would leave out, and takes cdk.json's", () => {
    const key = '@aws-cdk/core:permissionsBoundary';
    const [fault = '', ...others] = faultsOf({ ...MINIMAL, [key]: '{"name":"b"}' });
    assert.match(
      fault,
      /^@aws-cdk\/core:permissionsBoundary cannot be .* It must be an object in the context of cdk\.json/,
    );
    assert.deepEqual(others, []);
    assert.deepEqual(faultsOf({ ...MINIMAL, [key]: { name: 'b' } }), []);
  });

  it('has an example that is right', () => {
    const object = /"pg2kinesis": (\{[^}]*\})/.exec(EXAMPLE)?.[1] ?? '';
    assert.equal(readSettings({ [CONTEXT_KEY]: JSON.parse(object) as unknown }).length, 1);
    const options = Object.fromEntries(
      [...EXAMPLE.matchAll(/-c (\w+)=(\S+)/g)].map(([, name = '', value]) => [name, value]),
    );
    assert.deepEqual(readSettings(options), readSettings({ [CONTEXT_KEY]: JSON.parse(object) as unknown }));
  });

  it('has no setting that a prefix of the CDK would hide', () => {
    for (const name of Object.keys(STACK_SETTINGS)) assert.match(name, /^[a-z][A-Za-z]*$/);
  });
});
