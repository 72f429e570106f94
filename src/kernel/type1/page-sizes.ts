/** PAGE_MASK: the page sizes of a container without an IOMMU domain. */
export const ANY_PAGE_SIZE = 0xfffffffffffff000n;
