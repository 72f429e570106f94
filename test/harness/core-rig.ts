import { expect } from 'vitest';
import { type Reply, toReply } from '../../routes/replies.ts';
import type { CallObject } from '../../schemas/calls.ts';
import type { Host } from '../../src/host/host.ts';
import { hex } from '../../src/kernel/pages.ts';
import type { StartedCall } from '../../src/machine/call-task.ts';
import { checkCall } from '../../src/machine/table.ts';
import { newHost } from './host.ts';
import { type Args, named, TestRig } from './test-rig.ts';

type Body = Record<string, unknown>;

/** A host in process: each call is answered at once, or waits for a callback. */
export class CoreRig extends TestRig<Reply, Body> {
  readonly host: Host;

  /** With `drivers`: container c0 (type1v2) with these mdevs, opened in the order in which they are named. */
  constructor(version = '6.1', drivers?: Readonly<Record<string, object>>) {
    super();
    this.host = newHost(version);
    if (!drivers) return;
    this.do('open-container');
    for (const [device, driver] of Object.entries(drivers)) this.attach(device, driver);
  }

  /** Starts a call, which may stop on its way. */
  start(call: string, args: Args = {}): StartedCall {
    return this.host.start(checkCall(named(call, args)));
  }

  ask(call: CallObject): Reply {
    const { answer } = this.host.start(checkCall(call));
    if (!answer) throw new Error(`${call.call} is still under way`);
    return toReply(answer);
  }

  inTurn(calls: readonly CallObject[]): Body {
    let last: Body = {};
    for (const call of calls) {
      const { status, body } = this.ask(call);
      expect(body, call.call).not.toHaveProperty('detail');
      expect(status, call.call).toBe(200);
      last = body;
    }
    return last;
  }

  /** Also sets the container's IOMMU, which a second device finds set. */
  override create(device: string, driver: object): Body {
    super.create(device, driver);
    return this.reply('set-iommu', { type: 'type1v2' }).body;
  }

  override attach(device: string, driver: object): Body {
    this.create(device, driver);
    return this.do('open-device', { device });
  }

  /** The errno of a call that must be refused. */
  errno(call: string, args: Args = {}): unknown {
    const { body } = this.reply(call, args);
    expect(body.status, call).toBeGreaterThanOrEqual(400);
    return body.errno;
  }

  /** Every pin of the container: key and reference count, lowest first. */
  pins(): [string, number][] {
    const found: [string, number][] = [];
    for (const { pins } of this.host.machine.container('c0').view!.mappings()) {
      for (const { iova, refCount } of pins()) found.push([hex(iova), refCount]);
    }
    return found;
  }
}

/** A rig after these calls, each of which succeeded. */
export function rigAfter(version: string, calls: readonly CallObject[]): CoreRig {
  const rig = new CoreRig(version);
  rig.inTurn(calls);
  return rig;
}

/** What came back from a BUG_ON: how many callbacks there were before it, and where it was. */
export function bugOf({ status, body }: Reply) {
  return {
    status,
    killed: body.killed ?? false,
    bug: (body.splat as { function?: string } | undefined)?.function,
    callbacks: (body.invalidations as unknown[] | undefined)?.length ?? 0,
  };
}

/** An unmap that ran into B1 after `callbacks` callbacks. */
export function b1(callbacks: number) {
  return { status: 409, killed: true, bug: 'vfio_dma_do_unmap', callbacks };
}

/** A call's advisories as `KIND devices iova ×count`. */
export function advisoriesOf({ advisories = [] }: Body): string[] {
  return (advisories as { kind: string; devices: string[]; iova: string; count: number }[]).map(
    ({ kind, devices, iova, count }) => `${kind} ${devices.join(',')} ${iova} ×${count}`,
  );
}

/** Functions that a call's log names, in order. */
export function logOf(body: Body): unknown[] {
  const log = (body.log ?? []) as { function?: string; text?: string; kind: string }[];
  return log.map(({ function: fn, text }) => fn ?? text);
}
