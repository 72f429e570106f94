import { expect, test } from 'vitest';
import type { CallObject } from '../../schemas/calls.ts';
import { Task } from '../../src/kernel/task.ts';
import type { Type1 } from '../../src/kernel/type1/type1.ts';
import { rigAfter } from '../harness/core-rig.ts';
import { through } from '../harness/type1-rig.ts';
import { device, opened } from '../refusals/refusals.ts';

const PAGE = 4096;

/** Container cN with a device dN behind the IOMMU. */
const withType = (n: number): CallObject[] => [
  { call: 'open-container', container: `c${n}` },
  ...device(`d${n}`, null),
  { call: 'set-container', device: `d${n}`, container: `c${n}` },
  { call: 'set-iommu', container: `c${n}`, type: 3 },
  { call: 'open-device', device: `d${n}` },
];
const containers = (count: number) => Array.from({ length: count }, (_, n) => withType(n)).flat();
const map = (n: number, page: number, pages = 1, vaddr = page): CallObject => ({
  ...{ call: 'map-dma', container: `c${n}`, flags: 3 },
  ...{ iova: page * PAGE, vaddr: vaddr * PAGE, size: pages * PAGE },
});
const limit = (pages: number): CallObject[] => [{ call: 'set-memlock', process: 'p0', bytes: pages * PAGE }];

/** What a map that is beyond the limit says of who holds how much. */
function holders(calls: readonly CallObject[], last: CallObject): string {
  const { body } = rigAfter('6.1', calls).ask(last);
  expect(body.errno).toBe('ENOMEM');
  return String(body.detail).replace(/^.* more asked for/, '');
}

test('nothing is named where nobody has locked anything', () => {
  const bare = { call: 'open-container', container: 'c9' };
  expect(holders([...containers(1), bare, ...limit(1)], map(0, 0, 2))).toBe('');
});

test('of a container four mappings are named, the largest first, and how many more there are', () => {
  const four = [map(0, 0), map(0, 10, 4), map(0, 20, 2), map(0, 30, 3)];
  expect(holders([...containers(1), ...limit(10), ...four], map(0, 100))).toBe(
    ': c0 holds 10 (0xa000+0x4000: 4, 0x1e000+0x3000: 3, 0x14000+0x2000: 2, 0x0+0x1000: 1)',
  );
  expect(holders([...containers(1), ...limit(11), ...four, map(0, 40)], map(0, 100))).toBe(
    ': c0 holds 11 (0xa000+0x4000: 4, 0x1e000+0x3000: 3, 0x14000+0x2000: 2, 0x0+0x1000: 1, and 1 mapping more)',
  );
});

test('four containers are named, and how many more there are', () => {
  const maps = (count: number) => Array.from({ length: count }, (_, n) => map(n, n));
  const named = [0, 1, 2, 3].map((n) => `c${n} holds 1 (0x${n ? `${n}000` : '0'}+0x1000: 1)`).join('; ');
  expect(holders([...containers(4), ...limit(4), ...maps(4)], map(0, 100))).toBe(`: ${named}`);
  expect(holders([...containers(5), ...limit(5), ...maps(5)], map(0, 100))).toBe(
    `: ${named}; and 1 container more`,
  );
});

test('what another process has mapped is not named', () => {
  const calls = [...containers(1), map(0, 0), { call: 'fork-process', process: 'p0', child: 'p1' }];
  const other = { call: 'set-memlock', process: 'p1', bytes: PAGE };
  expect(holders([...calls, other], { ...map(0, 10, 2), process: 'p1' })).toBe('');
});

