import { line, mapLines, pinLines, setupLines } from './lines.ts';
import type { Target } from './target.ts';

/** As many mappings as dma_entry_limit lets a container have. */
export const MAPPINGS = 65_535;
export const NDJSON = 'application/x-ndjson';
export const maps = mapLines(MAPPINGS);
const pins = pinLines(MAPPINGS);

export const ndjson = (lines: readonly string[]) => `${lines.join('\n')}\n`;
export const reset = (service: Target) => service.request('POST', '/v1/reset', {});

/** A container with a device in it. */
export async function ready(service: Target): Promise<void> {
  await reset(service);
  await service.calls(setupLines());
}

const snapshots = new Map<string, string>();

/** A rig as some calls make it: made once, and restored from then on. */
async function restored(service: Target, name: string, calls: readonly string[]): Promise<void> {
  const known = snapshots.get(name);
  if (known !== undefined) return void (await service.request('PUT', '/v1/snapshot', known));
  await reset(service);
  await service.calls(calls);
  snapshots.set(name, await service.request('GET', '/v1/snapshot'));
}

/** As many mappings as there may be, each of them pinned. */
export const full = (service: Target) => restored(service, 'full', [...setupLines(), ...maps, ...pins]);

/** The snapshot of that. */
export async function fullSnapshot(service: Target): Promise<string> {
  await full(service);
  return snapshots.get('full')!;
}

const PINS = 20_000;

/** A device that left its pins behind, whose container warns of each of them when it goes. */
export const leaked = (service: Target) =>
  restored(service, 'leaked', [
    ...setupLines({ type: 'synthetic', onDmaUnmap: 'ignore' }),
    ...maps.slice(0, PINS),
    ...pins.slice(0, PINS),
    line('close-device', { device: 'd0' }),
  ]);

const MILLION = [
  ...setupLines(),
  line('map-dma', { container: 'c0', iova: '0x0', vaddr: '0x0', size: '0x100000000', flags: 3 }),
  ...Array.from({ length: 2048 }, (_, i) =>
    line('pin-pages', { device: 'd0', iova: `0x${(i * 512 * 4096).toString(16)}`, npage: 512, prot: 3 }),
  ),
];

/** One mapping of a million pages, pinned: a snapshot of it would be too large. */
export async function pinnedMillion(service: Target): Promise<void> {
  await reset(service);
  await service.calls(MILLION);
}
