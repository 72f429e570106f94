import type { CallObject, Convenience } from '../../schemas/calls.ts';
import type { DriverEffects } from '../kernel/driver.ts';
import type { GuestId } from '../kernel/guest.ts';
import type { SplatReport } from '../kernel/splat-report.ts';
import type { LogEntry } from '../kernel/splats.ts';
import type { AdvisoryEntry, Answer, InvalidationEntry } from './answer.ts';
import type { CallBody } from './call-handler.ts';
import type { StartedCall } from './call-task.ts';
import type { Machine } from './machine.ts';
import { Refused } from './refused.ts';

/** A call, and the one that takes it back. */
interface Part {
  readonly do: CallObject;
  readonly undo?: CallObject;
}

/** The calls that a convenience is made of, and what it answers when none of them is refused. */
interface Plan {
  readonly parts: readonly Part[];
  readonly body: CallBody;
}

/**
 * `attach`: open-group, set-container, set-iommu type1v2 unless an IOMMU is set, ap-set-guest where a guest is named,
 * open-device. When one of them is refused, the ones before are taken back (unless a guest is named) and its answer
 * is the answer.
 */
function attach(machine: Machine, call: CallObject): Plan {
  const { container, device, guest } = call as {
    call: string;
    container: string;
    device: string;
    guest?: GuestId | null;
  };
  const named = byProcess(call);
  const group = machine.device(device).group.id;
  const hasIommu = machine.container(container).iommu !== null;
  // With a guest that its driver does not take, the group stays for another one (recordings no-guest, guest-twice).
  // Who opened the container opens the rest as well.
  const { id, alive } = machine.container(container).process;
  const by = named ?? (alive && id !== 'p0' ? { process: id } : {});
  const undo = (call: string) => (guest === undefined ? { undo: { call, device, ...by } } : {});
  return {
    parts: [
      { do: { call: 'open-group', device, ...by }, ...undo('close-group') },
      { do: { call: 'set-container', device, container, ...by }, ...undo('unset-container') },
      ...(hasIommu ? [] : [{ do: { call: 'set-iommu', container, type: 'type1v2', ...named } }]),
      ...(guest === undefined ? [] : [{ do: { call: 'ap-set-guest', device, guest } }]),
      { do: { call: 'open-device', device, ...by } },
    ],
    body: { container, device, group },
  };
}

/** `detach`: close-device, unset-container, close-group; stops at the first that is refused. */
function detach(machine: Machine, call: CallObject): Plan {
  const { container, device } = call as { call: string; container: string; device: string };
  machine.container(container);
  const { group } = machine.device(device);
  const actual = group.container;
  if (actual && actual.id !== container) {
    throw new Refused(
      'other-container',
      `device "${device}" is in container "${actual.id}", not in "${container}"`,
    );
  }
  const parts = ['close-device', 'unset-container', 'close-group'];
  return {
    parts: parts.map((part) => ({ do: { call: part, device, ...byProcess(call) } })),
    body: { container, device, group: group.id },
  };
}

/** The process that a call names, for its parts. */
function byProcess({ process }: CallObject): { process: unknown } | undefined {
  return process === undefined ? undefined : { process };
}

/** The conveniences: calls that are made of others, which alone are journalled and recorded. */
export const CONVENIENCES: Readonly<Record<Convenience, (machine: Machine, call: CallObject) => Plan>> = {
  attach,
  detach,
};

/**
 * Several calls as one. Its answer is that of the part that was refused, or its own with what happened in all of
 * them. A part is started when the one before is answered.
 */
export class Sequence implements StartedCall {
  answer: Answer | null = null;
  private at = 0;
  private waiters: ((answer: Answer) => void)[] = [];
  private readonly log: LogEntry[] = [];
  private readonly splats: SplatReport[] = [];
  private readonly invalidations: InvalidationEntry[] = [];
  private readonly advisories: AdvisoryEntry[] = [];
  effects: DriverEffects | null = null;
  private milliseconds = 0;
  private underway: StartedCall | null = null;

  constructor(
    private readonly machine: Machine,
    readonly object: CallObject,
    private readonly plan: Plan,
    private readonly reqId: string | undefined,
    private readonly background: boolean,
  ) {
    this.next();
  }

  delivered(): readonly InvalidationEntry[] {
    return this.invalidations;
  }

  lines(): readonly LogEntry[] {
    return this.log;
  }

  readonly waitsForEvent = false;

  awaited(): void {
    this.underway?.awaited();
  }

  whenAnswered(tell: (answer: Answer) => void): void {
    if (this.answer) tell(this.answer);
    else this.waiters.push(tell);
  }

  private next(): void {
    const part = this.plan.parts[this.at];
    if (part) this.begin(part.do);
    else this.end(this.answered());
  }

  private begin(call: CallObject): void {
    let started: StartedCall;
    try {
      started = this.machine.start(call, this.reqId, this.background);
      this.underway = started;
    } catch (error) {
      // The first part is refused to whoever starts the sequence; a later one is what the sequence came to.
      if (this.at === 0) throw error;
      this.fail({ ...this.answered(), call: call.call, end: { how: 'crashed', error } });
      return;
    }
    if (started.answer) this.take(started.answer);
    // Told in the middle of the kernel's work, where no call can be started.
    else started.whenAnswered((answer) => this.machine.afterwards(() => this.take(answer)));
  }

  private take(answer: Answer): void {
    const { end } = answer;
    if (end.how !== 'returned' || typeof end.value === 'string') {
      this.fail(answer);
      return;
    }
    this.log.push(...answer.log);
    this.splats.push(...answer.splats);
    this.invalidations.push(...answer.invalidations);
    this.advisories.push(...answer.advisories);
    if (answer.effects) this.effects = this.effects ? joined(this.effects, answer.effects) : answer.effects;
    this.milliseconds += answer.milliseconds;
    this.at++;
    this.next();
  }

  /** A part was refused: the ones before are taken back. */
  private fail(answer: Answer): void {
    if (!isAbandoned(answer)) {
      for (const { undo } of this.plan.parts.slice(0, this.at).reverse()) {
        if (undo) this.machine.start(undo, this.reqId);
      }
    }
    this.end(answer);
  }

  /** Its own answer: no part was refused. */
  private answered(): Answer {
    const { log, splats, invalidations, advisories, effects, milliseconds } = this;
    return {
      call: this.object.call,
      end: { how: 'returned', value: this.plan.body },
      log,
      splats,
      invalidations,
      advisories,
      effects,
      milliseconds,
      why: null,
      writtenBack: null,
    };
  }

  private end(answer: Answer): void {
    this.answer = answer;
    for (const tell of this.waiters) tell(answer);
    this.waiters = [];
  }
}

/** What driver models did in two calls, one after the other. */
function joined(first: DriverEffects, second: DriverEffects): DriverEffects {
  const all: Record<string, unknown> = { ...first };
  for (const [field, value] of Object.entries(second)) {
    const before = all[field];
    all[field] = Array.isArray(before) ? [...before, ...(value as unknown[])] : value;
  }
  return all;
}

/** Whether the machine is gone, and with it what could be taken back. */
function isAbandoned({ end }: Answer): boolean {
  return end.how === 'crashed' && end.error instanceof Refused && end.error.slug === 'abandoned';
}
