import type { TourStep } from './tour.ts';

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
export const LAST_TOUR: Readonly<Record<string, readonly TourStep[]>> = { last: LAST };
