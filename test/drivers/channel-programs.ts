import type { CoreRig } from '../harness/core-rig.ts';

/** A channel command word of format 1, as the guest's memory has it. */
export function ccw(command: number, flags: number, count: number, cda: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeUInt8(command, 0);
  bytes.writeUInt8(flags, 1);
  bytes.writeUInt16BE(count, 2);
  bytes.writeUInt32BE(cda, 4);
  return bytes;
}

/** An IDA list. */
export function idal(...addresses: (number | bigint)[]): Buffer {
  const bytes = Buffer.alloc(8 * addresses.length);
  addresses.forEach((address, i) => {
    bytes.writeBigUInt64BE(BigInt(address), 8 * i);
  });
  return bytes;
}

export const READ = 0x02;
export const WRITE = 0x01;
export const NOP = 0x03;
export const TIC = 0x08;
export const CD = 0x80;
export const CC = 0x40;
export const SKIP = 0x10;
export const IDA = 0x04;
/** The program is held at a CCW with it. */
export const SUSPEND = 0x02;

/** Writes a channel program, or any bytes, into the memory of p0. */
export function poke(rig: CoreRig, vaddr: number, ...parts: Buffer[]): void {
  rig.do('write-memory', { process: 'p0', vaddr, data: Buffer.concat(parts).toString('base64') });
}
