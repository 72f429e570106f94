/** Slot 0 is the sentinel NIL of every tree: always black, never linked in. */
export const NIL = 0;

const MIN_CAPACITY = 16;

/** A typed array that can be copied into a longer one of its own kind. */
type Column = Float64Array | Int32Array | Uint16Array | Uint8Array;

/** Copies `column` into a new array of `capacity` elements (the rest zero). */
export function growColumn<T extends Column>(column: T, capacity: number): T {
  const grown = new (column.constructor as new (length: number) => T)(capacity);
  grown.set(column);
  return grown;
}

/** The shape of a tree whose nodes are the slots 1 to n in order: each column has n + 1 elements. */
export interface TreeShape {
  readonly root: number;
  readonly left: Int32Array;
  readonly right: Int32Array;
  readonly red: Uint8Array;
}

/**
 * The links of red-black trees whose nodes are slots of a table: 13 bytes a node, in typed arrays.
 * Several trees may share one set of links (each pin tree of a container does); a tree is its root's slot.
 *
 * The fix-ups are textbook (CLRS, 3rd edition: RB-INSERT-FIXUP, RB-DELETE with the in-order successor),
 * because the shape of the kernel's mapping tree can be observed and this gives the
 * same shape. Tables extend this class with their own columns and keep their own keys.
 */
export class RbLinks {
  protected left: Int32Array = new Int32Array(MIN_CAPACITY);
  protected right: Int32Array = new Int32Array(MIN_CAPACITY);
  protected parent: Int32Array = new Int32Array(MIN_CAPACITY);
  private red: Uint8Array = new Uint8Array(MIN_CAPACITY);
  /** Head of the free list, threaded through `left`. */
  private free: number = NIL;
  protected used = 1;
  /** Number of slots in use. */
  count = 0;

  /** Number of slots there is room for before the columns grow. */
  get capacity(): number {
    return this.left.length;
  }

  /** Takes a slot; its links are clear. Other columns still hold what they last held. */
  protected allocate(): number {
    this.count++;
    const slot = this.free;
    if (slot !== NIL) {
      this.free = this.left[slot]!;
      this.left[slot] = NIL;
      return slot;
    }
    if (this.used === this.left.length) this.grow(Math.floor(this.left.length * 1.5));
    return this.used++;
  }

  /** Gives a slot back. It must not be linked into a tree any more. */
  protected release(slot: number): void {
    this.count--;
    if (this.count === 0) {
      // The last one left: forget the free list, so that the next fill is as compact as the first.
      this.releaseAll();
      return;
    }
    this.left[slot] = this.free;
    this.free = slot;
  }

  /** Gives every slot back. No tree is left. */
  protected releaseAll(): void {
    this.left.fill(NIL, 0, this.used);
    this.right.fill(NIL, 0, this.used);
    this.parent.fill(NIL, 0, this.used);
    this.free = NIL;
    this.used = 1;
    this.count = 0;
  }

  /** Makes room for `capacity` slots; a table with columns of its own grows those too. */
  protected grow(capacity: number): void {
    this.left = growColumn(this.left, capacity);
    this.right = growColumn(this.right, capacity);
    this.parent = growColumn(this.parent, capacity);
    this.red = growColumn(this.red, capacity);
  }

  /** rb_first: the lowest node of a tree, or NIL. */
  first(root: number): number {
    if (root === NIL) return NIL;
    let node = root;
    while (this.left[node] !== NIL) node = this.left[node]!;
    return node;
  }

  /** rb_next: the node after `node` in order, or NIL. */
  next(node: number): number {
    if (this.right[node] !== NIL) return this.first(this.right[node]!);
    let child = node;
    let up = this.parent[node]!;
    while (up !== NIL && child === this.right[up]) {
      child = up;
      up = this.parent[up]!;
    }
    return up;
  }

  /** Every node of the tree at `root`, lowest first. The current one may be removed while walking. */
  *nodesOf(root: number): Generator<number, void, void> {
    let node = this.first(root);
    while (node !== NIL) {
      const next = this.next(node);
      yield node;
      node = next;
    }
  }

  /** A node's children (NIL where there is none) and colour: for dumps. */
  nodeAt(slot: number): { left: number; right: number; red: boolean } {
    return { left: this.left[slot]!, right: this.right[slot]!, red: this.red[slot] === 1 };
  }

  isRed(node: number): boolean {
    return this.red[node] === 1;
  }

  /** Links between a node and the root of its tree. */
  depthOf(node: number): number {
    let depth = 0;
    for (let up = this.parent[node]!; up !== NIL; up = this.parent[up]!) depth++;
    return depth;
  }

  /** Links the slots 1 to n, the only ones that were ever allocated, as a shape that has been checked says. */
  protected adopt({ left, right, red }: TreeShape): void {
    for (let node = 1; node < left.length; node++) {
      const l = left[node]!;
      const r = right[node]!;
      this.left[node] = l;
      this.right[node] = r;
      if (l !== NIL) this.parent[l] = node;
      if (r !== NIL) this.parent[r] = node;
      this.red[node] = red[node]!;
    }
  }

