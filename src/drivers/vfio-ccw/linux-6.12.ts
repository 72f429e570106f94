// drivers/s390/cio/vfio_ccw_cp.c of Linux 6.12.117; that of 7.2.12 does the same. Its driver is that of 6.1.192.

import type { Errno } from '../../kernel/errno.ts';
import type { KernelStep } from '../../kernel/task.ts';
import { type Ccw, doesDataTransfer, isIdal } from './ccw.ts';
import { idawAt, idawCount, type PageArray } from './channel-program.ts';
import { ChannelProgram61 } from './linux-6.1.ts';
import { idalIs2k, type Orb } from './orb.ts';
import type { Vdev } from './vdev.ts';

/** Since 6.3: memory is read with dma_rw, and every format of IDAWs is understood. */
export class ChannelProgram612 extends ChannelProgram61 {
  protected override *copyFromIova(vdev: Vdev, iova: bigint, length: number): KernelStep<Errno | Uint8Array> {
    return yield* vdev.read(iova, length);
  }

  protected override understandsIdal(): boolean {
    return true;
  }

  /** ccwchain_fetch_ccw. */
  protected override *fetchCcw(vdev: Vdev, orb: Orb, ccw: Ccw, pa: PageArray): KernelStep<Errno | null> {
    const nr = yield* this.countIdaws(vdev, orb, ccw);
    if (typeof nr === 'string') return nr;
    const keys = yield* this.getGuestIdal(vdev, orb, ccw, nr);
    if (typeof keys === 'string') return keys;
    if (!doesDataTransfer(ccw)) return null;
    const pfns = yield* this.pin(vdev, keys);
    if (typeof pfns === 'string') return pfns;
    pa.keys = keys;
    return null;
  }

  /** ccw_count_idaws: the first IDAW tells where the data begins in its block. */
  private *countIdaws(vdev: Vdev, orb: Orb, ccw: Ccw): KernelStep<Errno | number> {
    let iova = BigInt(ccw.cda);
    if (isIdal(ccw)) {
      const first = yield* this.copyFromIova(vdev, iova, idawSize(orb));
      if (typeof first === 'string') return first;
      iova = idaw(orb, first, 0);
    }
    return idawCount(iova, ccw.count || 1, blockSize(orb));
  }

  /** get_guest_idal: a CCW that names its data itself gets a list as well, whose words begin at blocks (D2). */
  private *getGuestIdal(vdev: Vdev, orb: Orb, ccw: Ccw, nr: number): KernelStep<Errno | bigint[]> {
    if (isIdal(ccw)) {
      const list = yield* this.copyFromIova(vdev, BigInt(ccw.cda), nr * idawSize(orb));
      if (typeof list === 'string') return list;
      return Array.from({ length: nr }, (_, i) => idaw(orb, list, i));
    }
    const block = BigInt(blockSize(orb));
    const start = BigInt(ccw.cda);
    const bits = orb.c64 ? 64 : 32;
    return Array.from({ length: nr }, (_, i) =>
      i === 0 ? start : BigInt.asUintN(bits, (start / block + BigInt(i)) * block),
    );
  }

  /** Blocks of 2 KiB cannot be told by page, so each is a call of its own: one page is two keys. */
  protected override runsOf(keys: readonly bigint[]): { iova: bigint; npage: number }[] {
    if (this.orb && idalIs2k(this.orb)) return keys.map((iova) => ({ iova, npage: 1 }));
    return super.runsOf(keys);
  }
}

function idawSize({ c64 }: Orb): number {
  return c64 ? 8 : 4;
}

function blockSize(orb: Orb): number {
  return idalIs2k(orb) ? 2048 : 4096;
}

/** An IDAW of the ORB's format. */
function idaw({ c64 }: Orb, list: Uint8Array, index: number): bigint {
  if (c64) return idawAt(list, index);
  return BigInt(new DataView(list.buffer, list.byteOffset).getUint32(index * 4));
}
