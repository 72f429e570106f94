import { NIL, type RbLinks } from '../../src/kernel/rb-links.ts';

/** Throws where the tree at `root` breaks a red-black rule, or where its links up do not fit those down. */
export function checkTree(links: RbLinks, root: number): void {
  const order: number[] = [];
  const walk = (node: number, depth: number, isBelowRed: boolean): number => {
    if (node === NIL) return 1;
    const { left, right, red } = links.nodeAt(node);
    if (red && isBelowRed) throw new Error(`slot ${node}: red below red, or a red root`);
    if (links.depthOf(node) !== depth) throw new Error(`slot ${node}: wrong links up`);
    const height = walk(left, depth + 1, red);
    order.push(node);
    if (height !== walk(right, depth + 1, red)) throw new Error(`slot ${node}: black heights differ`);
    return height + (red ? 0 : 1);
  };
  walk(root, 0, true);
  const found = [...links.nodesOf(root)];
  if (found.join() !== order.join()) throw new Error(`${found} are not in order: ${order}`);
}
