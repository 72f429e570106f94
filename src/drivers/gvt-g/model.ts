import { gvtG } from '../../../schemas/drivers/gvt-g.ts';
import { TOP_PAGE } from '../../kernel/pages.ts';
import { type Model, notAscending, throughFile } from '../model.ts';
import { GvtGDriver } from './driver.ts';

/** What a kernel has unless the client names a variant. */
const ERAS = {
  '5.10': { variant: 'notifier', emptyUnpin: true },
  '6.1': { variant: 'callback', emptyUnpin: true },
  '6.12': { variant: 'callback', emptyUnpin: false },
} as const;

/** A guest frame number: that of a 64-bit address. */
function checkGfn(_driver: GvtGDriver, { gfn }: { gfn: string | number }): string | null {
  return BigInt(gfn) < BigInt(TOP_PAGE) ? null : `gfn ${gfn} is not a frame number below 2^52`;
}

export const gvtGModel: Model<typeof gvtG, GvtGDriver, (typeof ERAS)[keyof typeof ERAS]> = {
  type: 'gvt-g',
  schemas: gvtG,
  eras: ERAS,
  create: (config, era) => new GvtGDriver({ ...era, ...config }),
  calls: {
    'gvt-map-page': {
      way: throughFile,
      check: checkGfn,
      run: (driver, api, { gfn, size }) => driver.mapPage(api, Number(gfn), size),
    },
    'gvt-unmap-page': {
      way: throughFile,
      check: checkGfn,
      run: (driver, api, { gfn }) => driver.unmapPage(api, Number(gfn)),
    },
  },
  derived: ['entries'],
  checkState: (_driver, { cache }) =>
    notAscending(
      'cache',
      cache.map(({ gfn }) => BigInt(gfn)),
    ),
};
