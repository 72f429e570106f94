import { describe, expect, test } from 'vitest';
import { LINUX_6_1 } from '../../src/kernel/generations/index.ts';
import { Machine } from '../../src/machine/machine.ts';
import { checkSnapshot, restoreSteps } from '../../src/snapshot/restore.ts';
import { newHost } from '../harness/host.ts';
import { dumpKernel } from '../harness/kernel-dump.ts';
import { synthetic } from '../harness/test-rig.ts';
import { Type1Rig } from '../harness/type1-rig.ts';

const PAGE = 4096;
const rigOf = (version = '6.1') => new Type1Rig(version, { d0: synthetic('ignore') });

/** A snapshot as a document. */
// biome-ignore lint/suspicious/noExplicitAny: documents that are to be made wrong have no type
const documentOf = (rig: Type1Rig): any => JSON.parse(JSON.stringify(rig.host.snapshot(true)));

/** How often restoring a snapshot stops. */
function stopsOf(rig: Type1Rig): number {
  const snapshot = checkSnapshot(documentOf(rig), 'body');
  return Array.from(restoreSteps(new Machine(LINUX_6_1), snapshot, 'body')).length;
}

test('a snapshot stops while its mappings are restored: their fields, tree, place, owners, pins and charges', () => {
  const stops = (mappings: number) => {
    const rig = rigOf();
    rig.mapMany(mappings);
    return stopsOf(rig);
  };
  const expected = (mappings: number) => {
    const each = (count: number) => Math.floor(mappings / count);
    const tree = each(1024) + each(512);
    return 3 * each(512) + tree + Math.ceil(mappings / 256) + each(1024);
  };
  const [one] = [stops(1) - expected(1)];
  for (const mappings of [256, 257, 511, 512, 1023, 1024]) {
    expect([mappings, stops(mappings) - one!]).toEqual([mappings, expected(mappings)]);
  }
});

test('and its pins, 512 at a time, and runs of dirty words', () => {
  const pinned = (pins: number) => {
    const rig = rigOf();
    rig.mapMany(1, 2048);
    rig.pinMany(pins);
    return stopsOf(rig);
  };
  expect([pinned(511) - pinned(1), pinned(512) - pinned(1), pinned(1022) - pinned(1)]).toEqual([0, 1, 1]);
  const dirty = (runs: number) => {
    const rig = rigOf();
    rig.mapMany(1, 512 * 128);
    for (let run = 0; run < runs; run++) rig.pinMany(1, 128 * run);
    rig.do('dirty-start');
    return stopsOf(rig) - pinned(runs);
  };
  // Each run has a word of its own to be set, which is a stop.
  expect([dirty(511) - dirty(510), dirty(512) - dirty(511)]).toEqual([1, 2]);
});

test('what is charged is counted by memory, 1024 mappings or pins at a time', () => {
  const charged = (mappings: number, pins: number) => {
    const rig = rigOf();
    rig.mapMany(mappings, pins > 0 ? 4096 : 1);
    if (pins > 0) rig.pinMany(pins);
    const counting = rig.iommu.chargedPages();
    for (let stops = 0; ; stops++) {
      const { done, value } = counting.next();
      if (done) return [stops, ...Array.from(value, ([mm, pages]) => [mm.number, pages])];
    }
  };
  expect([charged(1023, 0), charged(1024, 0)]).toEqual([
    [0, [0, 0]],
    [1, [0, 0]],
  ]);
  expect([charged(1, 1022), charged(1, 1023)]).toEqual([
    [0, [0, 1022]],
    [1, [0, 1023]],
  ]);
});