  /** Hangs `node` below `parent` (on the left or right), restores the colours, and returns the root. */
  protected link(root: number, node: number, parent: number, onLeft: boolean): number {
    this.parent[node] = parent;
    this.left[node] = NIL;
    this.right[node] = NIL;
    this.red[node] = 1;
    if (parent === NIL) {
      this.red[node] = 0;
      return node;
    }
    if (onLeft) this.left[parent] = node;
    else this.right[parent] = node;
    return this.insertFixup(root, node);
  }

  protected rotateLeft(root: number, x: number): number {
    const y = this.right[x]!;
    this.right[x] = this.left[y]!;
    if (this.left[y] !== NIL) this.parent[this.left[y]!] = x;
    this.parent[y] = this.parent[x]!;
    const up = this.parent[x]!;
    if (up === NIL) root = y;
    else if (x === this.left[up]) this.left[up] = y;
    else this.right[up] = y;
    this.left[y] = x;
    this.parent[x] = y;
    return root;
  }

  protected rotateRight(root: number, x: number): number {
    const y = this.left[x]!;
    this.left[x] = this.right[y]!;
    if (this.right[y] !== NIL) this.parent[this.right[y]!] = x;
    this.parent[y] = this.parent[x]!;
    const up = this.parent[x]!;
    if (up === NIL) root = y;
    else if (x === this.right[up]) this.right[up] = y;
    else this.left[up] = y;
    this.right[y] = x;
    this.parent[x] = y;
    return root;
  }

  private insertFixup(root: number, z: number): number {
    const { left, right, parent, red } = this;
    while (red[parent[z]!]) {
      let up = parent[z]!;
      const grand = parent[up]!;
      if (up === left[grand]) {
        const uncle = right[grand]!;
        if (red[uncle]) {
          red[up] = 0;
          red[uncle] = 0;
          red[grand] = 1;
          z = grand;
          continue;
        }
        if (z === right[up]) {
          z = up;
          root = this.rotateLeft(root, z);
          up = parent[z]!;
        }
        red[up] = 0;
        red[grand] = 1;
        root = this.rotateRight(root, grand);
      } else {
        const uncle = left[grand]!;
        if (red[uncle]) {
          red[up] = 0;
          red[uncle] = 0;
          red[grand] = 1;
          z = grand;
          continue;
        }
        if (z === left[up]) {
          z = up;
          root = this.rotateRight(root, z);
          up = parent[z]!;
        }
        red[up] = 0;
        red[grand] = 1;
        root = this.rotateLeft(root, grand);
      }
    }
    red[root] = 0;
    return root;
  }

  /** Replaces the subtree at `u` with the one at `v` (CLRS RB-TRANSPLANT). `v` may be NIL. */
  private transplant(root: number, u: number, v: number): number {
    const up = this.parent[u]!;
    if (up === NIL) root = v;
    else if (u === this.left[up]) this.left[up] = v;
    else this.right[up] = v;
    this.parent[v] = up;
    return root;
  }

  /** Takes `z` out of the tree at `root` and returns the new root. The slot stays allocated. */
  protected unlink(root: number, z: number): number {
    const { left, right, parent, red } = this;
    let wasRed = red[z]!;
    let x: number;
    if (left[z] === NIL) {
      x = right[z]!;
      root = this.transplant(root, z, x);
    } else if (right[z] === NIL) {
      x = left[z]!;
      root = this.transplant(root, z, x);
    } else {
      const y = this.first(right[z]!);
      wasRed = red[y]!;
      x = right[y]!;
      if (parent[y] === z) {
        parent[x] = y;
      } else {
        root = this.transplant(root, y, x);
        right[y] = right[z]!;
        parent[right[y]!] = y;
      }
      root = this.transplant(root, z, y);
      left[y] = left[z]!;
      parent[left[y]!] = y;
      red[y] = red[z]!;
    }
    if (!wasRed) root = this.eraseFixup(root, x);
    parent[NIL] = NIL;
    left[z] = NIL;
    right[z] = NIL;
    parent[z] = NIL;
    return root;
  }

  private eraseFixup(root: number, x: number): number {
    const { left, right, parent, red } = this;
    while (x !== root && !red[x]) {
      const up = parent[x]!;
      if (x === left[up]) {
        let w = right[up]!;
        if (red[w]) {
          red[w] = 0;
          red[up] = 1;
          root = this.rotateLeft(root, up);
          w = right[up]!;
        }
        if (!red[left[w]!] && !red[right[w]!]) {
          red[w] = 1;
          x = up;
          continue;
        }
        if (!red[right[w]!]) {
          red[left[w]!] = 0;
          red[w] = 1;
          root = this.rotateRight(root, w);
          w = right[up]!;
        }
        red[w] = red[up]!;
        red[up] = 0;
        red[right[w]!] = 0;
        root = this.rotateLeft(root, up);
        x = root;
      } else {
        let w = left[up]!;
        if (red[w]) {
          red[w] = 0;
          red[up] = 1;
          root = this.rotateRight(root, up);
          w = left[up]!;
        }
        if (!red[right[w]!] && !red[left[w]!]) {
          red[w] = 1;
          x = up;
          continue;
        }
        if (!red[left[w]!]) {
          red[right[w]!] = 0;
          red[w] = 1;
          root = this.rotateLeft(root, w);
          w = left[up]!;
        }
        red[w] = red[up]!;
        red[up] = 0;
        red[left[w]!] = 0;
        root = this.rotateRight(root, up);
        x = root;
      }
    }
    red[x] = 0;
    return root;
  }
}
