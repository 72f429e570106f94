import type { ModelsView } from '../../schemas/views.ts';
import { hostOf, MODELS } from '../drivers/index.ts';
import type { Kernel } from '../kernel/kernel.ts';

/** What driver models keep besides their devices, by their types; a model that keeps nothing is absent. */
export function describeModels(kernel: Kernel): ModelsView {
  return Object.fromEntries(
    MODELS.flatMap((model) =>
      model.observe && kernel.modelHosts.has(model.type)
        ? [[model.type, model.observe(hostOf(kernel, model))]]
        : [],
    ),
  );
}
