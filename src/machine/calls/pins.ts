import type { pinCalls as entries } from '../../../schemas/calls/pins.ts';
import type { CallArgs } from '../../../schemas/calls.ts';
import { flagWord, PROT_FLAGS } from '../../../schemas/values.ts';
import { base64, MUCH } from '../../json/base64.ts';
import type { DmaAccess, PinResult, UnpinResult } from '../../kernel/driver.ts';
import type { Errno } from '../../kernel/errno.ts';
import { hexAddress, offsetInPage, pageOf, wrapPage } from '../../kernel/pages.ts';
import type { KernelStep, Task } from '../../kernel/task.ts';
import type { Device } from '../../kernel/vfio/device.ts';
import { vfioDmaRw } from '../../kernel/vfio/vfio-main.ts';
import {
  address,
  type CallBody,
  type CallHandlers,
  type CallResult,
  DirectCall,
  type KernelCall,
  LazyBody,
  NOTHING,
} from '../call-handler.ts';
import { Refused } from '../refused.ts';
import { dataOf, decoded } from './bytes.ts';

/** Calls that an mdev’s driver makes into VFIO. */
export const pinCalls: CallHandlers<keyof typeof entries> = {
  'pin-pages': (_machine, device, args) => {
    const iova = address(args.iova);
    const prot = flagWord(args.prot, PROT_FLAGS);
    return new PinPages(device, iova, args.npage, prot);
  },
  'unpin-pages': (_machine, device, args) => {
    const iova = address(args.iova);
    return new UnpinPages(device, iova, args.npage);
  },
  'dma-rw': (machine, device, args) => {
    const access = accessOf(args);
    if (!args.write && args.length! < MUCH) return new ReadFew(device, address(args.iova), args);
    return function* (task) {
      if (args.context === 'kthread') task.process = null;
      const result = yield* vfioDmaRw(task, device, address(args.iova), yield* access());
      if (typeof result === 'string') return result;
      return args.write ? {} : { data: yield* dataOf(result, machine.hashesBytes) };
    };
  },
};

/** vfio_dma_rw that reads few bytes. */
class ReadFew implements KernelCall<Errno | Uint8Array> {
  private readonly access: DmaAccess;
  private readonly isThread: boolean;

  constructor(
    private readonly device: Device,
    private readonly iova: bigint,
    { length, context }: CallArgs<'dma-rw'>,
  ) {
    this.access = { read: length! };
    this.isThread = context === 'kthread';
  }

  run(task: Task): KernelStep<Errno | Uint8Array> {
    if (this.isThread) task.process = null;
    return vfioDmaRw(task, this.device, this.iova, this.access);
  }

  answer(result: Errno | Uint8Array): CallResult {
    return typeof result === 'string' ? result : new DataBody(result);
  }
}

/** Bytes that were read. */
class DataBody extends LazyBody {
  constructor(private readonly bytes: Uint8Array) {
    super();
  }

  override fields(): CallBody {
    return { data: base64(this.bytes) };
  }

  override kept(): null {
    return null;
  }
}

/** The access a dma-rw asks for; which arguments go together no schema can say. */
function accessOf(args: CallArgs<'dma-rw'>): () => KernelStep<DmaAccess> {
  const { write, length, data, fill } = args;
  const wrong = (rule: string) => Refused.badRequest(`body of dma-rw: ${rule}`);
  if (!write) {
    if (data !== undefined || fill !== undefined) throw wrong('"data" and "fill" are for a write');
    if (length === undefined) throw wrong('a read needs "length"');
    return function* () {
      return { read: length };
    };
  }
  if (data !== undefined) {
    if (length !== undefined || fill !== undefined) throw wrong('"data" excludes "length" and "fill"');
    return function* () {
      return { write: yield* decoded(data) };
    };
  }
  if (fill === undefined || length === undefined)
    throw wrong('a write needs "data", or "fill" with "length"');
  return function* () {
    return { write: new Uint8Array(length).fill(fill) };
  };
}

/** vfio_pin_pages, made by the device's driver. */
class PinPages extends DirectCall<PinResult> {
  /** Of the first pin. */
  private key = 0n;
  private pfns: readonly number[] = [];

  constructor(
    private readonly device: Device,
    private readonly iova: bigint,
    private readonly npage: number,
    private readonly prot: number,
  ) {
    super();
  }

  override run(task: Task): KernelStep<PinResult> {
    const { driver } = this.device;
    const api = task.kernel.driverApi(task, this.device);
    this.key = api.keyOf(this.iova);
    return driver.pinPages
      ? driver.pinPages(api, this.iova, this.npage, this.prot)
      : api.pinPages(this.iova, this.npage, this.prot);
  }

  override answer(result: PinResult): CallResult {
    if (typeof result === 'string') return result;
    this.pfns = result;
    return this;
  }

  override kept(): null {
    return null;
  }

  override fields(): CallBody {
    const page = pageOf(this.key);
    const offset = offsetInPage(this.key);
    return {
      pinned: this.pfns.length,
      pages: this.pfns.map((pfn, i) => ({
        iova: hexAddress(wrapPage(page + i), offset),
        pfn: `0x${pfn.toString(16)}`,
      })),
    };
  }
}

/** vfio_unpin_pages, made by the device's driver. */
class UnpinPages extends DirectCall<UnpinResult> {
  private unpinned: number | null = null;

  constructor(
    private readonly device: Device,
    private readonly iova: bigint,
    private readonly npage: number,
  ) {
    super();
  }

  override run(task: Task): KernelStep<UnpinResult> {
    const { driver } = this.device;
    const api = task.kernel.driverApi(task, this.device);
    return driver.unpinPages
      ? driver.unpinPages(api, this.iova, this.npage)
      : api.unpinPages(this.iova, this.npage);
  }

  override answer(result: UnpinResult): CallResult {
    if (typeof result === 'string') return result;
    this.unpinned = result;
    return this;
  }

  override kept(): CallBody {
    return this.fields();
  }

  override fields(): CallBody {
    return this.unpinned === null ? NOTHING : { unpinned: this.unpinned };
  }
}
