/**
 * What earlier runs of the gate found, so that the next one tries only what changed. A mutant is known by its file's whole
 * text and its place in it; that it was killed holds as long as the test file that killed it is the same, that it
 * survived as long as all are.
 */
import { createHash } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Mutant, ROOT } from './sandbox.ts';
import type { FileCoverage } from './worker.ts';

/** What became of a mutant. `refused`: the compiler does not accept it. `unreached`: no test comes by. */
export type Status = 'killed' | 'survived' | 'unreached' | 'refused';

/** A mutant's end, and the test file that saw it. */
export interface Result {
  readonly status: Status;
  readonly by?: string;
  /** The hash of that test file; of all of them where the mutant was not killed. */
  readonly tests?: string;
}

const DIRECTORY = join(ROOT, 'node_modules/.cache/pg2kinesis-mutants');

/** @returns a short fingerprint of a text */
export function fingerprint(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 16);
}

/** @returns what names the mutant as long as its file does not change */
export function identity({ file, at, replacement }: Mutant, source: string): string {
  return `${file} ${fingerprint(source)} ${at.join('-')} ${fingerprint(replacement)}`;
}

/** @returns the results of earlier runs over a module */
export async function loadResults(module: string): Promise<Map<string, Result>> {
  try {
    const text = await readFile(join(DIRECTORY, `${module}.json`), 'utf8');
    return new Map(Object.entries(JSON.parse(text) as Record<string, Result>));
  } catch {
    return new Map();
  }
}

/** Keeps the results for the next run. */
export async function saveResults(module: string, results: ReadonlyMap<string, Result>): Promise<void> {
  await mkdir(DIRECTORY, { recursive: true });
  await writeFile(join(DIRECTORY, `${module}.json`), JSON.stringify(Object.fromEntries(results)));
}

/** What each test file reaches, as an earlier run measured it: holds as long as the module and the test file are the same. */
export interface KeptCoverage {
  /** The fingerprint of the whole module. */
  readonly sources: string;
  readonly files: Record<string, { readonly tests: string; readonly coverage: FileCoverage }>;
}

/** @returns what is kept of a module; nothing where it has changed */
export async function loadCoverage(module: string, sources: ReadonlyMap<string, string>): Promise<KeptCoverage> {
  const now = fingerprint([...sources].sort().join());
  try {
    const kept = JSON.parse(await readFile(join(DIRECTORY, `${module}-coverage.json`), 'utf8')) as KeptCoverage;
    if (kept.sources === now) return kept;
  } catch {
    // There is none.
  }
  return { sources: now, files: {} };
}

/** Keeps it for the next run. */
export async function saveCoverage(module: string, kept: KeptCoverage): Promise<void> {
  await mkdir(DIRECTORY, { recursive: true });
  await writeFile(join(DIRECTORY, `${module}-coverage.json`), JSON.stringify(kept));
}
