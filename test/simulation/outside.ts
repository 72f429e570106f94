import type { CallObject } from '../../schemas/calls.ts';
import type { Random } from './random.ts';

/** Devices whose drivers live outside, in c0 and c1. */
const DEVICES = ['w0', 'w1', 'm0'];

function driver(random: Random, device: string): object {
  const openClose = { openDevice: random.chance(0.3), closeDevice: random.chance(0.3) };
  if (device === 'm0') return { type: 'manual', ...openClose };
  return {
    type: 'webhook',
    url: `http://127.0.0.1:9/${device}`,
    timeoutMs: random.pick([1, 50, 2000, 60_000]),
    ...openClose,
  };
}

/** Calls that put them there. */
export function outsideSetup(random: Random): CallObject[] {
  const calls = DEVICES.flatMap((device): CallObject[] => [
    { call: 'create-device', device, driver: driver(random, device) },
    { call: 'open-group', device },
    { call: 'set-container', device, container: random.pick(['c0', 'c0', 'c1']) },
    { call: 'open-device', device },
  ]);
  for (let at = 0; at < 12; at += 4) {
    const [iova, size] = [at * 4096, (2 + random.upTo(2)) * 4096];
    calls.push({ call: 'map-dma', container: 'c0', iova, vaddr: iova, size, flags: 3 });
  }
  return calls;
}

const page = (random: Random, max: number) => random.upTo(max) * 4096;

/** Some call of theirs, or on what they have pinned; `by`: made by this device's driver. */
export function outsideCall(random: Random, by?: string): CallObject {
  const device = by ?? random.pick(DEVICES);
  const container = random.pick(['c0', 'c0', 'c1']);
  const iova = page(random, 12);
  const size = (1 + random.upTo(4)) * 4096;
  switch (
    random.weighted({
      map: 8,
      unmap: 10,
      all: 1,
      pin: 12,
      unpin: 4,
      rw: 2,
      open: 3,
      close: 2,
      done: 5,
      fault: 4,
      noFault: 1,
      params: 1,
      set: 1,
      attach: 1,
      detach: 1,
      remove: 1,
    })
  ) {
    case 'map':
      return { call: 'map-dma', container, iova, vaddr: page(random, 12), size, flags: 3 };
    case 'unmap':
      return { call: 'unmap-dma', container, iova, size };
    case 'all':
      return { call: 'unmap-dma', container, iova: 0, size: 0, flags: 2 };
    case 'pin':
      return { call: 'pin-pages', device, iova, npage: 1 + random.upTo(3), prot: 3 };
    case 'unpin':
      return { call: 'unpin-pages', device, iova, npage: 1 + random.upTo(1) };
    case 'rw':
      return { call: 'dma-rw', device, iova, write: false, length: 100 };
    case 'open':
      return { call: 'open-device', device };
    case 'close':
      return { call: 'close-device', device };
    case 'done':
      return { call: 'complete-callback', device };
    case 'fault':
      return {
        call: 'add-fault',
        on: random.pick(['map-dma', 'unmap-dma', 'pin-pages', 'open-device', 'close-device']),
        every: 1 + random.upTo(4),
        ...(random.chance(0.8) ? { delayMs: 1 + random.upTo(4000) } : { errno: 'EIO' }),
      };
    case 'noFault':
      return { call: 'remove-fault', fault: `f${random.upTo(2)}` };
    case 'params':
      return {
        call: 'set-parameters',
        ...(random.chance(0.3)
          ? { panicOnWarn: random.chance(0.2) }
          : { dmaEntryLimit: random.pick([2, 5, 65535]) }),
      };
    case 'set':
      return { call: 'set-driver', device, driver: driver(random, device) };
    case 'attach':
      return { call: 'attach', container, device };
    case 'detach':
      return { call: 'detach', container, device };
    default:
      return { call: 'remove-device', device };
  }
}
