/**
 * A copy of the project in which every mutant of a module is in place, each behind a switch (`switch.ts`). So a module is
 * instrumented once, and a mutant costs no more than the tests that reach it.
 *
 * StrykerJS makes the mutants. It knows nothing of the tests.
 */
import { cp, glob, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Instrumenter } from '@stryker-mutator/instrumenter';

/** The project's root. */
export const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/** What the tests need of the project. */
const COPIED = [
  'bin',
  'docs',
  'examples',
  'lambda',
  'lib',
  'replica',
  'scripts',
  'test',
  'package.json',
  'tsconfig.json',
];

/** A small wrong change. */
export interface Mutant {
  /** Its number in the sandbox: another one after the next change of the code. */
  readonly id: string;
  /** The file, from the root. */
  readonly file: string;
  /** The line where it begins, from 1. */
  readonly line: number;
  readonly mutator: string;
  /** Where it is in the file's text: from, to. */
  readonly at: readonly [number, number];
  /** The text in place of that. */
  readonly replacement: string;
  /** The first changed line as it is, and as the mutant has it; both without the indentation. */
  readonly before: string;
  readonly after: string;
}

/** The copy, on disk until it is closed. */
export interface Sandbox {
  readonly dir: string;
  readonly mutants: readonly Mutant[];
  /** The unchanged text of each mutated file. */
  readonly sources: ReadonlyMap<string, string>;
  [Symbol.asyncDispose](): Promise<void>;
}

const noop = (): void => undefined;
const off = (): boolean => false;
const silent = {
  isTraceEnabled: off,
  isDebugEnabled: off,
  isInfoEnabled: off,
  isWarnEnabled: off,
  isErrorEnabled: off,
  isFatalEnabled: off,
  trace: noop,
  debug: noop,
  info: noop,
  warn: noop,
  error: noop,
  fatal: noop,
};

/**
 * @param mutate - the files to be mutated, a glob from the root
 * @returns the copy, with every mutant in it and none active
 */
export async function makeSandbox(mutate: string): Promise<Sandbox> {
  const dir = await mkdtemp(join(tmpdir(), 'pg2kinesis-mutants-'));
  for (const name of COPIED) await cp(join(ROOT, name), join(dir, name), { recursive: true });
  await symlink(join(ROOT, 'node_modules'), join(dir, 'node_modules'), 'dir');

  const sources = new Map<string, string>();
  for await (const name of glob(mutate, { cwd: ROOT })) sources.set(name, await readFile(join(ROOT, name), 'utf8'));
  const files = [...sources].sort().map(([name, content]) => ({ name, content, mutate: true }));
  const options = { plugins: null, excludedMutations: [], ignorers: [], noHeader: true };
  const instrumented = await new Instrumenter(silent).instrument(files, options);
  for (const { name, content } of instrumented.files) {
    const up = '../'.repeat(name.split('/').length - 1);
    const header = `import { stryCov_9fa48, stryMutAct_9fa48 } from '${up}test/mutants/switch.ts';\n`;
    await mkdir(dirname(join(dir, name)), { recursive: true });
    await writeFile(join(dir, name), header + content);
  }
  const mutants = instrumented.mutants.map(({ id, fileName, mutatorName, location, replacement }): Mutant => {
    const text = sources.get(fileName) ?? '';
    const at = [offset(text, location.start), offset(text, location.end)] as const;
    return {
      id,
      file: fileName,
      line: location.start.line + 1,
      mutator: mutatorName,
      at,
      replacement,
      ...lines(text, at, replacement),
    };
  });
  return { dir, mutants, sources, [Symbol.asyncDispose]: () => rm(dir, { recursive: true, force: true }) };
}

/** @returns the file's text with the mutant in place */
export function mutated(text: string, { at, replacement }: Pick<Mutant, 'at' | 'replacement'>): string {
  return text.slice(0, at[0]) + replacement + text.slice(at[1]);
}

function offset(text: string, { line, column }: { line: number; column: number }): number {
  let from = 0;
  for (let i = 0; i < line; i++) from = text.indexOf('\n', from) + 1;
  return from + column;
}

function lines(text: string, at: readonly [number, number], replacement: string): { before: string; after: string } {
  const from = text.lastIndexOf('\n', at[0] - 1) + 1;
  const to = text.indexOf('\n', at[1]);
  const line = (whole: string): string => {
    const trimmed = whole.trim().replaceAll(/\s*\n\s*/g, ' ');
    return trimmed.length > 110 ? `${trimmed.slice(0, 110)}...` : trimmed;
  };
  const rest = to < 0 ? text.length : to;
  return {
    before: line(text.slice(from, rest)),
    after: line(text.slice(from, at[0]) + replacement + text.slice(at[1], rest)),
  };
}
