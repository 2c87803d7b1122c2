/**
 * `init`: asks for what is needed, or takes flags, tries the connection, writes the settings, and says which SQL to run and
 * what comes next.
 */
import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import type { Answer } from '../../../lambda/actions/actions.ts';
import { PipelineError } from '../../../lambda/errors.ts';
import { addVariables } from '../env-file.ts';
import { renderAnswer } from '../render/answer.ts';
import { shellWord } from '../shell-word.ts';
import { createLocalTarget } from '../targets/local.ts';
import { EXIT, type Terminal } from '../terminal.ts';
import { environmentFile, environmentOf, setupSql, stackSettingsOf, withContext } from './files.ts';
import {
  type Answers,
  faultOfAnswer,
  FLAGS,
  type Question,
  type QuestionName,
  QUESTIONS,
  type SettingsDestination,
} from './questions.ts';

/** What was given by flags. */
export interface InitOptions extends Answers {
  /** @default asked for; `env` where nobody can be asked */
  readonly for?: SettingsDestination;
  /** The file to write. @default .env or cdk.json */
  readonly out?: string;
  /** Writes over a file that is there. */
  readonly force?: boolean;
  /** Whether the connection is tried. @default true */
  readonly connect?: boolean;
}

/** Asks a person. */
export interface Prompter {
  /** @returns the answer; undefined: the person has given up */
  ask(question: Question): Promise<string | undefined>;
  choose(): Promise<SettingsDestination | undefined>;
}

/**
 * @param options - what was given by flags
 * @param terminal - where is said what happens
 * @param prompter - asks; undefined: nobody is there to be asked
 * @returns the exit status: 1 where the connection that was tried did not work
 * @throws {PipelineError} EVENT_INVALID naming the flags that are missing or wrong; nothing is written then
 */
export async function init(options: InitOptions, terminal: Terminal, prompter: Prompter | undefined): Promise<number> {
  const say = (text: string): void => void terminal.stdout.write(`${text}\n`);
  const kind = options.for ?? (prompter === undefined ? 'env' : await prompter.choose());
  const answers = kind === undefined ? undefined : await collect(kind, options, terminal, prompter);
  if (kind === undefined || answers === undefined) {
    say('Nothing was written.');
    return EXIT.usage;
  }
  const path = options.out ?? (kind === 'env' ? '.env' : 'cdk.json');
  if (kind === 'env') return await forCommandLine(answers, path, options, terminal, say);
  return forStack(answers, path, say);
}

/** Every answer: given, asked for, or the default. @returns undefined: the person has given up */
async function collect(
  kind: SettingsDestination,
  options: InitOptions,
  { env }: Terminal,
  prompter: Prompter | undefined,
): Promise<Answers | undefined> {
  const answers: Record<string, string> = {};
  const faults: string[] = [];
  for (const { name, flag } of FLAGS)
    if (options[name] !== undefined && !QUESTIONS[kind].some((question) => question.name === name))
      faults.push(`${nameOf(flag)}: It is not for ${kind}.`);
  for (const question of faults.length > 0 && prompter !== undefined ? [] : QUESTIONS[kind]) {
    const given = options[question.name] ?? environmentDefault(question.name, env);
    const value =
      given ??
      (prompter === undefined
        ? (question.fallback ?? (question.secret === true ? '' : undefined))
        : await prompter.ask(question));
    if (given === undefined && prompter !== undefined && value === undefined) return undefined;
    // A server may ask for no password.
    const fault = question.secret === true && value === '' ? undefined : faultOfAnswer(question, value);
    if (fault !== undefined) faults.push(`${nameOf(question.flag) || 'PGPASSWORD'}: ${fault}`);
    if (value !== undefined) answers[question.name] = value;
  }
  if (faults.length === 0) return answers;
  throw new PipelineError(
    'EVENT_INVALID',
    `Some flags are missing or wrong: ${faults.join(' ')} Nothing was written.`,
    {
      remedy: `Give them, or run pg2kinesis init at a terminal, which asks for them.`,
    },
  );
}

/** A flag without its value. */
function nameOf(flag: string): string {
  return flag.split(' ')[0] ?? '';
}

/** What the environment says already. */
function environmentDefault(name: QuestionName, env: Terminal['env']): string | undefined {
  const variable = { password: 'PGPASSWORD', region: 'AWS_REGION' }[name as string];
  return variable === undefined ? undefined : env[variable];
}

