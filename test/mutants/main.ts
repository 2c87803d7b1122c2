/**
 * The mutation gate: `npm run test:mutants -- decode pack`. Small wrong changes are made in a module of lambda/, one at a
 * time; each must turn a test red. Ends with status 1 when a module's share is less than it must be.
 *
 * `--sample 400` tries so many of each module, chosen by `--seed 1`; `--fresh` forgets what earlier runs found;
 * `--jobs 2` runs so many at a time; `--file json.ts` takes only files whose name ends so.
 *
 * `npm run test:mutants -- named` tries those that are known by name, in place of modules.
 */
import { glob, readFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { EQUIVALENT_MUTANTS } from './equivalent-mutants.ts';
import { type Module, MODULES } from './modules.ts';
import { fingerprint, identity, loadCoverage, loadResults, type Result, saveCoverage, saveResults } from './results.ts';
import { candidates, Workers } from './run-tests.ts';
import { makeSandbox, type Mutant, ROOT } from './sandbox.ts';
import { tryNamed } from './try-named.ts';
import { typeChecker } from './type-check.ts';
import type { FileCoverage } from './worker.ts';

const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    sample: { type: 'string' },
    seed: { type: 'string', default: '1' },
    jobs: { type: 'string', default: `${availableParallelism()}` },
    fresh: { type: 'boolean', default: false },
    file: { type: 'string', default: '' },
  },
});

/** Does the work for each item, so many at a time; each lane has its own workers. */
async function inParallel<T>(dir: string, items: Iterable<T>, work: (item: T, workers: Workers) => Promise<void>) {
  const queue = items[Symbol.iterator]();
  const lane = async (): Promise<void> => {
    const workers = new Workers(dir);
    for (let next = queue.next(); next.done !== true; next = queue.next()) await work(next.value, workers);
    await workers.close();
  };
  await Promise.all(Array.from({ length: Number(flags.jobs) }, lane));
}

/** A random choice that the seed repeats as long as the code is the same. */
function choose(mutants: readonly Mutant[], size: number, key: (mutant: Mutant) => string): Mutant[] {
  const ranked = mutants.map((mutant) => ({ mutant, rank: fingerprint(`${flags.seed} ${key(mutant)}`) }));
  const chosen = ranked.sort((a, b) => (a.rank < b.rank ? -1 : 1)).slice(0, size);
  return chosen.map(({ mutant }) => mutant).sort((a, b) => Number(a.id) - Number(b.id));
}

async function testFiles(module: Module): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for (const pattern of module.tests) {
    let count = 0;
    for await (const file of glob(pattern, { cwd: ROOT })) {
      found.set(file, fingerprint(await readFile(join(ROOT, file), 'utf8')));
      count++;
    }
    if (count === 0) throw new Error(`test/mutants/modules.ts names ${pattern}, and there is no such test.`);
  }
  return new Map([...found].sort());
}

