/** A call as a line of a batch. */
export const line = (call: string, more: object): string => JSON.stringify({ call, ...more });

const address = (page: number) => `0x${(page * 4096).toString(16)}`;
const each = (pages: number, make: (iova: string) => string) =>
  Array.from({ length: pages }, (_, page) => make(address(page)));

/** map-dma of one page each. */
export const mapLines = (pages: number): string[] =>
  each(pages, (iova) =>
    line('map-dma', { container: 'c0', iova, vaddr: iova, size: '0x1000', flags: ['read', 'write'] }),
  );

/** unmap-dma of the same. */
export const unmapLines = (pages: number): string[] =>
  each(pages, (iova) => line('unmap-dma', { container: 'c0', iova, size: '0x1000' }));

/** pin-pages of one page each. */
export const pinLines = (pages: number): string[] =>
  each(pages, (iova) => line('pin-pages', { device: 'd0', iova, npage: 1, prot: 3 }));

/** The calls that make container c0 with device d0 in it. */
export const setupLines = (driver: object = { type: 'synthetic', onDmaUnmap: 'unpin-range' }): string[] => [
  line('open-container', { container: 'c0' }),
  line('create-device', { device: 'd0', driver }),
  line('attach', { container: 'c0', device: 'd0' }),
];
