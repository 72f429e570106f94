import { Type } from '@sinclair/typebox';
import { Count } from '../answers.ts';
import { Address64, Base64, Byte, FlagWord, Hex, Int32, Length, oneOf, PROT_FLAGS } from '../values.ts';
import { call } from './entry.ts';
import { driverThread } from './stacks.ts';

/** What an mdev’s driver calls of VFIO: pages that it pins and unpins, memory that it reads and writes. */
export const pinCalls = {
  'pin-pages': call({
    about:
      'vfio_pin_pages, as a driver makes it: pins `npage` pages from `iova` on, wherever a mapping has them.',
    on: 'device',
    by: 'driver',
    args: { iova: Address64, npage: Int32, prot: FlagWord(PROT_FLAGS) },
    answer: { pinned: Count, pages: Type.Array(Type.Object({ iova: Hex, pfn: Hex })) },
    stack: driverThread('vfio_pin_pages'),
  }),
  'unpin-pages': call({
    about: 'vfio_unpin_pages, as a driver makes it: gives `npage` pages from `iova` on back.',
    on: 'device',
    by: 'driver',
    args: { iova: Address64, npage: Int32 },
    answer: { unpinned: Type.Optional(Type.Integer({ description: 'on 5.10: the pages walked' })) },
    stack: driverThread('vfio_unpin_pages'),
  }),
  'dma-rw': call({
    about: 'vfio_dma_rw, as a driver makes it: copies from or to the memory behind an IOVA, without a pin.',
    on: 'device',
    by: 'driver',
    args: {
      iova: Address64,
      write: Type.Boolean(),
      length: Type.Optional(Length),
      data: Type.Optional(Base64),
      fill: Type.Optional(Byte),
      context: Type.Optional(oneOf('process', 'kthread')),
    },
    answer: { data: Type.Optional(Type.String()) },
    stack: driverThread('vfio_dma_rw'),
  }),
};
