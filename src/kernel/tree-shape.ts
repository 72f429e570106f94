import { NIL, type TreeShape } from './rb-links.ts';

/** A node's place in a tree whose nodes are listed in order. */
export interface Place {
  /** Links to the root. */
  readonly depth: number;
  readonly red: boolean;
}

/** Why a list of places is no tree: a path below the list, and the rule that the value there breaks. */
export class WrongShape extends Error {
  constructor(
    readonly field: string,
    readonly rule: string,
  ) {
    super(`${field} ${rule}`);
  }
}

/** Nodes that are looked at in one go. */
const AT_ONCE = 1024;

/**
 * The tree of nodes that are listed in order: node i gets slot i + 1. In order and with their depths there is one
 * tree at most, and this is it, with every red-black rule checked.
 *
 * It stops now and then.
 *
 * @throws WrongShape where there is none
 */
export function* treeSteps(places: readonly Place[]): Generator<void, TreeShape> {
  const count = places.length;
  const left = new Int32Array(count + 1);
  const right = new Int32Array(count + 1);
  const red = new Uint8Array(count + 1);
  const depth = (slot: number) => places[slot - 1]!.depth;
  /** Slots from the root down along the right: each is less deep than the next. */
  const spine: number[] = [];
  for (let slot = 1; slot <= count; slot++) {
    red[slot] = places[slot - 1]!.red ? 1 : 0;
    let below: number = NIL;
    while (spine.length > 0 && depth(spine.at(-1)!) > depth(slot)) below = spine.pop()!;
    const up = spine.at(-1);
    if (up !== undefined && depth(up) === depth(slot)) {
      throw new WrongShape(`${slot - 1}/depth`, `is ${depth(slot)} twice with nothing above between`);
    }
    left[slot] = below;
    if (up !== undefined) right[up] = slot;
    spine.push(slot);
    if (slot % AT_ONCE === 0) yield;
  }
  const root = spine[0] ?? NIL;
  const shape = { root, left, right, red };
  if (root !== NIL) yield* checkRules(shape, places);
  return shape;
}

/** Depths go up by one, the root is black, no red below red, as many blacks on every way down. */
function* checkRules({ root, left, right, red }: TreeShape, places: readonly Place[]): Generator<void, void> {
  if (red[root]) throw new WrongShape(`${root - 1}/red`, 'is true, but this is the root of the tree');
  const mustBe = (slot: number, expected: number) => {
    const { depth } = places[slot - 1]!;
    if (depth === expected) return;
    throw new WrongShape(`${slot - 1}/depth`, `is ${depth}, but by its neighbours must be ${expected}`);
  };
  mustBe(root, 0);
  /** Black nodes on the ways down from each node that has been left, itself among them. */
  const blacks = new Uint8Array(left.length).fill(1);
  /** Nodes still to be entered; and, negative, to be left: when all below them have been. */
  const ahead = [root];
  for (let looked = 1; ahead.length > 0; looked++) {
    const next = ahead.pop()!;
    const slot = Math.abs(next);
    const l = left[slot]!;
    const r = right[slot]!;
    if (next < 0) {
      if (blacks[l] !== blacks[r]) {
        throw new WrongShape(`${slot - 1}`, 'must have as many black nodes below it on every way down');
      }
      blacks[slot] = blacks[l]! + (red[slot] ? 0 : 1);
    } else {
      if (red[slot] && (red[l] || red[r])) {
        throw new WrongShape(`${slot - 1}/red`, 'is true, but a red node must have black ones below it');
      }
      ahead.push(-slot);
      for (const child of [r, l]) {
        if (child === NIL) continue;
        mustBe(child, places[slot - 1]!.depth + 1);
        ahead.push(child);
      }
    }
    if (looked % AT_ONCE === 0) yield;
  }
}
