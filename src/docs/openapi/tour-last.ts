import { rigOf, type TourStep } from './tour.ts';

const LEAKY = { type: 'synthetic', onDmaUnmap: 'ignore' };
const SEARCH = { drivers: [LEAKY], goal: 'BUG_ON', depth: 8, pages: 1, mappings: 1 };
const ASYNC = { prefer: 'respond-async' };

const SEARCHES: TourStep[] = [
  {
    what: 'how a driver that ignores callbacks comes to a BUG_ON',
    method: 'POST',
    url: '/v1/explore',
    body: SEARCH,
  },
  {
    what: 'a trace with more than it needs',
    method: 'POST',
    url: '/v1/minimize',
    body: {
      goal: 'BUG_ON',
      scenario: {
        kernel: '6.1',
        steps: [
          ...rigOf('d0', LEAKY),
          { call: 'pin-pages', device: 'd0', iova: '0x15000', npage: 1, prot: ['read'] },
          { call: 'pin-pages', device: 'd0', iova: '0x16000', npage: 1, prot: ['read'] },
          { call: 'unmap-dma', container: 'c0', iova: '0x10000', size: '0x10000' },
        ],
      },
    },
  },
  {
    what: 'a long one',
    method: 'POST',
    url: '/v1/explore',
    body: { ...SEARCH, goal: 'DEADLOCK', depth: 12, pages: 4, mappings: 8, seconds: 60 },
    headers: ASYNC,
  },
  { what: 'a search under way', method: 'GET', url: '/v1/operations' },
  { what: 'enough', method: 'DELETE', url: '/v1/operations/op0' },
];

const LAST: TourStep[] = [
  { what: 'the rigs of this tour', method: 'GET', url: '/v1/rigs' },
  { what: 'it is gone', method: 'DELETE', url: '/v1/rigs/gvt-g' },
  { what: 'counters', method: 'GET', url: '/metrics' },
  { what: null, method: 'POST', url: '/v1/containers', body: { container: 'c0' } },
  {
    what: 'what a GET gave',
    method: 'PUT',
    url: '/v1/snapshot',
    bodyOf: '/v1/snapshot',
  },
];

/** What comes last, because it shows the others. */
export const LAST_TOUR: Readonly<Record<string, readonly TourStep[]>> = {
  searches: SEARCHES,
  last: LAST,
};
