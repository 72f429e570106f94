import { describe, expect, test } from 'vitest';
import type { Driver } from '../../schemas/drivers/index.ts';
import type { AlsoName } from '../../schemas/explore.ts';
import { sceneOf } from '../../src/explore/alphabet.ts';
import { randomOf } from '../../src/explore/random.ts';
import type { Action, Scene } from '../../src/explore/scene.ts';
import { Walker } from '../../src/explore/walker.ts';
import { generationOf } from '../../src/kernel/generations/index.ts';
import { takeSnapshot } from '../../src/snapshot/take.ts';
import { fuzz } from '../harness/fuzz.ts';

const HELD: Driver = { type: 'synthetic', onDmaUnmap: 'unpin-range', holdCallbacks: true };
const SCENES: Record<string, Driver[]> = {
  'a race of synthetic drivers': [HELD, { type: 'synthetic', onDmaUnmap: 'ignore' }],
  'a driver outside': [{ type: 'manual' }, { type: 'synthetic', onDmaUnmap: 'reset-if-overlap' }],
  'vfio-ap': [{ type: 'vfio-ap' }],
  'vfio-ccw': [{ type: 'vfio-ccw' }, { type: 'synthetic', onDmaUnmap: 'unpin-range' }],
  'GVT-g': [{ type: 'gvt-g' }],
};
/** What may happen besides. */
const ALSO: Record<string, AlsoName[]> = {
  'a race of synthetic drivers': ['dirty', 'faults', 'memlock'],
  'vfio-ap': ['responses'],
};
const KERNELS = ['5.10', '6.1', '6.12', '7.2', '6.12-iommufd'];

function scene(name: string, kernel: string): Scene {
  return sceneOf(generationOf(kernel)!, {
    drivers: SCENES[name]!,
    pages: 2,
    mappings: 3,
    also: ALSO[name] ?? [],
  });
}

/** A path of actions that change something, and end nothing. */
function wander(walker: Walker, next: () => number, length: number): number[] {
  const path: number[] = [];
  walker.goTo(path);
  for (let tries = 0; path.length < length && tries < length * 40; tries++) {
    const action = Math.floor(next() * walker.scene.actions.length);
    if (!walker.take(action)) continue;
    const over = walker.findings.some((finding) => /^(BUG_ON|DEADLOCK)/.test(finding));
    walker.back();
    if (over) continue;
    path.push(action);
    walker.goTo(path);
  }
  return path;
}

/** All that a snapshot has of the state but counters; what went before, for words; and memory, which no action writes. */
function snapshot({ machine }: Walker): string {
  const { state } = takeSnapshot(machine, true);
  const processes = state.processes.map(({ contents: _contents, files: _files, ...process }) => process);
  const containers = state.containers.map(({ history, ...one }) => ({ ...one, lost: !!history?.lost }));
  // How often a fault that strikes every time has been looked at makes no difference.
  const faults = state.faults.map(({ seen: _seen, struck: _struck, ...fault }) => fault);
  // Callbacks are counted for those alone that are ignored, and nobody here ignores any.
  const countless = (key: string, value: unknown) => (key === 'callbacks' ? undefined : value);
  return JSON.stringify({ ...state, faults, processes, containers, next: null }, countless);
}

const CASES = Object.keys(SCENES).flatMap((name) => KERNELS.map((kernel) => [name, kernel] as const));

describe('going back', () => {
  test.each(CASES)('%s on %s: the state is that of a machine led there directly', (name, kernel) => {
    const { seed } = fuzz(`explore ${name} ${kernel}`);
    const next = randomOf(seed);
    const walker = new Walker(scene(name, kernel));
    for (let round = 0; round < 6; round++) {
      const path = wander(walker, next, 8);
      const { low, high } = walker.fingerprint();
      const direct = new Walker(scene(name, kernel));
      direct.goTo(path);
      expect(direct.fingerprint(), `seed ${seed}, path ${path}`).toEqual({ low, high });
      // Somewhere else and back again, half the way.
      walker.goTo(path.slice(0, 2));
      walker.goTo(path);
      expect(walker.fingerprint(), `seed ${seed}, path ${path}`).toEqual({ low, high });
    }
  });
});