/** @returns whether the module's share is large enough */
async function gate(module: Module): Promise<boolean> {
  const began = performance.now();
  await using sandbox = await makeSandbox(module.mutate);
  const source = (mutant: Mutant): string => identity(mutant, sandbox.sources.get(mutant.file) ?? '');
  const size = Number(flags.sample ?? module.sample ?? Infinity);
  const mutants = choose(sandbox.mutants, size, source).filter(({ file }) => file.endsWith(flags.file));
  console.log(`${module.name}: ${mutants.length} of ${sandbox.mutants.length} mutants`);

  const tests = await testFiles(module);
  const allTests = fingerprint([...tests].join());
  const earlier = flags.fresh ? new Map<string, Result>() : await loadResults(module.name);
  const results = new Map(earlier);
  const open: Mutant[] = [];
  const accepts = typeChecker(sandbox.sources);
  for (const mutant of mutants) {
    const known = earlier.get(source(mutant));
    if (known?.status === 'refused') continue;
    const asBefore = known?.tests !== undefined && known.tests === (known.by ? tests.get(known.by) : allTests);
    if (asBefore) continue;
    const isAccepted = known !== undefined || accepts(mutant);
    if (isAccepted) open.push(mutant);
    if (known === undefined) results.set(source(mutant), { status: isAccepted ? 'unreached' : 'refused' });
  }
  await saveResults(module.name, results);

  const coverage = new Map<string, FileCoverage>();
  if (open.length > 0) {
    const kept = await loadCoverage(module.name, sandbox.sources);
    await inParallel(sandbox.dir, tests, async ([file, hash], workers) => {
      const earlier = kept.files[file];
      const measured = earlier?.tests === hash ? earlier.coverage : await workers.measure(file);
      kept.files[file] = { tests: hash, coverage: measured };
      coverage.set(file, measured);
    });
    await saveCoverage(module.name, kept);
    console.log(`${open.length} to be tried; ${seconds(began)} s so far`);
  }
  let done = 0;
  await inParallel(sandbox.dir, open, async (mutant, workers) => {
    results.set(source(mutant), await check(mutant, earlier.get(source(mutant))?.by, workers));
    if (++done % 25 !== 0) return;
    await saveResults(module.name, results);
    console.log(`${done} tried, ${seconds(began)} s`);
  });
  await saveResults(module.name, results);

  async function check(mutant: Mutant, likely: string | undefined, workers: Workers): Promise<Result> {
    const reaching = candidates(mutant.id, coverage, module.mostMs);
    if (reaching.length === 0) return { status: 'unreached', tests: allTests };
    reaching.sort((a, b) => Number(b.file === likely) - Number(a.file === likely));
    for (const candidate of reaching) {
      if (!(await workers.kills(mutant.id, candidate))) continue;
      const hash = tests.get(candidate.file);
      return { status: 'killed', by: candidate.file, ...(hash !== undefined && { tests: hash }) };
    }
    return { status: 'survived', tests: allTests };
  }
  return report(
    module,
    mutants.map((mutant) => ({ mutant, status: results.get(source(mutant))?.status ?? 'unreached' })),
    began,
  );
}

function report(
  module: Module,
  tried: readonly { mutant: Mutant; status: Result['status'] }[],
  began: number,
): boolean {
  const equivalentTo = (mutant: Mutant) => EQUIVALENT_MUTANTS.find((row) => matches(row, mutant));
  const alive = tried.filter(({ status }) => status === 'survived' || status === 'unreached');
  const survivors = alive.filter(({ mutant }) => equivalentTo(mutant) === undefined);
  const killed = tried.filter(({ status }) => status === 'killed').length;
  const refused = tried.filter(({ status }) => status === 'refused').length;
  for (const { mutant, status } of survivors) {
    const { file, line, mutator, before, after } = mutant;
    console.log(`\n${file}:${line} ${mutator}${status === 'unreached' ? ', reached by no test' : ''}`);
    console.log(`- ${before}\n+ ${after}`);
  }
  const files = new Set(tried.map(({ mutant }) => mutant.file));
  const isSample = (flags.sample ?? module.sample) !== undefined;
  for (const row of EQUIVALENT_MUTANTS) {
    if (!files.has(row.file) || alive.some(({ mutant }) => matches(row, mutant)) || isSample) continue;
    console.log(
      `\nNo survivor is like this row of equivalent-mutants.ts:\n${row.file}\n- ${row.before}\n+ ${row.after}`,
    );
  }
  const counted = killed + survivors.length;
  const share = counted === 0 ? 100 : (100 * killed) / counted;
  console.log(
    `\n${module.name}: ${killed} of ${counted} killed, ${share.toFixed(1)}% (at least ${module.least}%); ` +
      `${alive.length - survivors.length} equivalent, ${refused} refused by the compiler; ${seconds(began)} s`,
  );
  return share >= module.least;
}

function matches(row: { file: string; before: string; after: string }, mutant: Mutant): boolean {
  return row.file === mutant.file && row.before === mutant.before && row.after === mutant.after;
}

function seconds(since: number): string {
  return ((performance.now() - since) / 1000).toFixed(0);
}

const byName = positionals.includes('named');
const modules = positionals.filter((name) => name !== 'named');
const wanted = MODULES.filter(({ name }) => positionals.length === 0 || modules.includes(name));
const unknown = modules.filter((name) => !MODULES.some((module) => module.name === name));
if (unknown.length > 0)
  throw new Error(`No module ${unknown.join(', ')}; there are ${MODULES.map((r) => r.name).join(', ')}.`);
for (const module of wanted) if (!(await gate(module))) process.exitCode = 1;
if (byName && !(await tryNamed(flags.file))) process.exitCode = 1;
