/** Runs tests of the sandbox with one mutant active: in workers that serve many mutants, or in a process of its own. */
import { type ChildProcess, fork, spawn } from 'node:child_process';
import { join } from 'node:path';
import type { Answer, FileCoverage, Question } from './worker.ts';

/** How long the import of a test file may take: on a machine with much else to do it has taken a minute. */
const IMPORT_MS = 240_000;

/** The tests of one file that reach a mutant. */
export interface Candidate {
  readonly file: string;
  readonly tests: readonly string[];
  /** Whether code outside of tests reaches it: then the file has to be imported with the mutant active. */
  readonly outside: boolean;
  /** How long they take without a mutant, in milliseconds, and how often they reach it. */
  readonly ms: number;
  readonly hits: number;
}

/**
 * @param id - the mutant's number
 * @param coverage - what each test file reaches
 * @returns the files whose tests reach it, the quickest first
 */
export function candidates(id: string, coverage: ReadonlyMap<string, FileCoverage>): Candidate[] {
  const found: Candidate[] = [];
  for (const [file, { tests, outside }] of coverage) {
    const reaching = Object.entries(tests).filter(([, test]) => id in test.hits);
    if (!(id in outside) && reaching.length === 0) continue;
    const quickest = reaching.sort(([, a], [, b]) => a.ms - b.ms);
    found.push({
      file,
      tests: quickest.map(([name]) => name),
      outside: id in outside,
      ms: (id in outside ? Object.entries(tests) : reaching).reduce((sum, [, test]) => sum + test.ms, 0),
      hits: reaching.reduce((sum, [, test]) => sum + (test.hits[id] ?? 0), outside[id] ?? 0),
    });
  }
  return found.sort((a, b) => a.ms - b.ms);
}

/** Workers of one lane of the gate, one a test file; used for one mutant at a time. */
export class Workers {
  readonly #dir: string;
  readonly #most: number;
  readonly #running = new Map<string, ChildProcess>();

  /** @param most - how many are kept: each may hold a server */
  constructor(dir: string, most = 8) {
    this.#dir = dir;
    this.#most = most;
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
    if (candidate.outside) return !(await passesAlone(this.#dir, file, id, limit, timeout + 20_000));
    const question = { mutant: id, tests, limit };
    let answer = await this.#ask(file, question, timeout);
    if (answer && 'outcome' in answer && answer.outcome === 'spoilt') {
      // Something was left behind, by this mutant or by one before: a new worker tells.
      await this.#end(file);
      answer = await this.#ask(file, question, timeout);
      await this.#end(file);
    }
    return answer === undefined || ('outcome' in answer && answer.outcome !== 'survived');
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
    for (const [oldest] of this.#running) if (this.#running.size >= this.#most) await this.#end(oldest);
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
