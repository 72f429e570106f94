import { beforeEach, describe, expect, test } from 'vitest';
import { toBigInt, type VfioHostClient } from '../../src/client/index.ts';
import { useRig } from '../harness/http-rig.ts';
import { synthetic } from '../harness/test-rig.ts';
import { all } from './all.ts';

const rig = useRig();
let client: VfioHostClient;
beforeEach(async () => {
  client = await rig.listen();
});

const driver = { type: 'synthetic', onDmaUnmap: 'unpin-range' } as const;
describe('values', () => {
  test('a bigint, a string and a number are the same address', async () => {
    await client.openContainer({ container: 'c0' });
    await client.createDevice({ device: 'd0', driver });
    const c0 = client.container('c0');
    await c0.attach('d0');
    const prot = { flags: ['read', 'write'] as ('read' | 'write')[] };
    await c0.mapDma({ iova: 0x1000n, vaddr: 0n, size: 0x1000n, ...prot });
    await c0.mapDma({ iova: '0x2000', vaddr: '0x0', size: '0x1000', ...prot });
    await c0.mapDma({ iova: 0x3000, vaddr: 0, size: 0x1000, ...prot });
    const mappings = await all(c0.mappings());
    expect(mappings.map(({ iova }) => iova)).toEqual(['0x1000', '0x2000', '0x3000']);
  });

  test('an address beyond 2^53 is exact both ways', async () => {
    await rig.pinned(synthetic('unpin-range'));
    const iova = 0xffff_ffff_ffff_d000n;
    const answer = await client
      .container('c0')
      .mapDma({ iova, vaddr: 0n, size: 0x1000n, flags: ['read', 'write'] });
    expect(answer).toEqual({ iova: '0xffffffffffffd000', size: '0x1000' });
    expect(toBigInt(answer.iova)).toBe(iova);
  });

  test('toBigInt reads numbers and bigints too', () => {
    expect([toBigInt(16), toBigInt('0x10'), toBigInt(16n)]).toEqual([16n, 16n, 16n]);
  });
});

describe('a driver’s day', () => {
  test('pin, invalidation, unpin: every answer as the host gives it', async () => {
    await rig.pinned(synthetic('unpin-range'));
    const d0 = client.device('d0');
    expect(await d0.pinPages({ iova: 0x11000, npage: 2, prot: ['read'] })).toEqual({
      pinned: 2,
      pages: [
        { iova: '0x11000', pfn: expect.stringMatching(/^0x/) },
        { iova: '0x12000', pfn: expect.stringMatching(/^0x/) },
      ],
    });
    expect(await d0.unpinPages({ iova: 0x12000, npage: 1 })).toEqual({});
    expect(await client.container('c0').unmapDma({ iova: 0x10000, size: 0x10000 })).toEqual({
      size: '0x10000',
      invalidations: [{ device: 'd0', iova: '0x10000', length: '0x10000' }],
    });
    expect(await all(client.container('c0').mappings())).toEqual([]);
  });

  test('memory written by the process is what the device reads', async () => {
    await rig.pinned(synthetic('unpin-range'));
    const data = Buffer.from('hello').toString('base64');
    await client.process('p0').writeMemory({ vaddr: 0x200010, data });
    const read = await client.device('d0').dmaRw({ iova: 0x10010, write: false, length: 5 });
    expect(read).toEqual({ data });
  });

  test('call is the method by another name', async () => {
    await client.call('open-container', { container: 'c7' });
    expect(await client.container('c7').call('check-extension', { extension: 3 })).toEqual({ value: 1 });
  });

  test('a call without required arguments takes none', async () => {
    expect(await client.openContainer()).toMatchObject({ container: 'c0' });
    await client.createDevice({ driver });
    await client.device('d0').openGroup();
    expect(await client.device('d0').groupStatus()).toEqual({ value: 1 });
    await client.device('d0').closeGroup();
    await client.device('d0').removeDevice();
    await client.container('c0').closeContainer();
    expect(await all(client.containers())).toEqual([]);
  });

  test('iommu-info, which is a GET, answers', async () => {
    await rig.pinned(synthetic('unpin-range'));
    expect(await client.container('c0').iommuInfo()).toMatchObject({ dmaAvail: 65534 });
  });

  test('attach and detach answer the group', async () => {
    await client.openContainer();
    await client.createDevice({ driver });
    const attached = { container: 'c0', device: 'd0', group: 'g0' };
    expect(await client.container('c0').attach('d0')).toEqual(attached);
    const detached = { ...attached, closedDevices: ['d0'] };
    expect(await client.container('c0').detach('d0')).toEqual(detached);
  });
});

