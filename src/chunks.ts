/** Bytes from which on a piece is kept as it came. A smaller one keeps more memory than it holds: what it was cut from. */
const LARGE = 16 * 1024;

/** Bytes of what small pieces are copied into. */
const BLOCK = 64 * 1024;

/** Bytes that come in pieces. However small the pieces are, what is kept takes about as much memory as it has bytes. */
export class Chunks {
  private pieces: Buffer[] = [];
  /** What small pieces are being copied into. */
  private block: Buffer | null = null;
  private filled = 0;
  private bytes = 0;

  get length(): number {
    return this.bytes;
  }

  add(piece: Buffer): void {
    this.bytes += piece.length;
    const rest = this.fill(piece);
    if (rest.length === 0) return;
    // Most bodies come in one piece.
    if (rest.length >= LARGE || this.pieces.length === 0) this.pieces.push(rest);
    else {
      this.block = Buffer.allocUnsafeSlow(Math.min(this.bytes, BLOCK));
      this.fill(rest);
    }
  }

  /** Copies as much as there is room for; what is left. */
  private fill(piece: Buffer): Buffer {
    const { block } = this;
    if (!block) return piece;
    const copied = piece.copy(block, this.filled);
    this.filled += copied;
    if (this.filled === block.length) this.endBlock();
    return piece.subarray(copied);
  }

  private endBlock(): void {
    if (this.block) this.pieces.push(this.block.subarray(0, this.filled));
    this.block = null;
    this.filled = 0;
  }

  /** Gives away what has come. */
  take(): Buffer[] {
    this.endBlock();
    const { pieces } = this;
    this.pieces = [];
    return pieces;
  }

  /** Gives away what has come, in one piece. */
  takeWhole(): Buffer {
    const pieces = this.take();
    return pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces);
  }

  /** Gives away what has come, as the text it is. */
  takeText(): string {
    return this.takeWhole().toString('utf8');
  }
}
