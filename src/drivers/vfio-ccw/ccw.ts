/** A channel command word of format 1. */
export interface Ccw {
  readonly command: number;
  readonly flags: number;
  /** Bytes to transfer. */
  readonly count: number;
  /** Data address, or that of an IDA list; for a TIC the next CCW's. Guest-physical, bytes, 32 bits. */
  readonly cda: number;
}

/** Size of a CCW, bytes. */
export const CCW_SIZE = 8;

export const COMMAND_NOP = 0x03;
export const COMMAND_SENSE = 0x04;
export const COMMAND_TIC = 0x08;
export const COMMAND_SENSE_ID = 0xe4;

export const FLAG_DATA_CHAINING = 0x80;
export const FLAG_COMMAND_CHAINING = 0x40;
export const FLAG_SUPPRESS_LENGTH = 0x20;
const FLAG_SKIP = 0x10;
const FLAG_IDA = 0x04;
export const FLAG_SUSPEND = 0x02;
export const FLAG_MIDA = 0x01;

/**
 * Every whole CCW of a piece of memory (big-endian, as all of s390). Those of format 0 are converted
 * (convert_ccw0_to_ccw1): there any command whose low nibble is 8 is a TIC, and its flags and count mean nothing
 * (fmt0-tic-98, fmt0-tic-flags).
 */
export function parseCcws(bytes: Uint8Array, format: 0 | 1): Ccw[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const parse = format === 1 ? format1 : format0;
  return Array.from({ length: Math.floor(bytes.length / CCW_SIZE) }, (_, i) => parse(view, i * CCW_SIZE));
}

function format1(view: DataView, at: number): Ccw {
  return {
    command: view.getUint8(at),
    flags: view.getUint8(at + 1),
    count: view.getUint16(at + 2),
    cda: view.getUint32(at + 4),
  };
}

function format0(view: DataView, at: number): Ccw {
  const command = view.getUint8(at);
  const cda = view.getUint32(at) & 0xffffff;
  if ((command & 0x0f) === COMMAND_TIC) return { command: COMMAND_TIC, flags: 0, count: 0, cda };
  return { command, flags: view.getUint8(at + 4), count: view.getUint16(at + 6), cda };
}

/** Transfer in channel: goes on at another CCW. */
export function isTic({ command }: Ccw): boolean {
  return command === COMMAND_TIC;
}

/** ccw_is_chain: whether another CCW follows, by data or command chaining. */
export function isChain({ flags }: Ccw): boolean {
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
export function doesDataTransfer({ command, flags, count }: Ccw): boolean {
  if (count === 0 || command === COMMAND_NOP) return false;
  return (flags & FLAG_SKIP) === 0 || !storesData(command);
}

/** is_cpa_within_range: whether an address is within `length` CCWs from `head`, at most the last one's start. */
export function isCpaWithinRange(cpa: number, head: number, length: number): boolean {
  const tail = (head + (length - 1) * CCW_SIZE) >>> 0;
  return head <= cpa && cpa <= tail;
}
