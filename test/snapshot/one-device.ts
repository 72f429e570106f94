import { expect } from 'vitest';
import type { CallObject } from '../../schemas/calls.ts';
import { newHost } from '../harness/host.ts';
import { make } from './restored.ts';

/** The snapshot of a device d0 that is open in container c0, with a mapping, after some more calls. */
// biome-ignore lint/suspicious/noExplicitAny: documents that are to be made wrong have no type
export function withDevice(driver: object, more: readonly CallObject[] = [], version = '6.1'): any {
  const host = newHost(version);
  const calls: CallObject[] = [
    { call: 'open-container', container: 'c0' },
    { call: 'create-device', device: 'd0', driver },
    { call: 'attach', container: 'c0', device: 'd0' },
    { call: 'map-dma', container: 'c0', iova: 0, vaddr: 0, size: 0x100000, flags: 3 },
    ...more,
  ];
  for (const call of calls) expect(make(host, call)).not.toHaveProperty('problem');
  return JSON.parse(JSON.stringify(host.snapshot(true)));
}
