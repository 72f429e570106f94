import { expect } from 'vitest';
import { type Reply, toReply } from '../../routes/replies.ts';
import type { CallObject } from '../../schemas/calls.ts';
import type { Host } from '../../src/host/host.ts';
import { hex } from '../../src/kernel/pages.ts';
import type { StartedCall } from '../../src/machine/call-task.ts';
import { checkCall } from '../../src/machine/table.ts';
import { newHost, SILENT } from './host.ts';

/** A call without the name of the container, which is always `c`. */
type Args = Record<string, unknown>;

/** A container `c` (type1v2) with devices, opened in the order in which they are named. */
export class DriverRig {
  readonly host: Host;

  constructor(drivers: Record<string, object>, version = '6.1') {
    this.host = newHost(SILENT, version);
    this.do('open-container', { container: 'c' });
    for (const [device, driver] of Object.entries(drivers)) this.attach(device, driver);
  }

  /** Creates a device and opens it in the container. */
  attach(device: string, driver: object): void {
    this.create(device, driver);
    this.do('open-device', { device });
  }

  /** Creates a device whose group is in the container, but does not open it. */
  create(device: string, driver: object): void {
    this.do('create-device', { device, driver });
    this.do('open-group', { device });
    this.do('set-container', { device, container: 'c' });
    this.reply('set-iommu', { type: 'type1v2' });
  }

  /** Starts a call, which may stop on its way. */
  start(call: string, args: Args = {}): StartedCall {
    const named: CallObject = { call, ...args };
    if (needsContainer(call)) named.container = 'c';
    return this.host.start(checkCall(named));
  }

  /** What a call is answered at once. */
  reply(call: string, args: Args = {}): Reply {
    const { answer } = this.start(call, args);
    if (!answer) throw new Error(`${call} is still under way`);
    return toReply(answer);
  }

  /** The answer of a call that must succeed. */
  do(call: string, args: Args = {}): Record<string, unknown> {
    const { status, body } = this.reply(call, args);
    expect(body, call).not.toHaveProperty('detail');
    expect(status, call).toBe(200);
    return body;
  }

  /** The errno of a call that must be refused. */
  errno(call: string, args: Args = {}): unknown {
    const { body } = this.reply(call, args);
    expect(body.status, call).toBeGreaterThanOrEqual(400);
    return body.errno;
  }

  /** Maps [iova, iova+size) read-write, by default onto memory at the same address. */
  map(iova: number, size: number, vaddr = iova): void {
    this.do('map-dma', { iova, vaddr, size, flags: ['read', 'write'] });
  }

  unmap(iova: number, size: number): Reply {
    return this.reply('unmap-dma', { iova, size });
  }

  /** Every pin of the container: key and reference count, lowest first. */
  pins(): [string, number][] {
    const found: [string, number][] = [];
    for (const { pins } of this.host.machine.container('c').view!.mappings()) {
      for (const { iova, refCount } of pins()) found.push([hex(iova), refCount]);
    }
    return found;
  }
}

function needsContainer(call: string): boolean {
  return ['map-dma', 'unmap-dma', 'set-iommu', 'iommu-info', 'close-container'].includes(call)
    ? true
    : call.startsWith('dirty-');
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

/** Functions that a call's log names, in order. */
export function logOf(body: Record<string, unknown>): unknown[] {
  const log = (body.log ?? []) as { function?: string; text?: string; kind: string }[];
  return log.map(({ function: fn, text }) => fn ?? text);
}

/** A channel command word of format 1, as the guest's memory has it. */
export function ccw(command: number, flags: number, count: number, cda: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeUInt8(command, 0);
  bytes.writeUInt8(flags, 1);
  bytes.writeUInt16BE(count, 2);
  bytes.writeUInt32BE(cda, 4);
  return bytes;
}

/** An IDA list. */
export function idal(...addresses: (number | bigint)[]): Buffer {
  const bytes = Buffer.alloc(8 * addresses.length);
  addresses.forEach((address, i) => {
    bytes.writeBigUInt64BE(BigInt(address), 8 * i);
  });
  return bytes;
}

export const READ = 0x02;
export const WRITE = 0x01;
export const NOP = 0x03;
export const TIC = 0x08;
export const CD = 0x80;
export const CC = 0x40;
export const SKIP = 0x10;
export const IDA = 0x04;
/** The program is held at a CCW with it. */
export const SUSPEND = 0x02;

/** Writes a channel program, or any bytes, into the memory of p0. */
export function poke(rig: DriverRig, vaddr: number, ...parts: Buffer[]): void {
  rig.do('write-memory', { process: 'p0', vaddr, data: Buffer.concat(parts).toString('base64') });
}
