import { expect, test } from 'vitest';
import { Base64Bytes, HashedBytes, MUCH } from '../../src/json/base64.ts';
import { LINUX_6_1 } from '../../src/kernel/generations/linux-6.1.ts';
import { bodyOf } from '../../src/machine/answer.ts';
import { Machine } from '../../src/machine/machine.ts';
import { checkCall } from '../../src/machine/table.ts';
import { synthetic } from '../harness/test-rig.ts';

/** What a read of so many bytes carries, from memory and by a driver. */
function dataRead(hashesBytes: boolean, length: number): unknown[] {
  const machine = new Machine(LINUX_6_1, undefined, { hashesBytes });
  const calls = [
    { call: 'fill-memory', process: 'p0', vaddr: 0x800, length: 3 * MUCH, byte: 0x41 },
    { call: 'open-container', container: 'c0' },
    { call: 'create-device', device: 'd0', driver: synthetic('unpin-range') },
    { call: 'attach', container: 'c0', device: 'd0' },
    { call: 'map-dma', container: 'c0', iova: 0, vaddr: 0, size: 0x100000, flags: 3 },
    { call: 'read-memory', process: 'p0', vaddr: 0x123, length },
    { call: 'dma-rw', device: 'd0', write: false, iova: 0x123, length },
  ];
  const bodies = calls.map((call) => bodyOf(machine.start(checkCall(call)).answer!));
  return bodies.slice(-2).map(({ data }) => data);
}

test('where nobody reads them, many bytes are their hash, which is that of the bytes', () => {
  const length = 2 * MUCH + 5;
  const whole = dataRead(false, length) as Base64Bytes[];
  const hashed = dataRead(true, length) as HashedBytes[];
  for (const [i, data] of hashed.entries()) {
    expect(data).toBeInstanceOf(HashedBytes);
    expect(whole[i]).toBeInstanceOf(Base64Bytes);
    expect(data.hash).toBe(new Base64Bytes(whole[i]!.bytes).hash);
  }
});

test('few bytes are there as they are, hashed or not', () => {
  expect(dataRead(true, 5)).toEqual(dataRead(false, 5));
});