describe('the canonical form', () => {
  test.each(CASES)('%s on %s: states are the same where their snapshots are', (name, kernel) => {
    const { seed } = fuzz(`explore ${name} ${kernel}`);
    const next = randomOf(seed);
    const walker = new Walker(scene(name, kernel));
    const seen = new Map<string, string>();
    const hashes = new Map<string, string>();
    for (let round = 0; round < 40; round++) {
      wander(walker, next, 6);
      if (walker.isUnderway) continue;
      const text = snapshot(walker);
      const { low, high } = walker.fingerprint();
      const hash = `${high}:${low}`;
      const where = `seed ${seed}`;
      // What vfio-ccw remembers of a program that is over a snapshot leaves out.
      if (name !== 'vfio-ccw') expect(seen.get(text) ?? hash, `${where}: one state, two hashes`).toBe(hash);
      expect(hashes.get(hash) ?? text, `${where}: two states, one hash`).toBe(text);
      seen.set(text, hash);
      hashes.set(hash, text);
    }
    expect(seen.size).toBeGreaterThan(1);
  });
});

/** Takes the first action that is such a call, of the first device where it is a device's. */
function takeCall(walker: Walker, name: string): boolean {
  const isOne = ({ call }: Action) => call.call === name && (call.device ?? 'd0') === 'd0';
  return walker.take(walker.scene.actions.findIndex(isOne));
}

describe('two ways to one state', () => {
  test('an interrupt that vfio-ap has enabled and disabled again leaves the state as it was', () => {
    const walker = new Walker(scene('vfio-ap', '6.1'));
    const take = (call: string) => takeCall(walker, call);
    expect(take('map-dma')).toBe(true);
    const { low, high } = walker.fingerprint();
    expect(take('ap-enable-interrupt')).toBe(true);
    expect(walker.fingerprint()).not.toMatchObject({ low, high });
    expect(take('ap-disable-interrupt')).toBe(true);
    expect(walker.fingerprint()).toMatchObject({ low, high });
  });

  // Of type1 it is the last to be called back then; iommufd has given its number to it again.
  test('a device that was closed and opened again is where it was, on 6.12-iommufd', () => {
    const gen = generationOf('6.12-iommufd')!;
    const drivers: Driver[] = [
      { type: 'synthetic', onDmaUnmap: 'ignore' },
      { type: 'synthetic', onDmaUnmap: 'unpin-range' },
    ];
    const walker = new Walker(sceneOf(gen, { drivers, pages: 1, mappings: 1, also: [] }));
    const take = (call: string) => takeCall(walker, call);
    const { low, high } = walker.fingerprint();
    expect(take('close-device')).toBe(true);
    expect(take('open-device')).toBe(true);
    expect(walker.fingerprint()).toMatchObject({ low, high });
  });

  // Whatever is done next, both come to the same.
  test.each(CASES)('%s on %s: they go on alike', (name, kernel) => {
    const { seed } = fuzz(`explore ${name} ${kernel}`);
    const next = randomOf(seed);
    const walker = new Walker(scene(name, kernel));
    const known = new Map<string, { path: number[]; after: string[] }>();
    for (let round = 0; round < 150; round++) {
      const path = wander(walker, next, 4);
      const { low, high } = walker.fingerprint();
      const key = `${high}:${low}`;
      const before = known.get(key);
      if (before && String(before.path) === String(path)) continue;
      const after = everyNext(walker);
      if (before) expect(after, `seed ${seed}, paths ${before.path} and ${path}`).toEqual(before.after);
      else known.set(key, { path, after });
    }
  });
});

/** What each action comes to from where a walker is. */
function everyNext(walker: Walker): string[] {
  const hash = () => {
    const { low, high } = walker.fingerprint();
    return `${high}:${low}`;
  };
  const here = hash();
  return walker.scene.actions.map((_action, number) => {
    if (!walker.take(number)) return ` ${here}`;
    const findings = walker.findings.join();
    const after = `${findings} ${/BUG_ON|DEADLOCK/.test(findings) ? '' : hash()}`;
    walker.back();
    return after;
  });
}