describe('resources', () => {
  test('get shows one of each', async () => {
    await rig.pinned(synthetic('unpin-range'));
    expect(await client.process('p0').get()).toMatchObject({ process: 'p0', lockedPages: 1 });
    expect(await client.container('c0').get()).toMatchObject({ container: 'c0', iommu: { pins: 1 } });
    expect(await client.device('d0').get()).toMatchObject({ device: 'd0', container: 'c0' });
  });

  test('lists give what there is', async () => {
    await rig.pinned(synthetic('unpin-range'));
    expect((await all(client.processes())).map(({ process }) => process)).toEqual(['p0']);
    expect((await all(client.containers())).map(({ container }) => container)).toEqual(['c0']);
    expect((await all(client.devices())).map(({ device }) => device)).toEqual(['d0']);
    expect(await all(client.container('c0').pins())).toEqual([
      expect.objectContaining({ iova: '0x10000', refCount: 1, devices: [{ device: 'd0', count: 1 }] }),
    ]);
  });

  test('a list longer than a page is asked for page by page', async () => {
    await rig.pinned(synthetic('unpin-range'));
    const c0 = client.container('c0');
    for (let i = 0; i < 1500; i++) {
      await c0.mapDma({ iova: 0x100000 + i * 0x1000, vaddr: 0, size: 0x1000, flags: ['read'] });
    }
    const mappings = await all(c0.mappings());
    expect(mappings).toHaveLength(1501);
    expect(new Set(mappings.map(({ iova }) => iova)).size).toBe(1501);
  });

  test('a list that is left early asks for no more', async () => {
    await rig.pinned(synthetic('unpin-range'));
    for await (const { iova } of client.container('c0').mappings()) {
      expect(iova).toBe('0x10000');
      break;
    }
  });
});

describe('the host', () => {
  test('reset starts over, on another kernel where one is named', async () => {
    await client.openContainer();
    await client.reset({ kernel: '5.10' });
    expect(await all(client.containers())).toEqual([]);
    expect(await client.request('GET', '/v1')).toMatchObject({ kernel: '5.10' });
    await client.reset();
    expect(await client.request('GET', '/v1')).toMatchObject({ kernel: '5.10' });
  });

  test('rigs are apart, listed and dropped', async () => {
    await client.openContainer({ container: 'mine' });
    const other = client.forRig('other');
    await other.openContainer({ container: 'theirs' });
    expect((await all(client.containers())).map(({ container }) => container)).toEqual(['mine']);
    expect((await all(other.containers())).map(({ container }) => container)).toEqual(['theirs']);
    expect((await client.rigs()).map(({ rig }) => rig)).toEqual(['default', 'other']);
    await client.dropRig('other');
    expect((await client.rigs()).map(({ rig }) => rig)).toEqual(['default']);
  });

  test('rig of the options is the rig of every request', async () => {
    const named = rig.connect({ rig: 'named' });
    await named.openContainer();
    expect((await client.rigs()).map(({ rig, containers }) => [rig, containers])).toEqual([['named', 1]]);
  });

  test('replay says what differed', async () => {
    const steps = [{ call: 'open-container', container: 'c0', expect: { errno: 'EBUSY' } }];
    expect(await client.replay({ id: 't', kernel: '6.1', steps })).toEqual({
      id: 't',
      kernel: '6.1',
      steps: 1,
      differences: [{ step: 0, call: 'open-container', field: 'errno', expected: 'EBUSY', actual: null }],
    });
  });

  test('compare says which steps differ between kernels', async () => {
    const steps = [
      { call: 'open-container', container: 'c0' },
      { call: 'create-device', device: 'd0', driver },
      { call: 'open-group', device: 'd0' },
      { call: 'set-container', device: 'd0', container: 'c0' },
      { call: 'set-iommu', container: 'c0', type: 'type1-nesting' },
    ];
    const compared = await client.compare({ id: 't', steps }, ['6.1', '7.2']);
    expect(compared).toMatchObject({ id: 't', kernels: ['6.1', '7.2'] });
    expect(compared.steps.map(({ step }) => step)).toEqual([4]);
  });
});
