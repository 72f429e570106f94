import type { Driver } from '../../schemas/drivers.ts';
import type { MdevDriver } from '../kernel/driver.ts';
import type { Generation } from '../kernel/generations/index.ts';
import { ExternalDriver } from './external.ts';
import { GvtGDriver } from './gvt-g.ts';
import { SampleDriver } from './samples.ts';
import { SyntheticDriver } from './synthetic.ts';
import { VfioApDriver } from './vfio-ap.ts';
import { VfioCcwDriver } from './vfio-ccw.ts';
import { VfioPciDriver } from './vfio-pci.ts';

/** The driver a client asked for, in the variant of the kernel unless it names one; none is a vfio-pci device's. */
export function createDriver(config: Driver | undefined, gen: Generation): MdevDriver {
  if (!config) return new VfioPciDriver();
  switch (config.type) {
    case 'synthetic':
      return new SyntheticDriver(config);
    case 'webhook':
    case 'manual':
      return new ExternalDriver(config);
    case 'vfio-ap':
      return new VfioApDriver({ ...gen.drivers['vfio-ap'], ...config });
    case 'vfio-ccw':
      return new VfioCcwDriver({ ...gen.drivers['vfio-ccw'], ...config });
    case 'gvt-g':
      return new GvtGDriver({ ...gen.drivers['gvt-g'], ...config });
    case 'mtty':
    case 'mdpy':
    case 'mbochs':
      return new SampleDriver(config);
  }
}
