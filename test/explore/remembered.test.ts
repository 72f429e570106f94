import { describe, expect, test } from 'vitest';
import type { Driver } from '../../schemas/drivers/index.ts';
import type { AlsoName } from '../../schemas/explore.ts';
import { sceneOf } from '../../src/explore/alphabet.ts';
import type { Scene } from '../../src/explore/scene.ts';
import { Search } from '../../src/explore/search.ts';
import { Walker } from '../../src/explore/walker.ts';
import { generationOf } from '../../src/kernel/generations/index.ts';
import { atOnce } from '../../src/turns.ts';

const synthetic = (onDmaUnmap: string, more: object = {}) =>
  ({ type: 'synthetic', onDmaUnmap, ...more }) as Driver;

/** Drivers, what may happen besides, and how deep. */
const SCENES: Record<string, [Driver[], AlsoName[], number]> = {
  'a driver with pins': [[synthetic('unpin-range')], [], 6],
  'drivers that are alike': [[synthetic('unpin-range'), synthetic('unpin-range')], [], 4],
  'a driver that ignores some callbacks': [[synthetic('unpin-one', { ignoreFirst: 3 })], [], 5],
  'a race': [[synthetic('unpin-range', { holdCallbacks: true })], ['faults', 'memlock'], 4],
  'vfio-ap': [[{ type: 'vfio-ap' }], ['responses'], 3],
  'vfio-ccw': [[{ type: 'vfio-ccw' }], [], 4],
  'GVT-g': [[{ type: 'gvt-g' }], [], 4],
};
const CASES = Object.keys(SCENES).flatMap((name) =>
  ['5.10', '6.1', '6.12-iommufd'].map((kernel) => [name, kernel] as const),
);

/** A search that makes every call, wherever it stands: states, transitions, and the first path to each finding. */
function searchPlainly(scene: Scene, depth: number): object {
  const walker = new Walker(scene);
  const hash = () => Object.values(walker.fingerprint()).join(':');
  const seen = new Set([hash()]);
  const hits = new Map<string, number[]>();
  let transitions = 0;
  let layer: number[][] = [[]];
  for (let at = 1; at <= depth; at++) {
    const next: number[][] = [];
    for (const path of layer) {
      walker.goTo(path);
      for (let action = 0; action < scene.actions.length; action++) {
        transitions++;
        if (!walker.take(action)) continue;
        for (const finding of walker.findings) {
          if (!hits.has(finding)) hits.set(finding, [...path, action]);
        }
        const isOver = walker.findings.some((finding) => /^(BUG_ON|DEADLOCK)/.test(finding));
        if (at < depth && walker.hasChanged && !isOver && !seen.has(hash())) {
          seen.add(hash());
          next.push([...path, action]);
        }
        walker.back();
      }
    }
    layer = next;
  }
  return { states: seen.size, transitions, hits: [...hits] };
}

describe('what calls came to is remembered', () => {
  test.each(CASES)('%s on %s: a search is the same as one that makes every call', (name, kernel) => {
    const [drivers, also, depth] = SCENES[name]!;
    const scene = sceneOf(generationOf(kernel)!, { drivers, pages: 1, mappings: 2, also });
    const bounds = { depth, memory: 2 ** 22, time: 600 };
    const { states, transitions, hits } = atOnce(new Search(scene, bounds, null, () => 0).run());
    const found = hits.map(({ finding, path }) => [finding, path]);
    expect({ states, transitions, hits: found }).toEqual(searchPlainly(scene, depth));
  });

  test('a search that has room for little to remember is the same', () => {
    const scene = sceneOf(generationOf('6.1')!, {
      drivers: [synthetic('unpin-range')],
      pages: 1,
      mappings: 2,
    });
    const searched = (memory: number) => {
      const search = new Search(scene, { depth: 6, memory, time: 600 }, null, () => 0);
      const { states, transitions, ended } = atOnce(search.run());
      return { states, transitions, ended };
    };
    expect(searched(2 ** 14)).toEqual(searched(2 ** 22));
  });
});
