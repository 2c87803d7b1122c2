/** What `init` asks for: each has a flag, a question and what is allowed. Knows no prompt and no file. */
import { FORMAT_NAMES } from '../../../lambda/settings/format-facts.ts';
import { SETTINGS } from '../../../lambda/settings/settings-table.ts';
import { STACK_SETTINGS } from '../../../lib/stack-settings-table.ts';

/** Where the settings go: `env`, a file for the command line; `cdk`, cdk.json for a stack. */
export type SettingsDestination = 'env' | 'cdk';

/** One question. */
export interface Question {
  /** The flag, in camelCase. */
  readonly name: QuestionName;
  readonly flag: string;
  readonly ask: string;
  readonly fallback?: string;
  /** Whether it may stay empty. */
  readonly optional?: boolean;
  /** Whether what is typed is not shown. */
  readonly secret?: boolean;
  /** What is wrong with an answer; undefined: nothing. */
  readonly fault?: (value: string) => string | undefined;
}

/** The questions' names. */
export type QuestionName =
  | 'host'
  | 'port'
  | 'database'
  | 'user'
  | 'password'
  | 'sslmode'
  | 'stream'
  | 'region'
  | 'slot'
  | 'format'
  | 'name'
  | 'vpcId'
  | 'secretArn'
  | 'securityGroupId'
  | 'email';

/** What was answered. */
export type Answers = Partial<Record<QuestionName, string>>;

const word = (allowed: string): string => `It has to be ${allowed}.`;

/** As the stack's setting is read, which is as the function's is: what is written here is refused nowhere. */
const as =
  (name: keyof typeof STACK_SETTINGS) =>
  (value: string): string | undefined =>
    STACK_SETTINGS[name].read(value) === undefined ? word(STACK_SETTINGS[name].expects) : undefined;

const DATABASE: readonly Question[] = [
  {
    name: 'host',
    flag: '--host <name>',
    ask: 'Host of the PostgreSQL server (the writer endpoint)',
    fault: as('databaseHost'),
  },
  { name: 'port', flag: '--port <n>', ask: 'Its port', fallback: '5432', fault: as('databasePort') },
  { name: 'database', flag: '--database <name>', ask: 'Database to capture', fault: as('databaseName') },
];

// A formatter of the user's own needs more than a name.
const FORMATS = FORMAT_NAMES.filter((name) => name !== 'module');

const SLOT: readonly Question[] = [
  {
    name: 'slot',
    flag: '--slot <name>',
    ask: 'Name of the replication slot',
    fallback: SETTINGS.SLOT_NAME.default,
    fault: as('slotName'),
  },
  {
    name: 'format',
    flag: '--format <format>',
    ask: 'Format of the records (json has ids to drop repeats by)',
    fallback: 'json',
    fault: (value) => (FORMATS.some((name) => name === value) ? undefined : word(`one of ${FORMATS.join(', ')}`)),
  },
];

/** The questions for each kind, in the order in which they are asked. */
export const QUESTIONS: Readonly<Record<SettingsDestination, readonly Question[]>> = {
  env: [
    ...DATABASE,
    {
      name: 'user',
      flag: '--user <name>',
      ask: 'Role to connect as (not the master user)',
      fallback: 'pg2kinesis',
      // The stack's may hold no wildcard of IAM's.
      fault: (value) => (SETTINGS.PGUSER.schema.safeParse(value).success ? undefined : word(SETTINGS.PGUSER.allowed)),
    },
    {
      name: 'password',
      flag: '',
      ask: 'Its password (PGPASSWORD; it is written to the file, which only you may read)',
      secret: true,
    },
    {
      name: 'sslmode',
      flag: '--sslmode <mode>',
      ask: 'TLS to the database',
      fallback: 'verify-full',
      fault: as('databaseSslMode'),
    },
    {
      name: 'stream',
      flag: '--stream <name>',
      ask: 'Kinesis data stream, name or ARN',
      fallback: 'pg2kinesis',
      fault: as('existingStream'),
    },
    { name: 'region', flag: '--region <region>', ask: 'AWS region of the stream', fault: as('region') },
    ...SLOT,
  ],
  cdk: [
    { name: 'name', flag: '--name <name>', ask: 'Name of the stack', fallback: 'app-changes', fault: as('name') },
    { name: 'vpcId', flag: '--vpc-id <id>', ask: 'VPC of the database', fault: as('vpcId') },
    ...DATABASE,
    {
      name: 'secretArn',
      flag: '--secret-arn <arn>',
      ask: "ARN of the secret with the role's username and password",
      fault: as('databaseSecretArn'),
    },
    {
      name: 'securityGroupId',
      flag: '--security-group-id <id>',
      ask: 'Security group of the database, which the stack lets the function into',
      fault: as('databaseSecurityGroupId'),
    },
    {
      name: 'email',
      flag: '--email <address>',
      ask: 'Address for the alarms (empty: none)',
      optional: true,
      fault: as('alarmEmail'),
    },
    ...SLOT,
  ],
};

/** Every flag of both kinds, once. */
export const FLAGS: readonly Question[] = [
  ...new Map([...QUESTIONS.env, ...QUESTIONS.cdk].map((each) => [each.name, each])).values(),
].filter(({ flag }) => flag !== '');

/**
 * @param question - which
 * @param value - its answer; empty or undefined: none
 * @returns what is wrong with it; undefined: nothing
 */
export function faultOfAnswer({ optional, secret, fault }: Question, value: string | undefined): string | undefined {
  if (value === undefined || value === '') return optional === true ? undefined : 'It is needed.';
  if (/[\n\r]/.test(value)) return 'It has to be one line.';
  return secret === true ? undefined : fault?.(value);
}
