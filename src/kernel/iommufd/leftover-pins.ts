import { NAMED_HOLDERS, NAMED_PINS } from '../../../schemas/kinds.ts';
import type { Kernel } from '../kernel.ts';
import { addressOf } from '../pages.ts';
import type { LeftoverPin } from '../splats.ts';
import type { Task } from '../task.ts';
import { accessesOf, keyOf } from './access-shadow.ts';
import type { Ioas } from './ioas.ts';

/** A pin as listings and log lines show it: the first of its pages, and how many. */
export function describeAccess(kernel: Kernel, ioas: Ioas, slot: number, access: number): LeftoverPin {
  const { accesses } = ioas;
  const { mm } = ioas.areas.pages(slot).owner;
  const { page, npage } = keyOf(ioas, slot, access);
  return {
    iova: addressOf(page),
    ...(npage === 1 ? {} : { npage }),
    pfn: mm.pfnOf(accesses.start[access]!),
    refCount: accesses.refCount[access]!,
    devices: accesses.holderList(access).map(({ device, count }) => ({
      device: kernel.deviceName(device),
      count,
    })),
  };
}

/** The pins that are left in a mapping: the first ones by name, all of them by number. */
export function leftoverPins(
  { kernel }: Task,
  ioas: Ioas,
  slot: number,
): { pins: LeftoverPin[]; pinCount: number } {
  const pins: LeftoverPin[] = [];
  let pinCount = 0;
  for (const access of accessesOf(ioas, slot)) {
    if (pinCount++ >= NAMED_PINS) continue;
    const shown = describeAccess(kernel, ioas, slot, access);
    pins.push({ ...shown, devices: shown.devices.slice(0, NAMED_HOLDERS) });
  }
  return { pins, pinCount };
}
