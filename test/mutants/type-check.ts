/**
 * Which mutants the compiler refuses. These cannot reach anybody, so they are left out of the score.
 *
 * Only the mutated file is checked again: an error that shows in another file only counts as none.
 */
import { join } from 'node:path';
import ts from 'typescript';
import { type Mutant, mutated, ROOT } from './sandbox.ts';

/**
 * @param sources - the files that are mutated, unchanged
 * @returns a function that tells whether the compiler accepts a mutant
 */
export function typeChecker(sources: ReadonlyMap<string, string>): (mutant: Mutant) => boolean {
  const config = ts.readConfigFile(join(ROOT, 'tsconfig.json'), (path) => ts.sys.readFile(path));
  const { options } = ts.parseJsonConfigFileContent({ ...(config.config as object), include: [] }, ts.sys, ROOT);
  // The linter's business, and a mutant that removes a use is not wrong for that.
  Object.assign(options, { noUnusedLocals: false, noUnusedParameters: false });
  const changed = { path: '', text: '', version: 0 };
  const snapshots = new Map<string, ts.IScriptSnapshot>();
  const service = ts.createLanguageService({
    getCompilationSettings: () => options,
    getScriptFileNames: () => [...sources.keys()].map((file) => join(ROOT, file)),
    getScriptVersion: (path) => (path === changed.path ? `${changed.version}` : '0'),
    getScriptSnapshot: (path) => {
      if (path === changed.path) return ts.ScriptSnapshot.fromString(changed.text);
      const text = snapshots.get(path) ?? ts.ScriptSnapshot.fromString(ts.sys.readFile(path) ?? '');
      snapshots.set(path, text);
      return text;
    },
    getCurrentDirectory: () => ROOT,
    getDefaultLibFileName: (each) => ts.getDefaultLibFilePath(each),
    fileExists: (path) => ts.sys.fileExists(path),
    readFile: (path) => ts.sys.readFile(path),
    directoryExists: (path) => ts.sys.directoryExists(path),
    getDirectories: (path) => ts.sys.getDirectories(path),
    readDirectory: (path, ...rest) => ts.sys.readDirectory(path, ...rest),
  });
  return (mutant) => {
    changed.path = join(ROOT, mutant.file);
    changed.text = mutated(sources.get(mutant.file) ?? '', mutant);
    changed.version++;
    return (
      service.getSyntacticDiagnostics(changed.path).length === 0 &&
      service.getSemanticDiagnostics(changed.path).length === 0
    );
  };
}
