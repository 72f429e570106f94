import { expect, test } from 'vitest';
import { MODELS } from '../../src/drivers/index.ts';

const pinsOf = (type: string, state: object) => MODELS.find((model) => model.type === type)!.pinsOf!(state);

/** Pins that a driver believes to hold, which it may walk one by one. */
test.each<[string, object, string, number]>([
  ['synthetic', { pins: [] }, 'pins', 0],
  ['synthetic', { pins: [{ times: 2 }, { times: 3 }] }, 'pins', 5],
  ['vfio-ccw', { program: null }, 'program/arrays', 0],
  ['vfio-ccw', { program: { arrays: [['0x0', '0x1'], [], ['0x2']] } }, 'program/arrays', 3],
  ['gvt-g', { cache: [], gtt: [] }, 'gtt', 0],
  ['gvt-g', { cache: [{ size: '4K' }, { size: '2M' }], gtt: [{ times: 512 }] }, 'cache', 513],
  ['gvt-g', { cache: [{ size: '2M' }], gtt: [{ times: 511 }, { times: 1 }] }, 'gtt', 512],
  ['gvt-g', { cache: [{ size: '2M' }], gtt: [{ times: 511 }, { times: 2 }] }, 'gtt', 513],
])('%s in the state %j: %s, %i', (type, state, field, count) => {
  expect(pinsOf(type, state)).toEqual({ field, count });
});
