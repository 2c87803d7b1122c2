/** Makes the mutants that are known by name, one at a time, and runs the test of each: it must fail. */
import { spawnSync } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { NAMED_MUTANTS, type NamedMutant } from './named-mutants.ts';
import { makeSandbox } from './sandbox.ts';

/**
 * Tries those whose file, test or effect has the text.
 *
 * @param part - which; all of them where it is empty
 * @returns whether each one was seen by its test
 */
export async function tryNamed(part: string): Promise<boolean> {
  // No file is instrumented: one change is made at a time.
  await using sandbox = await makeSandbox('no such file');
  const chosen = NAMED_MUTANTS.filter((each) => [each.file, each.tests, each.effect].join(' ').includes(part));
  const unseen: NamedMutant[] = [];
  for (const mutant of chosen) {
    const path = join(sandbox.dir, mutant.file);
    const code = await readFile(path, 'utf8');
    if (!code.includes(mutant.code)) throw new Error(`${mutant.file} has this code no more: ${mutant.code}`);
    if (!passes(sandbox.dir, mutant)) throw new Error(`Without any change, this fails: ${mutant.test}`);
    await writeFile(
      path,
      code.replace(mutant.code, () => mutant.wrong),
    );
    const seen = !passes(sandbox.dir, mutant);
    await writeFile(path, code);
    if (!seen) unseen.push(mutant);
    console.log(`${seen ? 'killed  ' : 'SURVIVED'} ${mutant.effect}\n         by ${mutant.tests}: ${mutant.test}`);
  }
  console.log(`named: ${chosen.length - unseen.length} of ${chosen.length} killed`);
  return unseen.length === 0;
}

/** Whether the mutant's test passes, and was run at all. */
function passes(dir: string, { tests, test, postgres }: NamedMutant): boolean {
  const only = `--test-name-pattern=${test.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`)}`;
  const { status, stdout } = spawnSync(process.execPath, ['--test', '--test-reporter=tap', only, join(dir, tests)], {
    cwd: dir,
    encoding: 'utf8',
    timeout: 300_000,
    env: { ...process.env, ...(postgres === undefined ? {} : { PG2KINESIS_TEST_POSTGRES: postgres }) },
  });
  if (!stdout.includes(test)) throw new Error(`There is no test "${test}" in ${tests}:\n${stdout}`);
  return status === 0;
}
