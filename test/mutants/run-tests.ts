/** Runs tests of the sandbox with one mutant active: in workers that serve many mutants, or in a process of its own. */
import { type ChildProcess, fork, spawn } from 'node:child_process';
import { join } from 'node:path';
import type { Answer, FileCoverage, Question } from './worker.ts';

/** How long the import of a test file may take: on a machine with much else to do it has taken a minute. */
const IMPORT_MS = 240_000;

/** So many workers a lane keeps; fewer where each may hold a server. */
const MOST_WORKERS = 30;
const MOST_SERVERS = 8;

/** Tests of one file that reach a mutant. */
export interface Candidate {
  readonly file: string;
  /** Undefined: the whole file has to be imported with the mutant active, as code outside of tests reaches it. */
  readonly tests: readonly string[] | undefined;
  /** How long they take without a mutant, in milliseconds, and how often they reach it. */
  readonly ms: number;
  readonly hits: number;
}

/** What a process of its own takes besides its tests. */
const START_MS = 2_000;

/**
 * @param id - the mutant's number
 * @param coverage - what each test file reaches
 * @param mostMs - no more tests are given than take so long, but for the quickest
 * @returns what can notice it, the quickest first
 */
export function candidates(id: string, coverage: ReadonlyMap<string, FileCoverage>, mostMs = Infinity): Candidate[] {
  const found: Candidate[] = [];
  for (const [file, { tests, outside }] of coverage) {
    const reaching = Object.entries(tests).filter(([, test]) => id in test.hits);
    const quickest = reaching.sort(([, a], [, b]) => a.ms - b.ms);
    const hits = reaching.reduce((sum, [, test]) => sum + (test.hits[id] ?? 0), outside[id] ?? 0);
    const sum = (all: readonly (readonly [string, { ms: number }])[]) => all.reduce((ms, [, test]) => ms + test.ms, 0);
    if (reaching.length > 0) {
      const chosen = quickest.filter((_, i) => i === 0 || sum(quickest.slice(0, i + 1)) <= mostMs);
      // Tests that share a server may build on those before them.
      const names = new Set(chosen.map(([name]) => name));
      const given = file.includes('.pg.') ? Object.entries(tests).filter(([name]) => names.has(name)) : chosen;
      found.push({ file, tests: given.map(([name]) => name), ms: sum(given), hits });
    }
    if (id in outside) found.push({ file, tests: undefined, ms: START_MS + sum(Object.entries(tests)), hits });
  }
  found.sort((a, b) => a.ms - b.ms);
  return found.filter((_, i) => i === 0 || found.slice(0, i + 1).reduce((ms, each) => ms + each.ms, 0) <= mostMs);
}

/** Workers of one lane of the gate, one a test file; used for one mutant at a time. */
export class Workers {
  readonly #dir: string;
  readonly #running = new Map<string, ChildProcess>();

  /** @param dir - the sandbox's */
  constructor(dir: string) {
    this.#dir = dir;
  }

  /** @returns what each test of the file reaches. @throws {Error} when a test fails though no mutant is active */
  async measure(file: string): Promise<FileCoverage> {
    const answer = await this.#ask(file, { measure: true }, 400_000);
    if (answer && 'coverage' in answer) return answer.coverage;
    const why = answer && 'failed' in answer ? answer.failed : 'no answer';
    throw new Error(`${file} fails without any mutant: ${why}`);
  }

