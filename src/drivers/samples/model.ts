import { mbochs, mdpy, mtty, type SampleConfig } from '../../../schemas/drivers/samples.ts';
import { type Model, ONE_ERA } from '../model.ts';
import { SampleDriver } from './driver.ts';

const sample = { eras: ONE_ERA, create: (config: SampleConfig) => new SampleDriver(config), calls: {} };

export const mttyModel: Model<typeof mtty> = { type: 'mtty', schemas: mtty, ...sample };
export const mdpyModel: Model<typeof mdpy> = { type: 'mdpy', schemas: mdpy, ...sample };
export const mbochsModel: Model<typeof mbochs> = { type: 'mbochs', schemas: mbochs, ...sample };
