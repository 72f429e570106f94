/** VFIO_IOMMU_GET_INFO's answer, as iommu-info has it. */
interface RecordedInfo {
  readonly pageSizes: string;
  readonly dmaAvail: number;
  readonly dirtyPageSizes: string;
  readonly maxDirtyBitmapSize: string;
  readonly iovaRanges: readonly (readonly [string, string])[];
}

/** struct vfio_iommu_type1_info: its fixed part up to cap_offset, and flags, bytes. */
const FIXED = 20;
const HAS_PAGE_SIZES = 1;
const HAS_CAPABILITIES = 2;

/** Ids of capabilities (VFIO_IOMMU_TYPE1_INFO_CAP_…). */
const IOVA_RANGE = 1;
const MIGRATION = 2;
const DMA_AVAIL = 3;

/** Capabilities of one answer that are looked at: a chain that goes round is no chain. */
const CHAIN_MAX = 16;

/** Reads the struct; null where the program had no room for all of it, or the kernel gives less. */
export function infoOf(hexBytes: string): RecordedInfo | null {
  try {
    return parse(Buffer.from(hexBytes, 'hex'));
  } catch (error) {
    // A capability that ends beyond what there is.
    if (error instanceof RangeError) return null;
    throw error;
  }
}

function parse(bytes: Buffer): RecordedInfo | null {
  if (bytes.length < FIXED) return null;
  const flags = bytes.readUInt32LE(4);
  if (!(flags & HAS_PAGE_SIZES && flags & HAS_CAPABILITIES)) return null;
  const found: Partial<{ -readonly [F in keyof RecordedInfo]: RecordedInfo[F] }> = {
    pageSizes: hex(bytes.readBigUInt64LE(8)),
  };
  let at = bytes.readUInt32LE(16);
  for (let i = 0; i < CHAIN_MAX && at >= FIXED && at + 8 <= bytes.length; i++) {
    const body = at + 8;
    const id = bytes.readUInt16LE(at);
    if (id === IOVA_RANGE) found.iovaRanges = rangesAt(bytes, body);
    if (id === MIGRATION) {
      found.dirtyPageSizes = hex(bytes.readBigUInt64LE(body + 8));
      found.maxDirtyBitmapSize = hex(bytes.readBigUInt64LE(body + 16));
    }
    if (id === DMA_AVAIL) found.dmaAvail = bytes.readUInt32LE(body);
    at = bytes.readUInt32LE(at + 4);
  }
  const { dmaAvail, iovaRanges, dirtyPageSizes } = found;
  const isWhole = dmaAvail !== undefined && iovaRanges !== undefined && dirtyPageSizes !== undefined;
  return isWhole ? (found as RecordedInfo) : null;
}

function rangesAt(bytes: Buffer, at: number): [string, string][] {
  const count = bytes.readUInt32LE(at);
  return Array.from({ length: count }, (_, i) => {
    const range = at + 8 + 16 * i;
    return [hex(bytes.readBigUInt64LE(range)), hex(bytes.readBigUInt64LE(range + 8))];
  });
}

function hex(value: bigint): string {
  return `0x${value.toString(16)}`;
}
