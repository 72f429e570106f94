import { type Kept, keep } from './kept.ts';

/** Whether an object is one whose inside cannot be looked at: the rest of a call on its way. */
function isOpaque(object: object): boolean {
  return (object as { [Symbol.toStringTag]?: string })[Symbol.toStringTag] === 'Generator';
}

/** Everything that can be reached from these objects, them included. */
export function reachableFrom(roots: readonly object[]): Set<object> {
  const seen = new Set(roots);
  for (const object of seen) {
    for (const child of keep(object).children) {
      if (typeof child === 'object' && child !== null && !isOpaque(child)) seen.add(child);
    }
  }
  return seen;
}

/**
 * Everything that can be reached from an object as it is now, so that it can be made so again: the same objects with
 * the values they had. What was made since is not reached any more then. A call on its way (a generator) can be kept
 * only as long as it does not go on.
 */
export class Memento {
  private readonly kept: Kept[] = [];

  /** @param outside what never changes, and is not looked into */
  constructor(root: object, outside: ReadonlySet<object>) {
    const seen = new Set<object>([root]);
    for (const object of seen) {
      const kept = keep(object);
      this.kept.push(kept);
      for (const child of kept.children) {
        if (typeof child !== 'object' || child === null || outside.has(child) || isOpaque(child)) continue;
        seen.add(child);
      }
    }
  }

  /** Objects in it. */
  get size(): number {
    return this.kept.length;
  }

  /** Whether nothing has changed since. */
  isSame(): boolean {
    const { kept } = this;
    for (let i = 0; i < kept.length; i++) if (!kept[i]!.isSame()) return false;
    return true;
  }

  /** Makes everything as it was. */
  restore(): void {
    const { kept } = this;
    for (let i = 0; i < kept.length; i++) kept[i]!.restore();
  }
}
