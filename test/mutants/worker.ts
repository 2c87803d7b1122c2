/**
 * A worker of the mutation gate: imports one test file of the sandbox and, asked by its parent, runs some of its tests
 * with one mutant active. After a mutant was killed it runs them without: if they fail, the mutant has left something
 * behind, and the parent takes a new worker.
 */
import { registerHooks } from 'node:module';
import { pathToFileURL } from 'node:url';
import { finish, perform, prepare, recorded } from './recorded-tests.ts';
import { activate, countIn, type Hits } from './switch.ts';

/** What a test reaches, and how long it takes. */
export interface TestCoverage {
  readonly hits: Hits;
  readonly ms: number;
}

/** What a test file reaches. `outside` is what is reached at import and in hooks of suites. */
export interface FileCoverage {
  readonly tests: Record<string, TestCoverage>;
  readonly outside: Hits;
}

/** What the parent asks for: to measure, to try a mutant, or to end. */
export type Question =
  | { readonly measure: true }
  | { readonly mutant: string; readonly tests: readonly string[]; readonly limit: number }
  | { readonly end: true };

/** What it is answered. `spoilt`: the same tests fail without the mutant. */
export type Answer =
  | { readonly coverage: FileCoverage }
  | { readonly failed: string }
  | { readonly outcome: 'killed' | 'survived' | 'spoilt' };

const SHIM = new URL('recorded-tests.ts', import.meta.url).href;
registerHooks({
  resolve: (specifier, context, next) =>
    specifier === 'node:test' ? { url: SHIM, shortCircuit: true } : next(specifier, context),
});

const outside: Hits = {};
countIn(outside);
await import(pathToFileURL(process.argv[2] ?? '').href);

/** What was thrown where no test catches it. */
const uncaught: unknown[] = [];
process.on('uncaughtException', (reason) => uncaught.push(reason));
process.on('unhandledRejection', (reason) => uncaught.push(reason));

/** @returns the place of the first test that fails, where it ends; -1 when all pass */
async function firstFailure(names: readonly string[], mutant?: string, limit?: number): Promise<number> {
  for (const [place, name] of names.entries()) {
    activate(undefined);
    await prepare(name);
    uncaught.length = 0;
    activate(mutant, limit);
    try {
      await perform(name);
      // An unhandled rejection shows after the microtasks.
      await new Promise(setImmediate);
    } catch {
      return place;
    } finally {
      activate(undefined);
    }
    if (uncaught.length > 0) return place;
  }
  return -1;
}

async function measure(): Promise<Answer> {
  const tests: FileCoverage['tests'] = {};
  for (const name of recorded()) {
    countIn(outside);
    await prepare(name);
    const hits: Hits = {};
    countIn(hits);
    const began = performance.now();
    try {
      await perform(name);
    } catch (error) {
      return { failed: `${name}: ${String(error)}` };
    }
    tests[name] = { hits, ms: performance.now() - began };
  }
  countIn(undefined);
  return { coverage: { tests, outside } };
}

async function answer(question: Question): Promise<Answer | undefined> {
  countIn(undefined);
  if ('measure' in question) return measure();
  if ('end' in question) {
    await finish();
    process.exit(0);
  }
  const { mutant, tests, limit } = question;
  const failed = await firstFailure(tests, mutant, limit);
  if (failed < 0) return { outcome: 'survived' };
  return { outcome: (await firstFailure(tests.slice(0, failed + 1))) < 0 ? 'killed' : 'spoilt' };
}

process.on('message', (question: Question) => {
  void answer(question).then((given) => process.send?.(given));
});
process.on('disconnect', () => process.exit(0));
process.send?.('ready');
