import type { CallObject } from '../../../schemas/calls.ts';
import { bodyOf } from '../../../src/machine/answer.ts';
import { modelStates } from '../../../src/replay/devices.ts';
import { CoreRig } from '../../harness/core-rig.ts';

/** Adapter 0, domains 0 and 1. */
export const QUEUES = [0, 1];

type Body = Record<string, unknown>;
interface Pqap {
  response?: number;
  cc?: number;
  gr1?: string;
  intercept?: string;
}

/** A kernel with AP devices in container c0, each open on a guest of its own, and [0x10000, 0x20000) mapped. */
export class ApRig extends CoreRig {
  constructor(version: string, devices: Record<string, readonly number[]> = { d0: QUEUES }) {
    super(version, {});
    for (const [device, queues] of Object.entries(devices)) this.attach(device, { type: 'vfio-ap', queues });
    if (Object.keys(devices).length > 0) this.map(0x10000, 0x10000);
  }

  enable(nib = 0x14008, apqn = 0, device = 'd0', isc = 3): Body & Pqap {
    return this.do('ap-enable-interrupt', { device, apqn, nib, isc });
  }
  disable(apqn = 0, device = 'd0'): Body & Pqap {
    return this.do('ap-disable-interrupt', { device, apqn });
  }
  inject(instruction: string, responses: readonly unknown[], apqn = 0, device = 'd0'): void {
    this.do('ap-inject', { device, apqn, instruction, responses });
  }

  /** What a call is answered, whatever that is. */
  answer(call: string, args: Body = {}): Body & { errno?: string } {
    return this.reply(call, args).body;
  }

  /** Instructions that an answer shows: operation and APQN, those of works marked. */
  static issued({ instructions = [] }: Body & { instructions?: unknown }): string[] {
    const list = instructions as { op: string; apqn: number; response: number; by?: string }[];
    return list.map(({ op, apqn, response, by }) => `${op} ${apqn}: ${response}${by ? ' work' : ''}`);
  }

  /** The state of a device. */
  state(device = 'd0'): {
    queues: { apqn: number; savedIova: string | null; savedIsc: number | null; resetResponse?: number }[];
    adapters: number[];
    domains: number[];
    guestAdapters: number[];
    guestDomains: number[];
    pinned: string[];
  } {
    return this.host.machine.device(device).driver.state!(256) as ReturnType<ApRig['state']>;
  }

  /** A guest, as recordings show it; one that holds nothing has empty masks. */
  guest(id: number): { adapters: number[]; domains: number[]; iscs: Record<string, number>; hook: boolean } {
    const { guests = [] } = modelStates(this.host.kernel);
    const found = (guests as ({ guest: number } & ReturnType<ApRig['guest']>)[]).find(
      ({ guest }) => guest === id,
    );
    return found ?? { adapters: [], domains: [], iscs: {}, hook: false };
  }

  /** Starts a call that nobody waits for. */
  background(call: CallObject) {
    const started = this.host.start(call, undefined, true);
    return {
      get done() {
        return started.answer !== null;
      },
      wait(): Body {
        started.awaited();
        return bodyOf(started.answer!);
      },
    };
  }
}
