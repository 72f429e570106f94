/** A node of ClrsTree. The sentinel is its own child and parent. */
export interface ClrsNode<K> {
  key: K;
  red: boolean;
  left: ClrsNode<K>;
  right: ClrsNode<K>;
  up: ClrsNode<K>;
}

/**
 * The red-black tree of Cormen, Leiserson, Rivest and Stein, "Introduction to Algorithms", 3rd edition, chapter
 * 13, as printed there (with pointers and a sentinel): what the links in typed arrays are held against.
 */
export class ClrsTree<K> {
  private readonly nil: ClrsNode<K>;
  private root: ClrsNode<K>;

  /** `goesLeft` says whether a new key belongs left of one that is there. */
  constructor(private readonly goesLeft: (key: K, there: K) => boolean) {
    const nil = { red: false } as ClrsNode<K>;
    nil.left = nil;
    nil.right = nil;
    nil.up = nil;
    this.nil = nil;
    this.root = nil;
  }

  /** A node's key with the shapes of its subtrees, `key(left)(right)`; empty for an empty tree. */
  shape(node: ClrsNode<K> = this.root): string {
    return node === this.nil ? '' : `${node.key}(${this.shape(node.left)})(${this.shape(node.right)})`;
  }

  /** RB-INSERT. */
  insert(key: K): ClrsNode<K> {
    const { nil } = this;
    const z: ClrsNode<K> = { key, red: true, left: nil, right: nil, up: nil };
    let y = nil;
    let x = this.root;
    while (x !== nil) {
      y = x;
      x = this.goesLeft(key, x.key) ? x.left : x.right;
    }
    z.up = y;
    if (y === nil) this.root = z;
    else if (this.goesLeft(key, y.key)) y.left = z;
    else y.right = z;
    this.insertFixup(z);
    return z;
  }

  /** The two mirror images of the book's procedures are one here: `near` is the side, `far` the other. */
  private insertFixup(z: ClrsNode<K>): void {
    while (z.up.red) {
      const near = z.up === z.up.up.left ? 'left' : 'right';
      const far = near === 'left' ? 'right' : 'left';
      const y = z.up.up[far];
      if (y.red) {
        z.up.red = false;
        y.red = false;
        z.up.up.red = true;
        z = z.up.up;
      } else {
        if (z === z.up[far]) {
          z = z.up;
          this.rotate(z, near);
        }
        z.up.red = false;
        z.up.up.red = true;
        this.rotate(z.up.up, far);
      }
    }
    this.root.red = false;
  }

  /** LEFT-ROTATE with `near` = left, RIGHT-ROTATE with right. */
  private rotate(x: ClrsNode<K>, near: 'left' | 'right'): void {
    const far = near === 'left' ? 'right' : 'left';
    const y = x[far];
    x[far] = y[near];
    if (y[near] !== this.nil) y[near].up = x;
    this.replace(x, y);
    y[near] = x;
    x.up = y;
  }

  /** RB-TRANSPLANT: puts v where u hangs. */
  private replace(u: ClrsNode<K>, v: ClrsNode<K>): void {
    if (u.up === this.nil) this.root = v;
    else if (u === u.up.left) u.up.left = v;
    else u.up.right = v;
    v.up = u.up;
  }

  /** RB-DELETE. */
  delete(z: ClrsNode<K>): void {
    const { nil } = this;
    let y = z;
    let yWasRed = y.red;
    let x: ClrsNode<K>;
    if (z.left === nil) {
      x = z.right;
      this.replace(z, z.right);
    } else if (z.right === nil) {
      x = z.left;
      this.replace(z, z.left);
    } else {
      y = z.right;
      while (y.left !== nil) y = y.left;
      yWasRed = y.red;
      x = y.right;
      if (y.up === z) {
        x.up = y;
      } else {
        this.replace(y, y.right);
        y.right = z.right;
        y.right.up = y;
      }
      this.replace(z, y);
      y.left = z.left;
      y.left.up = y;
      y.red = z.red;
    }
    if (!yWasRed) this.deleteFixup(x);
  }

  private deleteFixup(x: ClrsNode<K>): void {
    while (x !== this.root && !x.red) {
      const near = x === x.up.left ? 'left' : 'right';
      const far = near === 'left' ? 'right' : 'left';
      let w = x.up[far];
      if (w.red) {
        w.red = false;
        x.up.red = true;
        this.rotate(x.up, near);
        w = x.up[far];
      }
      if (!w[near].red && !w[far].red) {
        w.red = true;
        x = x.up;
      } else {
        if (!w[far].red) {
          w[near].red = false;
          w.red = true;
          this.rotate(w, far);
          w = x.up[far];
        }
        w.red = x.up.red;
        x.up.red = false;
        w[far].red = false;
        this.rotate(x.up, near);
        x = this.root;
      }
    }
    x.red = false;
  }
}
