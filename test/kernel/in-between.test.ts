import { readdirSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { toReply } from '../../routes/replies.ts';
import { differencesBetween } from '../../src/kernel/generations/differences.ts';
import { ALL_GENERATIONS, type Generation, generationOf } from '../../src/kernel/generations/index.ts';
import { Machine } from '../../src/machine/machine.ts';
import { checkCall } from '../../src/machine/table.ts';
import { compareKernels } from '../../src/replay/compare-kernels.ts';
import { readTraces } from '../../src/trace-files/traces.ts';
import { CoreRig, rigAfter } from '../harness/core-rig.ts';
import { CONTAINER, device, map, opened, pin, unmap, V2 } from '../refusals/refusals.ts';

const TYPE1 = ALL_GENERATIONS.filter(({ containerOf }) => containerOf === 'type1');
const UNRECORDED = TYPE1.filter(({ recorded }) => !recorded);

/** What each has that neither of the recorded kernels around it has. */
const OWN: Readonly<Record<string, readonly string[]>> = {
  '5.4': [
    'core.hasDmaRw',
    'type1.hasDirtyTracking',
    'type1.nestingRefused',
    'type1.scalableIsCoherent',
    'console.callbackFrames',
  ],
  '5.15': ['type1.vaddrExcludesMdevs', 'type1.nestingRefused'],
  '6.0': ['type1.vaddrExcludesMdevs', 'drivers.vfio-ccw'],
  '6.6': [],
  '6.8': [],
  '6.18': [],
};

/** The recorded kernels around one. */
function neighbours(gen: Generation): Generation[] {
  const at = TYPE1.indexOf(gen);
  const before = TYPE1.slice(0, at).findLast(({ recorded }) => recorded);
  const after = TYPE1.slice(at).find(({ recorded }) => recorded);
  return [before, after].filter((one) => one !== undefined);
}

describe.each(UNRECORDED)('Linux $version, not recorded', (gen) => {
  test('is between its recorded neighbours but for what is named', () => {
    const own: string[] = [];
    for (const group of ['core', 'type1', 'drivers', 'console'] as const) {
      for (const [field, value] of Object.entries(gen[group])) {
        const around = neighbours(gen).map((one) =>
          JSON.stringify((one[group] as object)[field as never], text),
        );
        if (!around.includes(JSON.stringify(value, text))) own.push(`${group}.${field}`);
      }
    }
    expect(own.sort()).toEqual([...OWN[gen.version]!].sort());
  });

  test('has a line of its own for each splat that its neighbour has', () => {
    for (const [id, site] of Object.entries(gen.splats)) {
      const has = neighbours(gen).some(({ splats }) => splats[id as keyof typeof splats] !== null);
      if (site && site.line !== null) expect(has, id).toBe(true);
    }
    expect(gen.splats.B1!.line).not.toBe(neighbours(gen).at(-1)!.splats.B1!.line);
  });
});

const text = (_key: string, value: unknown) => (typeof value === 'bigint' ? value.toString() : value);

test('every step of an example that differs between two kernels next to each other has a reason', () => {
  const traces = readdirSync('examples/traces').flatMap((name) => readTraces(`examples/traces/${name}`));
  let differing = 0;
  for (const trace of traces) {
    for (let i = 1; i < TYPE1.length; i++) {
      const pair = [TYPE1[i - 1]!, TYPE1[i]!];
      if (pair.every(({ recorded }) => recorded)) continue;
      for (const { step, reasons } of compareKernels(trace, pair, (gen) => new Machine(gen))) {
        differing++;
        expect(reasons.length, `${trace.id} step ${step}, ${pair.map((one) => one.version)}`).toBeGreaterThan(
          0,
        );
      }
    }
  }
  expect(differing).toBeGreaterThan(50);
});

test('what differs between 6.8 and 6.12, between 6.12 and 6.18, and between 6.18 and 7.2', () => {
  const ids = (from: string, to: string) =>
    differencesBetween(generationOf(from)!, generationOf(to)!).map(({ id }) => id);
  expect(ids('6.8', '6.12')).toEqual(['splat-sites']);
  expect(ids('6.12', '6.18')).toEqual(
    expect.arrayContaining(['top-of-address-space', 'overflow-errno', 'nesting', 'misaligned-at-attach']),
  );
  expect(ids('6.18', '7.2')).toEqual(expect.arrayContaining(['beyond-width', 'warning-line']));
});

describe.each(['5.15', '6.0'])('a vaddr that is invalid beside an mdev on %s', (version) => {
  const INVALID = [...V2, map(0x10000, 0x4000), map(0x20000, 0x1000), unmap(0x10000, 0x4000, 4)];
  const again = { ...map(0x10000, 0x4000, 4), vaddr: 0x900000 };

  test('a pin waits until it is valid again', () => {
    const rig = rigAfter(version, INVALID);
    const waiting = rig.host.start(checkCall(pin(0x11000)));
    expect(waiting.answer).toBeNull();
    expect(rig.ask(again).body).not.toHaveProperty('errno');
    expect(toReply(waiting.answer!).body).toMatchObject({ pinned: 1 });
  });

  test('a pin of another mapping does not wait', () => {
    expect(rigAfter(version, INVALID).ask(pin(0x20000)).body).toMatchObject({ pinned: 1 });
  });

  test('a dma-rw waits, and is EFAULT when the container’s file is closed', () => {
    const rig = rigAfter(version, INVALID);
    const waiting = rig.host.start(
      checkCall({ call: 'dma-rw', device: 'd0', iova: 0x10000, write: false, length: 8 }),
    );
    expect(waiting.answer).toBeNull();
    expect(rig.ask({ call: 'close-container', container: 'c0' }).body).not.toHaveProperty('errno');
    expect(toReply(waiting.answer!).body).toMatchObject({ errno: 'EFAULT' });
  });

  test('a group behind the IOMMU waits, another mdev does not', () => {
    const rig = rigAfter(version, [...INVALID, ...device('d1', null), ...device('d2')]);
    expect(rig.ask({ call: 'set-container', device: 'd2', container: 'c0' }).body).toEqual({});
    const waiting = rig.host.start(checkCall({ call: 'set-container', device: 'd1', container: 'c0' }));
    expect(waiting.answer).toBeNull();
    rig.ask(again).body;
    expect(toReply(waiting.answer!).body).toEqual({});
  });

  test('the extension is there in any container', () => {
    const rig = rigAfter(version, V2);
    expect(rig.ask({ call: 'check-extension', container: 'c0', extension: 10 }).body).toEqual({
      value: 1,
    });
  });

  test('a snapshot of one is restored', () => {
    const rig = rigAfter(version, INVALID);
    const restored = new CoreRig(version);
    restored.host.restore(rig.host.snapshot(true), 'snapshot');
    const waiting = restored.host.start(checkCall(pin(0x11000)));
    expect(waiting.answer).toBeNull();
    restored.ask(again).body;
    expect(toReply(waiting.answer!).body).toMatchObject({ pinned: 1 });
  });
});

describe('what 5.4 does not have', () => {
  test('dirty tracking: ENOTTY, an unknown flag, no capability', () => {
    const rig = rigAfter('5.4', [...V2, map(0x10000, 0x4000)]);
    expect(rig.ask({ call: 'dirty-start', container: 'c0' }).body).toMatchObject({ errno: 'ENOTTY' });
    const flagged = { ...unmap(0x10000, 0x4000, 1), pageSize: 4096 };
    expect(rig.ask(flagged).body).toMatchObject({
      errno: 'EINVAL',
      detail: expect.stringContaining('unknown bits'),
    });
    const info = rig.ask({ call: 'iommu-info', container: 'c0' }).body;
    expect(info).not.toHaveProperty('maxDirtyBitmapSize');
    expect(info).toHaveProperty('dmaAvail');
  });

  test('vfio_dma_rw', () => {
    const rig = rigAfter('5.4', [...V2, map(0x10000, 0x4000)]);
    const rw = { call: 'dma-rw', device: 'd0', iova: 0x10000, write: false, length: 8 };
    expect(rig.ask(rw).body).toMatchObject({ errno: 'EOPNOTSUPP' });
  });
});

test('nesting behind an IOMMU that cannot nest is not refused on 5.15', () => {
  const calls = [
    ...CONTAINER,
    ...device('d0', null),
    { call: 'set-container', device: 'd0', container: 'c0' },
    { call: 'set-iommu', container: 'c0', type: 6 },
    { call: 'open-device', device: 'd0' },
    map(0x10000, 0x4000),
  ];
  rigAfter('5.15', calls);
  expect(rigAfter('6.0', calls.slice(0, -3)).ask(calls.at(-3)!).body).toMatchObject({ errno: 'EINVAL' });
});

test('an unmap that is bisected after a round, and its order, on the notifier kernels', () => {
  expect(generationOf('5.15')!.type1).toMatchObject({ channel: 'notifier-chain', unmapWalk: 'ascending' });
  const [first] = [rigAfter('5.15', [...V2, ...opened('d1', null), map(0x10000, 0x1000), pin(0x10000)])];
  expect(first.ask(unmap(0x10000, 0x1000)).body).toMatchObject({
    invalidations: [{ device: 'd0' }, { device: 'd1' }],
  });
});
