/** Calls of one page each, map-dma of `pages` pages and then unmap-dma of the same, as lines of a batch. */
export function mapAndUnmapLines(pages: number): string[] {
  const iova = (page: number) => `0x${(page * 4096).toString(16)}`;
  const each = (make: (page: number) => object) =>
    Array.from({ length: pages }, (_, page) => JSON.stringify(make(page)));
  return [
    ...each((page) => ({
      call: 'map-dma',
      container: 'c0',
      iova: iova(page),
      vaddr: iova(page),
      size: '0x1000',
      flags: ['read', 'write'],
    })),
    ...each((page) => ({ call: 'unmap-dma', container: 'c0', iova: iova(page), size: '0x1000' })),
  ];
}

/** The calls that make container c0 with device d0 in it. */
export const SETUP: readonly { call: string; [argument: string]: unknown }[] = [
  { call: 'open-container', container: 'c0' },
  { call: 'create-device', device: 'd0', driver: { type: 'synthetic', onDmaUnmap: 'unpin-range' } },
  { call: 'attach', container: 'c0', device: 'd0' },
];
