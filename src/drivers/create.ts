import type { Driver } from '../../schemas/drivers.ts';
import type { MdevDriver } from '../kernel/driver.ts';
import { SyntheticDriver } from './synthetic.ts';
import { VfioPciDriver } from './vfio-pci.ts';
import { WebhookDriver } from './webhook.ts';

/** The driver a client asked for; none is a vfio-pci device's. */
export function createDriver(config: Driver | undefined): MdevDriver {
  if (!config) return new VfioPciDriver();
  switch (config.type) {
    case 'synthetic':
      return new SyntheticDriver(config);
    case 'webhook':
      return new WebhookDriver(config);
  }
}
