import { manual, webhook } from '../../../schemas/drivers/external.ts';
import { type Model, ONE_ERA } from '../model.ts';
import { ExternalDriver } from './driver.ts';

export const webhookModel: Model<typeof webhook> = {
  type: 'webhook',
  schemas: webhook,
  eras: ONE_ERA,
  create: (config) => new ExternalDriver(config),
  calls: {},
};

export const manualModel: Model<typeof manual> = {
  type: 'manual',
  schemas: manual,
  eras: ONE_ERA,
  create: (config) => new ExternalDriver(config),
  calls: {},
};
