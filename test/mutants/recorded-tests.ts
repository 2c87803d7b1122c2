/**
 * What a test file gets for `node:test` in a worker of the mutation gate: its tests are recorded, not run, so that the
 * worker can run some of them for one mutant after the other. Hooks of a suite run once: a server started there serves
 * all mutants.
 */

/** What a test is given. */
interface Context {
  readonly name: string;
  readonly fullName: string;
  readonly signal: AbortSignal;
  diagnostic(): void;
  skip(): void;
  after(hook: Hook): void;
}
type Body = (context: Context) => unknown;
type Hook = () => unknown;

/** A suite, or a whole file. */
interface Suite {
  readonly name: string;
  readonly parent: Suite | undefined;
  readonly before: Hook[];
  readonly after: Hook[];
  readonly beforeEach: Hook[];
  readonly afterEach: Hook[];
  begun?: Promise<void>;
}

/** A recorded test. */
interface RecordedTest {
  readonly name: string;
  readonly suite: Suite;
  readonly body: Body;
}

const suite = (name: string, parent?: Suite): Suite => {
  return { name, parent, before: [], after: [], beforeEach: [], afterEach: [] };
};
const root = suite('');
const suites: Suite[] = [root];
const tests = new Map<string, RecordedTest>();
let open = root;

const bodyOf = (rest: readonly unknown[]): Body | undefined =>
  rest.find((each): each is Body => typeof each === 'function');

/** Records a suite. */
export function describe(name: string, ...rest: unknown[]): void {
  const outer = open;
  open = suite(outer === root ? name : `${outer.name} > ${name}`, outer);
  suites.push(open);
  (bodyOf(rest) as Hook | undefined)?.();
  open = outer;
}

/** Records a test. */
export function it(name: string, ...rest: unknown[]): void {
  const options = rest.find((each): each is { skip?: unknown } => typeof each === 'object');
  const body = bodyOf(rest);
  const full = open === root ? name : `${open.name} > ${name}`;
  if (body && !options?.skip) tests.set(full, { name, suite: open, body });
}

export const before = (hook: Hook): unknown => open.before.push(hook);
export const after = (hook: Hook): unknown => open.after.push(hook);
export const beforeEach = (hook: Hook): unknown => open.beforeEach.push(hook);
export const afterEach = (hook: Hook): unknown => open.afterEach.push(hook);

/** @returns the names of all tests of the file */
export function recorded(): string[] {
  return [...tests.keys()];
}

function begin(of: Suite): Promise<void> {
  of.begun ??= (async () => {
    if (of.parent) await begin(of.parent);
    for (const hook of of.before) await hook();
  })();
  return of.begun;
}

/** Runs the hooks that come before a test, once each. */
export async function prepare(name: string): Promise<void> {
  const recordedTest = tests.get(name);
  if (recordedTest) await begin(recordedTest.suite);
}

/** Runs a test. @throws {unknown} what the test throws */
export async function perform(fullName: string): Promise<void> {
  const found = tests.get(fullName);
  if (found === undefined) throw new Error(`No test "${fullName}".`);
  const above: Suite[] = [];
  for (let each: Suite | undefined = found.suite; each; each = each.parent) above.unshift(each);
  const cleanups: Hook[] = [];
  const context: Context = {
    name: found.name,
    fullName,
    signal: new AbortController().signal,
    diagnostic: () => undefined,
    skip: () => undefined,
    after: (hook) => void cleanups.push(hook),
  };
  try {
    for (const each of above) for (const hook of each.beforeEach) await hook();
    await found.body(context);
  } finally {
    for (const hook of cleanups) await hook();
    for (const each of above.reverse()) for (const hook of each.afterEach) await hook();
  }
}

/** Runs the hooks that come after everything. */
export async function finish(): Promise<void> {
  for (const each of suites.reverse()) if (each.begun) for (const hook of each.after) await hook();
}