  /** @returns whether the tests notice the mutant */
  async kills(id: string, candidate: Candidate): Promise<boolean> {
    const { file, tests, ms, hits } = candidate;
    const limit = Math.max(10_000, hits * 100);
    const timeout = 20_000 + ms * 10;
    const inWorker = tests && (await this.#outcome(file, { mutant: id, tests, limit }, timeout));
    if (inWorker === 'killed' || inWorker === 'survived') return inWorker === 'killed';
    // These tests cannot be run by themselves: the whole file can.
    return !(await passesAlone(this.#dir, file, id, limit, timeout + 60_000));
  }

  /** @returns what becomes of it in a worker. `spoilt`: the tests fail without the mutant, too */
  async #outcome(file: string, question: Question, timeout: number): Promise<'killed' | 'survived' | 'spoilt'> {
    const ask = async () => {
      const answer = await this.#ask(file, question, timeout);
      return answer && 'outcome' in answer ? answer.outcome : 'killed';
    };
    const first = await ask();
    if (first !== 'spoilt') return first;
    // Something was left behind, by this mutant or by one before: a new worker tells.
    await this.#end(file);
    const again = await ask();
    await this.#end(file);
    return again;
  }

  /** Ends all. */
  async close(): Promise<void> {
    for (const file of [...this.#running.keys()]) await this.#end(file);
  }

  /** @returns the answer, or undefined when there was none in time: the worker is ended then */
  async #ask(file: string, question: Question, timeout: number): Promise<Answer | undefined> {
    const worker = await this.#worker(file);
    const answer = await message<Answer>(worker, timeout, () => worker.send(question));
    if (answer === undefined) await this.#end(file, true);
    return answer;
  }

  async #worker(file: string): Promise<ChildProcess> {
    const there = this.#running.get(file);
    if (there) {
      this.#running.delete(file);
      this.#running.set(file, there);
      return there;
    }
    const most = file.includes('.pg.') ? MOST_SERVERS : MOST_WORKERS;
    for (const [oldest] of this.#running) if (this.#running.size >= most) await this.#end(oldest);
    const made = fork(join(this.#dir, 'test/mutants/worker.ts'), [join(this.#dir, file)], {
      cwd: this.#dir,
      detached: true,
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
      execArgv: ['--enable-source-maps', '--expose-gc'],
    });
    this.#running.set(file, made);
    let said = '';
    made.stderr?.setEncoding('utf8').on('data', (text: string) => (said = (said + text).slice(-2_000)));
    if ((await message(made, IMPORT_MS, () => undefined)) === undefined) {
      const why = made.exitCode === null && made.signalCode === null ? `nothing for ${IMPORT_MS / 1000} s` : said;
      throw new Error(`${file} cannot be imported (exit ${made.exitCode ?? made.signalCode}): ${why}`);
    }
    return made;
  }

  async #end(file: string, kill = false): Promise<void> {
    const worker = this.#running.get(file);
    this.#running.delete(file);
    if (worker?.exitCode !== null || worker.signalCode !== null) return;
    const gone = new Promise((resolve) => worker.once('exit', resolve));
    if (!kill) worker.send({ end: true } satisfies Question);
    const timer = setTimeout(() => killGroup(worker), kill ? 0 : 10_000);
    await gone;
    clearTimeout(timer);
  }
}

/** @returns the next message of a worker; undefined when it is late, or the worker ends */
function message<T>(worker: ChildProcess, timeout: number, ask: () => void): Promise<T | undefined> {
  return new Promise((resolve) => {
    const settle = (given?: unknown): void => {
      clearTimeout(timer);
      worker.off('message', settle);
      worker.off('exit', gone);
      resolve(given as T | undefined);
    };
    const gone = (): void => settle();
    const timer = setTimeout(gone, timeout);
    worker.once('message', settle);
    worker.once('exit', gone);
    ask();
  });
}

/** Runs a whole test file in a process of its own, the mutant active from the start. @returns whether it passes */
async function passesAlone(dir: string, file: string, id: string, limit: number, timeout: number): Promise<boolean> {
  const child = spawn(process.execPath, ['--test-reporter=dot', '--test-force-exit', join(dir, file)], {
    cwd: dir,
    detached: true,
    stdio: 'ignore',
    env: { ...process.env, MUTANT: id, MUTANT_HIT_LIMIT: `${limit}` },
  });
  const timer = setTimeout(() => killGroup(child), timeout);
  const code = await new Promise((resolve) => child.once('exit', resolve));
  clearTimeout(timer);
  return code === 0;
}

/** Ends a process and what it started: a test may have processes of its own. */
function killGroup(child: ChildProcess): void {
  if (child.pid !== undefined && child.exitCode === null) process.kill(-child.pid, 'SIGKILL');
}
