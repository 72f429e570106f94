import type { CallObject } from '../../schemas/calls.ts';
import type { LogEntry } from '../kernel/splats.ts';
import { type AdvisoryEntry, heard, type InvalidationEntry, type Reply, toReply } from '../machine/answer.ts';
import { Refused } from '../machine/refused.ts';
import type { Host } from './host.ts';

/** A sequence of calls under way as one. */
export interface StartedSequence {
  readonly settled: Promise<Reply>;
  invalidations(): InvalidationEntry[];
}

/**
 * `attach`: open-group, set-container, set-iommu type1v2 unless an IOMMU is set, open-device. When one of them
 * is refused, the ones before are taken back and its problem is the answer.
 */
export function attach(host: Host, container: string, device: string, reqId?: string): StartedSequence {
  const group = host.machine.device(device).group.id;
  const hasIommu = host.machine.container(container).iommu !== null;
  const setIommu: CallObject = { call: 'set-iommu', container, type: 'type1v2' };
  return sequence(
    host,
    [
      { do: { call: 'open-group', device }, undo: { call: 'close-group', device } },
      { do: { call: 'set-container', device, container }, undo: { call: 'unset-container', device } },
      ...(hasIommu ? [] : [{ do: setIommu }]),
      { do: { call: 'open-device', device } },
    ],
    { container, device, group },
    reqId,
  );
}

/** `detach`: close-device, unset-container, close-group; stops at the first that is refused. */
export function detach(host: Host, container: string, device: string, reqId?: string): StartedSequence {
  host.machine.container(container);
  const {
    group: { id: group, container: actual },
  } = host.machine.device(device);
  if (actual && actual.id !== container) {
    throw new Refused(
      409,
      'other-container',
      'In another container',
      `device "${device}" is in container "${actual.id}", not in "${container}"`,
    );
  }
  const calls = ['close-device', 'unset-container', 'close-group'];
  return sequence(
    host,
    calls.map((call) => ({ do: { call, device } })),
    { container, device, group },
    reqId,
  );
}

function sequence(
  host: Host,
  steps: { do: CallObject; undo?: CallObject }[],
  body: Record<string, unknown>,
  reqId: string | undefined,
): StartedSequence {
  const invalidations: InvalidationEntry[] = [];
  const run = async (): Promise<Reply> => {
    const log: LogEntry[] = [];
    const advisories: AdvisoryEntry[] = [];
    const undo: CallObject[] = [];
    for (const step of steps) {
      const started = host.start(step.do, reqId);
      const answer = started.answer ?? (await started.settled);
      const reply = toReply(answer);
      log.push(...answer.log);
      advisories.push(...answer.advisories);
      invalidations.push(...answer.invalidations);
      if (reply.status >= 400) {
        for (const call of undo.reverse()) host.start(call, reqId);
        return reply;
      }
      if (step.undo) undo.push(step.undo);
    }
    return { status: 200, body: { ...body, ...heard({ invalidations, log, advisories }) } };
  };
  return { settled: run(), invalidations: () => invalidations };
}
