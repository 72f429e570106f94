import { expect, test } from 'vitest';
import type { CallObject } from '../../schemas/calls.ts';
import { restoreIoas } from '../../src/kernel/iommufd/restore.ts';
import type { CompatContainer } from '../../src/kernel/iommufd/vfio-compat.ts';
import { hexAddress } from '../../src/kernel/pages.ts';
import { newHost } from '../harness/host.ts';
import { make } from '../snapshot/restored.ts';

test('many pins of one mapping are restored in steps', () => {
  const host = newHost('6.12-iommufd');
  const calls: CallObject[] = [
    { call: 'open-container', container: 'c0' },
    { call: 'create-device', device: 'd0', driver: { type: 'synthetic', onDmaUnmap: 'ignore' } },
  ];
  for (const call of calls) make(host, call);
  const { kernel } = host;
  const { number } = kernel.devices.get('d0')!;
  const pins = Array.from({ length: 8192 }, (_, page) => ({
    iova: hexAddress(page),
    npage: 1,
    holders: [[number, 1]] as [number, number][],
  }));
  const area = { iova: '0x0', size: '0x2000000', vaddr: '0x0', prot: 3, accounted: 0, closed: false, pins };
  const saved = { disableLargePages: false, accesses: [], domainDevices: [], stolen: [], areas: [area] };
  const container = kernel.containers.get('c0') as CompatContainer;
  const steps = [...restoreIoas(kernel, container, saved as never, 'ioas')];
  expect(steps.length).toBeGreaterThanOrEqual(16);
  expect(kernel.references.count).toBe(8192);
});
