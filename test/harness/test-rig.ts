import { type CallName, type CallObject, callEntry } from '../../schemas/calls.ts';

/** Arguments of a call; its container is c0 unless it is named. */
export type Args = Readonly<Record<string, unknown>>;

/** Where a device goes: into which container; `type` sets the container's IOMMU on the way. */
interface Place {
  container?: string;
  type?: string | undefined;
}

/**
 * What tests make calls with, in process (CoreRig: every answer at once) or over HTTP (HttpRig: promises). `R` is what
 * an answer comes as, `B` the body of one that must be a success.
 */
export abstract class TestRig<R, B> {
  /** What a call is answered, whatever that is. */
  abstract ask(call: CallObject): R;

  /** Makes calls one after the other, each of which must succeed; the body of the last one. */
  abstract inTurn(calls: readonly CallObject[]): B;

  /** What a call is answered, whatever that is. */
  reply(call: string, args: Args = {}): R {
    return this.ask(named(call, args));
  }

  /** The answer of a call that must succeed. */
  do(call: string, args: Args = {}): B {
    return this.inTurn([named(call, args)]);
  }

  /** Maps [iova, iova+size) read-write, by default onto memory at the same address. */
  map(iova: number | string, size: number | string, more: Args = {}): B {
    return this.do('map-dma', mapArgs(iova, size, more));
  }

  /** The same where it may be refused. */
  tryMap(iova: number | string, size: number | string, more: Args = {}): R {
    return this.reply('map-dma', mapArgs(iova, size, more));
  }

  /** What an unmap of [iova, iova+size) is answered. */
  unmap(iova: number | string, size: number | string): R {
    return this.reply('unmap-dma', { iova, size });
  }

  /** Pins pages for a device, read-write. */
  pin(iova: number | string, device = 'd0', npage = 1): B {
    return this.do('pin-pages', pinArgs(iova, device, npage));
  }

  /** The same where it may be refused. */
  tryPin(iova: number | string, device = 'd0', npage = 1): R {
    return this.reply('pin-pages', pinArgs(iova, device, npage));
  }

  /** A new mdev with its group in a container; its device stays closed. */
  create(device: string, driver: object, place: Place = {}): B {
    return this.inTurn(creation(device, driver, place));
  }

  /** A new mdev, open in a container. */
  attach(device: string, driver: object, place: Place = {}): B {
    return this.inTurn([...creation(device, driver, place), { call: 'open-device', device }]);
  }

  /** Container c0 with the open mdev d0, driven as said. */
  container(driver: object, type = 'type1v2'): B {
    return this.inTurn(opened(driver, type));
  }

  /** The same with 16 pages mapped at 0x10000, of which d0 has pinned the first. */
  pinned(driver: object): B {
    return this.inTurn([
      ...opened(driver, 'type1v2'),
      named('map-dma', mapArgs('0x10000', '0x10000', { vaddr: '0x200000' })),
      { call: 'pin-pages', device: 'd0', iova: '0x10000', npage: 1, prot: ['read'] },
    ]);
  }
}

/** A synthetic driver that answers callbacks so. */
export function synthetic(onDmaUnmap: string, more: object = {}): object {
  return { type: 'synthetic', onDmaUnmap, ...more };
}

/** A call as an object. */
export function named(call: string, args: Args): CallObject {
  const needsContainer = callEntry(call as CallName)?.on === 'container' && args.container === undefined;
  return { call, ...(needsContainer ? { container: 'c0' } : {}), ...args };
}

function mapArgs(iova: number | string, size: number | string, more: Args): Args {
  return { iova, vaddr: iova, size, flags: ['read', 'write'], ...more };
}

function pinArgs(iova: number | string, device: string, npage: number): Args {
  return { device, iova, npage, prot: ['read', 'write'] };
}

function creation(device: string, driver: object, { container = 'c0', type }: Place): CallObject[] {
  return [
    { call: 'create-device', device, driver },
    { call: 'open-group', device },
    { call: 'set-container', device, container },
    ...(type === undefined ? [] : [{ call: 'set-iommu', container, type }]),
  ];
}

function opened(driver: object, type: string): CallObject[] {
  return [
    { call: 'open-container', container: 'c0' },
    ...creation('d0', driver, { type }),
    { call: 'open-device', device: 'd0' },
  ];
}
