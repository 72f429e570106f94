import type { DeviceLine, PendingLine, RigOverview } from '../../schemas/page.ts';
import { recordOf } from '../host/journal-writer.ts';
import { hex } from '../kernel/pages.ts';
import type { Device } from '../kernel/vfio/device.ts';
import type { CallTask } from '../machine/call-task.ts';
import { redactCall } from '../machine/redact.ts';
import type { Rig } from '../rig/rig.ts';
import { describeDevice } from '../views/device.ts';

/** A rig in one look: containers and devices by name, and the calls under way. */
export function overviewOf({ name, host }: Rig): RigOverview {
  const { kernel, journal } = host;
  return {
    rig: name,
    seq: journal.seq,
    oldest: journal.oldest,
    kernel: kernel.gen.version,
    taint: [...kernel.taint],
    containers: [...kernel.containers.values()].map(({ id, view }) => ({
      container: id,
      wedged: (view?.wedgedBy ?? null) !== null,
    })),
    devices: [...kernel.devices.values()].map(deviceLine),
    pending: [...host.waiting.list()].map(({ task, waitingMs }) => pendingLine(task, waitingMs)),
  };
}

function deviceLine(shown: Device): DeviceLine {
  const { device, kind, driver, group, groupOpen, openCount, container } = describeDevice(shown);
  const type = (driver as { type?: string } | undefined)?.type ?? null;
  return { device, kind, driver: type, group, groupOpen, openCount, container };
}

function pendingLine(task: CallTask, waitingMs: number): PendingLine {
  const { object, container, device, invalidations } = task;
  const last = invalidations.at(-1);
  return {
    seq: recordOf(task).seq,
    call: redactCall(object),
    ...(container === undefined ? {} : { container }),
    ...(device === undefined ? {} : { device }),
    waitingMs,
    ...(last ? { callback: callbackLine(last) } : {}),
  };
}

function callbackLine({ device, iova, length, attempt }: CallTask['invalidations'][number]) {
  return { device, iova: hex(iova), length: hex(length), attempt };
}