describe('a snapshot of type1 that cannot be', () => {
  /** Three mappings of four pages, with pins and dirty words; `pci`: behind an IOMMU. */
  function goodDocument(version: string, pci: boolean) {
    const rig = rigOf(version);
    if (pci) {
      rig.inTurn([
        { call: 'create-device', device: 'pci', kind: 'vfio-pci' },
        { call: 'open-group', device: 'pci' },
        { call: 'set-container', device: 'pci', container: 'c0' },
      ]);
    }
    rig.mapMany(3, 200);
    for (const page of [0, 1, 70, 200]) rig.pinMany(1, page);
    if (version !== '5.4') rig.do('dirty-start');
    return documentOf(rig);
  }

  /** Why a document that was changed so is refused; the empty text where it is not. */
  // biome-ignore lint/suspicious/noExplicitAny: documents that are wrong have no type
  function why(change: (iommu: any, state: any) => void, version = '6.1', pci = false): string {
    const document = goodDocument(version, pci);
    change(document.state.containers[0].iommu, document.state);
    const host = newHost(version);
    const before = dumpKernel(host.kernel);
    try {
      host.restore(checkSnapshot(document, 'body'), 'body');
      return '';
    } catch (error) {
      expect(dumpKernel(host.kernel)).toEqual(before);
      return (error as Error).message.replace(/^body\/state\/containers\/0\/iommu\//, '');
    }
  }

  test('is none as it was saved', () => {
    expect([why(() => {}), why(() => {}, '6.1', true), why(() => {}, '7.2')]).toEqual(['', '', '']);
  });

  test('runs of dirty words: after each other, within the bitmap, none of zeros', () => {
    const dirty = (...runs: [number, number, string][]) => why((iommu) => (iommu.mappings[0].dirty = runs));
    // 200 pages are four words; there is a fifth.
    expect([dirty([0, 1, '0x1'], [1, 4, '0x1']), dirty([4, 1, '0x1'])]).toEqual(['', '']);
    expect(dirty([0, 2, '0x1'], [1, 1, '0x1'])).toContain('mappings/0/dirty/1 begins at word 1, within');
    expect([dirty([1, 5, '0x1']), dirty([5, 1, '0x1'])]).toEqual(
      Array(2).fill(expect.stringContaining("mappings/0/dirty/0 reaches beyond the bitmap's 5 words")),
    );
    expect(dirty([0, 1, '0x0'])).toContain('mappings/0/dirty/0');
    expect(why((iommu) => (iommu.dirtyTracking = false))).toContain('mappings/0/dirty must be empty');
  });

  test('a word of 64 bits is restored as it is', () => {
    const document = goodDocument('6.1', false);
    document.state.containers[0].iommu.mappings[0].dirty = [
      [0, 1, '0x8000000000000001'],
      [1, 1, '0x100000000'],
      [2, 1, '0xffffffff'],
    ];
    const host = newHost();
    host.restore(checkSnapshot(document, 'body'), 'body');
    const again = JSON.parse(JSON.stringify(host.snapshot(true)));
    expect(again.state.containers[0].iommu.mappings[0].dirty).toEqual(
      document.state.containers[0].iommu.mappings[0].dirty,
    );
  });

  test('pins: in order, within their mapping, of a page frame there is', () => {
    const pin = (change: object, at = 1) => why((iommu) => Object.assign(iommu.mappings[0].pins[at], change));
    expect(pin({ iova: '0x0' })).toContain('mappings/0/pins/1 must come after the one before it');
    expect([pin({ iova: '0xc7000' }, 2), pin({ iova: '0xc8000' }, 2)]).toEqual([
      '',
      expect.stringContaining('mappings/0/pins/2/iova is 0xc8000, which is not in the mapping'),
    ]);
    // On 6.1 a key need not be that of a page, and one below its mapping by less than a page is in it.
    const second = (iova: string) => why((iommu) => Object.assign(iommu.mappings[1].pins[0], { iova }));
    expect([second('0xc7001'), second('0xc8008')]).toEqual(['', '']);
    expect([second('0xc7000'), second('0xc6fff')]).toEqual(
      Array(2).fill(expect.stringContaining('which is not in the mapping')),
    );
    expect(why((iommu) => (iommu.mappings[0].pins[1].iova = '0x1008'), '5.10')).toContain(
      'not that of a page',
    );
    // Of a BAR, or of the memory of the process.
    const [bars, memory] = [
      [0x7ffff, 0x80000],
      [0x100000, 0x100000 + 2 ** 52 - 1, 0x100000 + 2 ** 52],
    ];
    const known = [...bars!, ...memory!].map((pfn) => pin({ pfn: `0x${BigInt(pfn).toString(16)}` }) === '');
    expect(known).toEqual([false, true, true, true, false]);
  });

  test('mappings: in order, apart, up to 2^64', () => {
    const mapping = (at: number, change: object, version?: string) =>
      why((iommu) => {
        Object.assign(iommu.mappings[at], change, { pins: [], dirty: [] });
        iommu.dirtyTracking = false;
        for (const one of iommu.mappings) one.dirty = [];
      }, version);
    expect(mapping(1, { iova: '0xc7000' })).toContain(
      'mappings/1/iova is 0xc7000, within the mapping before it',
    );
    expect(mapping(2, { iova: '0xc7000' })).toContain('mappings/2/iova is 0xc7000, below the one before it');
    const top = { iova: '0xfffffffffff38000', vaddr: '0x0' };
    expect([mapping(2, top, '7.2'), mapping(2, { ...top, size: '0xc9000' }, '7.2')]).toEqual([
      '',
      expect.stringContaining('mappings/2/size reaches beyond 2^64'),
    ]);
    expect(mapping(2, top)).toContain('reaches 2^64, but overlapPossible is false');
  });

  test('a vaddr that is invalid: from 5.12 on, and beside an mdev not on 6.2 and later', () => {
    const invalid = (version: string) => why((iommu) => (iommu.mappings[0].vaddrInvalid = true), version);
    expect(invalid('5.10')).toContain('Linux 5.10 invalidates no vaddr');
    expect(invalid('6.12')).toContain('not invalidated beside an mdev');
    expect(invalid('6.0')).toBe('');
  });

  test('pages that a domain pinned without a charge: as many as the mapping has, and only in a domain', () => {
    const reserved = (reservedPages: number, pci = true) =>
      why(
        (iommu) => {
          iommu.mappings[2].reservedPages = reservedPages;
        },
        '6.1',
        pci,
      );
    expect([reserved(200), reserved(201)]).toEqual([
      '',
      expect.stringContaining('mappings/2/reservedPages is 201, but the mapping has 200 pages'),
    ]);
    expect(reserved(1, false)).toContain('is in no IOMMU domain');
  });

  test('groups, devices and flags that do not fit', () => {
    expect(why((iommu) => (iommu.type = 6), '7.2')).toContain('type is 6, which 7.2 does not have');
    expect(why((iommu) => (iommu.hadDomain = false), '6.1', true)).toContain('hadDomain is false, but');
    expect(why((iommu) => (iommu.emulatedGroups = []))).toContain("must be the container's groups");
    expect(why((iommu) => (iommu.domainGroups = iommu.emulatedGroups.splice(0)))).toContain('no such group');
    expect(why((iommu) => (iommu.deviceList = []))).toContain('is not in the deviceList');
    expect(why((iommu) => (iommu.deviceList = ['d9']))).toContain('has "d9", which is no open device');
    expect(why((iommu) => (iommu.type = 1))).toContain('dirtyTracking is true, but type is 1');
    expect(why((iommu) => (iommu.overlapPossible = true), '7.2')).toContain('overlapPossible');
    expect(why((iommu) => (iommu.overlapPossible = true))).toBe('');
    const most = 2 ** 32 - 1;
    const avail = (dmaAvail: number) => why((iommu) => (iommu.dmaAvail = dmaAvail));
    expect([avail(most - 3), avail(most - 2)]).toEqual([
      '',
      expect.stringContaining(`more than ${most} together`),
    ]);
  });
});

test('a mapping is restored as it was', () => {
  const rig = rigOf();
  rig.map(5 * PAGE, 3 * PAGE, { vaddr: 9 * PAGE, flags: ['read'] });
  const host = newHost();
  host.restore(checkSnapshot(documentOf(rig), 'body'), 'body');
  const [mapping] = host.machine.container('c0').view!.mappings();
  expect([mapping!.iova, mapping!.size, mapping!.vaddr, mapping!.prot]).toEqual([
    BigInt(5 * PAGE),
    BigInt(3 * PAGE),
    BigInt(9 * PAGE),
    1,
  ]);
});