test('8192 mappings are looked at, those of all containers and the new one together', () => {
  const says = (count: number) => {
    const rig = rigAfter('6.1', [...containers(2), ...limit(count + 1), map(1, 0)]);
    const iommu = rig.host.machine.container('c0').iommu as Type1;
    const task = new Task(rig.host.kernel, 'map-dma', undefined);
    for (let i = 0; i < count; i++) {
      const iova = BigInt(2 * i * PAGE);
      expect(through(iommu.mapDma(task, { iova, vaddr: iova, size: 4096n, flags: 3 })).value).toBeNull();
    }
    return String(rig.ask(map(0, 2 ** 17)).body.detail);
  };
  expect(says(8190)).toMatch(
    /: c0 holds 8190 \(.*, and 8186 mappings more\); c1 holds 1 \(0x0\+0x1000: 1\)$/,
  );
  expect(says(8191)).toMatch(/: c0 holds 8191 \(.*, and 8187 mappings more\); and others$/);
});

/** The words of CHARGED_TWICE, if any, of a map in container c0 after others. */
function chargedTwice(calls: readonly CallObject[], last: CallObject): string | null {
  const { advisories = [] } = rigAfter('6.1', calls).ask(last).body;
  const [advisory, ...more] = advisories as { kind: string; devices: string[]; text: string }[];
  if (!advisory) return null;
  expect([advisory.kind, advisory.devices, more]).toEqual(['CHARGED_TWICE', [], []]);
  return advisory.text.replace(/^.*, and in /, '');
}

test.each<[number, number, string | null]>([
  [9, 1, null],
  [9, 2, 'c1 for 0xa000+0x2000'],
  [10, 2, 'c1 for 0xa000+0x2000'],
  [11, 1, 'c1 for 0xa000+0x2000'],
  [12, 1, null],
])(
  'pages 10 and 11 are charged in another container: of a map of page %i, +%i, it says %s',
  (page, pages, says) => {
    expect(chargedTwice([...containers(2), map(1, 10, 2)], map(0, page, pages))).toBe(says);
  },
);

test('it is where the memory lies that counts, not the IOVA', () => {
  expect(chargedTwice([...containers(2), map(1, 10, 1, 50)], map(0, 10))).toBeNull();
  expect(chargedTwice([...containers(2), map(1, 10, 1, 50)], map(0, 20, 1, 50))).toBe('c1 for 0xa000+0x1000');
});

test('the first of several is named, of 16 containers that are asked', () => {
  const asked = (n: number) =>
    chargedTwice([...containers(18), map(n, 10), ...(n < 17 ? [map(17, 10)] : [])], map(0, 10));
  expect([asked(1), asked(16), asked(17)]).toEqual(['c1 for 0xa000+0x1000', 'c16 for 0xa000+0x1000', null]);
});

test('containers of another process are not asked', () => {
  const other = [
    { call: 'create-process', process: 'p1' },
    ...withType(1).map((call, i) => (i === 0 ? { ...call, process: 'p1' } : call)),
  ];
  expect(chargedTwice([...withType(0), ...other, map(1, 10)], map(0, 10))).toBeNull();
});

test('of a mapping that is in no domain the pages that are pinned are charged, as far as 128 are looked at', () => {
  const mdev = opened('m', 3).map((call) => ({
    ...call,
    ...('container' in call ? { container: 'c1' } : {}),
  }));
  const pinned = (pages: number[]) => [
    ...withType(0),
    { call: 'open-container', container: 'c1' },
    ...mdev,
    map(1, 1000, 200, 0),
    ...pages.map((page) => ({
      call: 'pin-pages',
      device: 'm',
      iova: (1000 + page) * PAGE,
      npage: 1,
      prot: 3,
    })),
  ];
  const says = (pages: number[], page: number, count = 1) =>
    chargedTwice(pinned(pages), map(0, page, count)) !== null;
  expect([says([5], 4), says([5], 5), says([5], 6), says([5], 3, 2), says([5], 3, 3)]).toEqual([
    false,
    true,
    false,
    false,
    true,
  ]);
  const first = (count: number) => Array.from({ length: count }, (_, i) => i);
  expect([says([...first(127), 150], 150), says([...first(128), 150], 150)]).toEqual([true, false]);
});
