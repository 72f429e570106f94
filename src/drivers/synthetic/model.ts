import { synthetic } from '../../../schemas/drivers/synthetic.ts';
import { each } from '../../kernel/saved/each.ts';
import { type Model, notAscending, ONE_ERA } from '../model.ts';
import { SyntheticDriver } from './driver.ts';

export const syntheticModel: Model<typeof synthetic, SyntheticDriver> = {
  type: 'synthetic',
  schemas: synthetic,
  eras: ONE_ERA,
  create: (config) => new SyntheticDriver(config),
  calls: {},
  derived: ['pinnedKeys'],
  pinsOf: ({ pins }) => ({ field: 'pins', count: pins.reduce((sum, { times }) => sum + times, 0) }),
  checkState: (_driver, { pins }) =>
    notAscending(
      'pins',
      each(pins, ({ iova }) => BigInt(iova)),
    ),
};
