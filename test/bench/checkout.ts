/**
 * Another version of the function to measure against: a checkout that is there, or a commit, of which one is made for as long
 * as it is needed, with this one's dependencies.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** A checkout of another version. */
export interface Checkout {
  /** Its folder. */
  readonly path: string;
  /** Removes what was made. */
  dispose(): void;
}

/**
 * @param version - a folder, or what git calls a commit
 * @throws {Error} where it is neither
 */
export function checkoutOf(version: string): Checkout {
  if (existsSync(version)) return { path: resolve(version), dispose: () => undefined };
  const git = (...args: string[]): unknown =>
    execFileSync('git', args, { cwd: ROOT, stdio: ['ignore', 'ignore', 'pipe'] });
  const folder = mkdtempSync(join(tmpdir(), 'pg2kinesis-bench-'));
  const path = join(folder, 'checkout');
  const dispose = (): void => {
    rmSync(folder, { recursive: true, force: true });
    git('worktree', 'prune');
  };
  try {
    git('worktree', 'add', '--detach', path, version);
    symlinkSync(join(ROOT, 'node_modules'), join(path, 'node_modules'));
  } catch (error) {
    dispose();
    throw error;
  }
  return { path, dispose };
}
