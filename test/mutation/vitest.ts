import {
  ChaiStyleAssertions,
  chai,
  GLOBAL_EXPECT,
  JestAsymmetricMatchers,
  JestChaiExpect,
  JestExtend,
} from '@vitest/expect';
import { restoreAllMocks, spyOn } from '@vitest/spy';

import type { ExpectStatic } from 'vitest';

/** A test that was registered. */
export interface Registered {
  id: string;
  file: string;
  run: () => unknown;
}

type Body = (...args: unknown[]) => unknown;
type Hook = () => unknown;

/** Hooks of a file or of a `describe`, which is in another. */
interface Scope {
  readonly outer: Scope | null;
  readonly before: Hook[];
  readonly after: Hook[];
}

/** Every test, in the order in which the files have them. */
export const registered: Registered[] = [];

const ids = new Set<string>();
let file = '';
let scope: Scope = { outer: null, before: [], after: [] };

/** What follows are the tests of this file. */
export function inFile(path: string): void {
  file = path;
  scope = { outer: null, before: [], after: [] };
}

/** Registers a test under a name of its own. */
export function register(path: string, name: string, run: () => unknown): void {
  let id = `${path}: ${name}`;
  for (let again = 2; ids.has(id); again++) id = `${path}: ${name} (${again})`;
  ids.add(id);
  registered.push({ id, file: path, run });
}

function addTest(name: string, ...rest: unknown[]): void {
  const body = rest.find((each) => typeof each === 'function') as Body;
  const own = scope;
  register(file, name, () => {
    const hooks = (which: 'before' | 'after', of: Scope | null): Hook[] =>
      of ? [...hooks(which, of.outer), ...of[which]] : [];
    const steps = [...hooks('before', own), body as Hook, ...hooks('after', own)];
    return inTurn(steps);
  });
}

/** Runs one after the other, waiting only for what is to be waited for. */
function inTurn([first, ...rest]: Hook[]): unknown {
  if (!first) return undefined;
  const result = first();
  return result instanceof Promise ? result.then(() => inTurn(rest)) : inTurn(rest);
}

function addGroup(_name: string, ...rest: unknown[]): void {
  const body = rest.find((each) => typeof each === 'function') as Body;
  const outer = scope;
  scope = { outer, before: [], after: [] };
  body();
  scope = outer;
}

type Add = (name: string, ...rest: unknown[]) => void;

/** `each` spreads lists, `for` does not. */
function withCases(add: Add) {
  const over =
    (cases: readonly unknown[], spread: boolean) =>
    (name: string, ...rest: unknown[]) => {
      const at = rest.findIndex((each) => typeof each === 'function');
      for (const [i, one] of cases.entries()) {
        const args = spread && Array.isArray(one) ? one : [one];
        add(`${name} [${i}]`, ...rest.with(at, () => (rest[at] as Body)(...args)));
      }
    };
  return Object.assign(add, {
    each: (cases: readonly unknown[]) => over(cases, true),
    for: (cases: readonly unknown[]) => over(cases, false),
    skipIf: (isSkipped: boolean) => (isSkipped ? () => {} : add),
    runIf: (isRun: boolean) => (isRun ? add : () => {}),
  });
}

export const test = withCases(addTest);
export const describe = withCases(addGroup);

export function beforeEach(hook: Hook): void {
  scope.before.push(hook);
}

export function afterEach(hook: Hook): void {
  scope.after.push(hook);
}

export const vi = { spyOn, restoreAllMocks };

/** Every test is run by itself: what is once for all of them is once for each. */
export const beforeAll = beforeEach;
export const afterAll = afterEach;

chai.use(JestExtend);
chai.use(JestChaiExpect);
chai.use(JestAsymmetricMatchers);
chai.use(ChaiStyleAssertions);

export const expect = ((value: unknown, message?: string) =>
  chai.expect(value, message)) as unknown as ExpectStatic;
Object.assign(expect, chai.expect);
Object.assign(globalThis, { [GLOBAL_EXPECT]: expect });
