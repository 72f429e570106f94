import type { CallObject } from '../../../schemas/calls.ts';
import { hex, PAGE_SIZE } from '../../kernel/pages.ts';
import { CONTAINER, type Pages } from '../pages.ts';
import type { Part } from './part.ts';

/** Where a guest has its channel programs, IOVA and memory, in a mapping of one page of their own. */
const PROGRAMS = 0x4_0000;
const MEMORY = 0x800_0000;
const PROGRAM_SIZE = 0x100;

const WRITE = 0x01;
/** Flags: an IDA list, and suspend, at which the program is held. */
const IDA = 0x04;
const SUSPEND = 0x02;

/** A channel command word of format 1. */
function ccw(flags: number, count: number, address: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeUInt8(WRITE, 0);
  bytes.writeUInt8(flags, 1);
  bytes.writeUInt16BE(count, 2);
  bytes.writeUInt32BE(Number(address), 4);
  return bytes;
}

const write = (offset: number, data: Buffer): CallObject => ({
  call: 'write-memory',
  process: 'p0',
  vaddr: hex(BigInt(MEMORY + offset)),
  data: data.toString('base64'),
});

/** Programs: each transfers at one of the ranges, and the last through an IDA list that ends beyond its mapping. */
function programs(pages: Pages): CallObject[] {
  const list = Buffer.alloc(8);
  list.writeBigUInt64BE(BigInt(pages.at(0)));
  const all = Array.from({ length: pages.count }, (_, range) =>
    write(range * PROGRAM_SIZE, ccw(SUSPEND, 0x10, BigInt(pages.at(range)))),
  );
  const lastWord = PAGE_SIZE - list.length;
  all.push(write(lastWord, list));
  all.push(write(pages.count * PROGRAM_SIZE, ccw(IDA, PAGE_SIZE + 1, BigInt(PROGRAMS + lastWord))));
  return all;
}

/** A guest starts one of some channel programs, stops it, or resets the subchannel, which may refuse to. */
export const vfioCcwPart: Part = {
  prepare: ({ pages }) => [
    ...programs(pages),
    {
      call: 'map-dma',
      container: CONTAINER,
      iova: hex(BigInt(PROGRAMS)),
      vaddr: hex(BigInt(MEMORY)),
      size: hex(BigInt(PAGE_SIZE)),
      flags: ['read', 'write'],
    },
  ],
  actions({ device, pages }) {
    const start = Array.from({ length: pages.count + 1 }, (_, i) => ({
      call: { call: 'ccw-start', device, program: hex(BigInt(PROGRAMS + i * PROGRAM_SIZE)) },
    }));
    return [
      ...start,
      { call: { call: 'ccw-interrupt', device } },
      { call: { call: 'ccw-clear', device } },
      { call: { call: 'ccw-reset', device } },
      { call: { call: 'ccw-run-work', device } },
      // As often as one unmap asks.
      { call: { call: 'ccw-inject', device, operation: 'quiesce', times: 11 } },
      { call: { call: 'remove-device', device, ifOpen: 'refuse' } },
    ];
  },
};
