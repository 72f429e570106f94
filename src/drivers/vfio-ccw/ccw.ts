/** A channel command word of format 1. */
export interface Ccw {
  readonly command: number;
  readonly flags: number;
  /** Bytes to transfer. */
  readonly count: number;
  /** Data address, or that of an IDA list; for a TIC the next CCW's. Guest-physical, bytes. */
  readonly cda: bigint;
}

/** Size of a CCW, bytes. */
export const CCW_SIZE = 8;

const COMMAND_NOP = 0x03;
const COMMAND_TIC = 0x08;
const FLAG_DATA_CHAINING = 0x80;
const FLAG_COMMAND_CHAINING = 0x40;
const FLAG_SKIP = 0x10;
const FLAG_IDA = 0x04;

/** Every whole CCW of a piece of memory (big-endian, as all of s390). */
export function parseCcws(bytes: Uint8Array): Ccw[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Array.from({ length: Math.floor(bytes.length / CCW_SIZE) }, (_, i) => ({
    command: view.getUint8(i * CCW_SIZE),
    flags: view.getUint8(i * CCW_SIZE + 1),
    count: view.getUint16(i * CCW_SIZE + 2),
    cda: BigInt(view.getUint32(i * CCW_SIZE + 4)),
  }));
}

/** Transfer in channel: goes on at another CCW. */
export function isTic({ command }: Ccw): boolean {
  return command === COMMAND_TIC;
}

/** Whether another CCW follows: data or command chaining. */
export function isChained({ flags }: Ccw): boolean {
  return (flags & (FLAG_DATA_CHAINING | FLAG_COMMAND_CHAINING)) !== 0;
}

/** Whether the data address is that of an IDA list. */
export function isIdal({ flags }: Ccw): boolean {
  return (flags & FLAG_IDA) !== 0;
}

/** Read, read backward and sense: the commands whose data the skip flag throws away. */
function storesData(command: number): boolean {
  return (command & 0x03) === 0x02 || (command & 0x0f) === 0x0c || (command & 0x0f) === 0x04;
}

/** ccw_does_data_transfer: whether its pages must be pinned. */
export function transfersData({ command, flags, count }: Ccw): boolean {
  if (count === 0 || command === COMMAND_NOP) return false;
  return (flags & FLAG_SKIP) === 0 || !storesData(command);
}