async function forCommandLine(
  answers: Answers,
  path: string,
  options: InitOptions,
  terminal: Terminal,
  say: (text: string) => void,
): Promise<number> {
  const variables = environmentOf(answers);
  let text: string;
  try {
    text = environmentFile(variables);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new PipelineError('EVENT_INVALID', `${error.message} Nothing was written.`, {
      remedy: 'Use another password, or export it in the shell.',
    });
  }
  if (existsSync(path) && options.force !== true) {
    throw new PipelineError('EVENT_INVALID', `The file ${path} is there already. Nothing was written.`, {
      remedy: 'Give another --out, or --force to write over it.',
    });
  }
  write(path, text, 0o600);
  const secret = variables['PGPASSWORD'] === undefined ? '' : ' It holds the password: keep it out of version control.';
  say(`The settings are in ${path}, which only you may read.${secret}`);
  const works = options.connect === false ? undefined : await tryConnection(variables, terminal, say);
  if (works !== true)
    say(
      `\nAn administrator of the database runs, if it was not done:\n\n${setupSql(answers.user ?? '', answers.database ?? '')}\n`,
    );
  const command = `  npx pg2kinesis --env-file ${/^[\w./-]+$/.test(path) ? path : shellWord(path)}`;
  say(
    [
      'Next:',
      `${command} check`,
      `${command} create-slot    # what is committed from then on is captured`,
      `${command} run`,
    ].join('\n'),
  );
  return works === false ? EXIT.failed : EXIT.ok;
}

/** @throws {PipelineError} EVENT_INVALID where the file cannot be read */
function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw unusable(path, 'read', error);
  }
}

/** @throws {PipelineError} EVENT_INVALID where the file cannot be written */
function write(path: string, text: string, mode?: number): void {
  try {
    writeFileSync(path, text, mode === undefined ? {} : { mode });
    // The mode above is for a new file only.
    if (mode !== undefined) chmodSync(path, mode);
  } catch (error) {
    throw unusable(path, 'written', error);
  }
}

function unusable(path: string, what: 'read' | 'written', error: unknown): PipelineError {
  const { code = 'unknown error' } = error as NodeJS.ErrnoException;
  return new PipelineError('EVENT_INVALID', `The file ${path} cannot be ${what} (${code}). Nothing was written.`, {
    cause: error,
    remedy: 'Give another --out.',
  });
}

/** Runs `check` with the new settings. @returns whether the database was reached */
async function tryConnection(
  variables: Readonly<Record<string, string>>,
  terminal: Terminal,
  say: (text: string) => void,
): Promise<boolean> {
  const env = { ...terminal.env, ...variables };
  addVariables(variables, env);
  say('Trying the connection:\n');
  let answer: Answer;
  try {
    const payload = { action: 'check' };
    answer = await createLocalTarget(
      payload,
      { logJson: false },
      { ...terminal, env },
      new AbortController().signal,
    ).invoke(payload);
  } catch (error) {
    if (!(error instanceof PipelineError)) throw error;
    say(error.message);
    return false;
  }
  terminal.stdout.write(renderAnswer(answer, terminal, Date.now()));
  return 'findings' in answer && answer.findings.some(({ check, state }) => check === 'database' && state === 'ok');
}

function forStack(answers: Answers, path: string, say: (text: string) => void): number {
  const settings = stackSettingsOf(answers);
  const before = existsSync(path) ? read(path) : undefined;
  const after = withContext(before, settings);
  if (before === undefined || after === undefined) {
    const why =
      before === undefined ? `There is no ${path} here` : `${path} has settings of pg2kinesis already, or is no JSON`;
    say(`${why}. Put this into its "context":\n\n"pg2kinesis": ${JSON.stringify(settings, undefined, 2)}`);
  } else {
    write(path, after);
    say(`The settings are in ${path}, in its "context".`);
  }
  say(
    `\nAn administrator of the database runs, if it was not done (the role is the secret's username):\n\n${setupSql('pg2kinesis', answers.database ?? '')}\n`,
  );
  say(['Next:', '  npx cdk deploy', `  npx pg2kinesis check --stack ${String(settings['name'])}`].join('\n'));
  return EXIT.ok;
}
