import type { DriverCalls, DriverHostCalls } from '../../../schemas/drivers/index.ts';
import { hostOf, MODELS } from '../../drivers/index.ts';
import type { Broken, DriverAnswer, DriverCall, DriverModel, HostCall } from '../../drivers/model.ts';
import type { KernelStep, Task } from '../../kernel/task.ts';
import type { Device } from '../../kernel/vfio/device.ts';
import type { CallHandler, CallHandlers, KernelCall } from '../call-handler.ts';
import { Refused } from '../refused.ts';

/** The calls of the driver models: what a guest or the hardware makes a driver do. */
export const driverCalls = Object.fromEntries(
  MODELS.flatMap((model) => [
    ...Object.entries(model.calls).map(([name, call]) => [name, handlerOf(model, name, call)]),
    ...Object.entries(model.hostCalls ?? {}).map(([name, call]) => [name, hostHandlerOf(model, call)]),
  ]),
) as CallHandlers<keyof DriverCalls | keyof DriverHostCalls>;

function handlerOf(model: DriverModel, name: string, call: DriverCall): CallHandler<keyof DriverCalls> {
  return (machine, device, args) => {
    const driver = driverOf(device, model, name);
    refuseBroken(call.check?.(driver, args));
    const way = call.way(args);
    return {
      run(task: Task) {
        if (way === 'file' && device.openCount === 0) return notOpen(task);
        return call.run(driver, machine.kernel.driverApi(task, device), args);
      },
      answer: (answer: DriverAnswer) => answer,
    } satisfies KernelCall<DriverAnswer>;
  };
}

function* notOpen(task: Task): KernelStep<DriverAnswer> {
  return task.refuse('EBADF', 'the device is not open');
}

/** A call on the host: it acts on what the devices of its model share. */
function hostHandlerOf(model: DriverModel, call: HostCall): CallHandler<keyof DriverHostCalls> {
  return (machine, _host, args) => {
    const { kernel } = machine;
    const host = hostOf(kernel, model)!;
    refuseBroken(call.check?.(host, args));
    return (task) => call.run(host, kernel.driverTask(task, model.type), args);
  };
}

function refuseBroken(broken: Broken | null | undefined): void {
  if (typeof broken === 'string') throw Refused.badRequest(broken);
  if (broken) throw Refused.tooMany(broken.tooMany, broken.most);
}

function driverOf({ id, driver, kind }: Device, { type }: DriverModel, call: string) {
  const has = driver.config?.type ?? kind;
  if (has === type) return driver;
  throw Refused.badRequest(`${call} is for a device with a ${type} driver; "${id}" has ${has}`);
}
