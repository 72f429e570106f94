import { readdirSync, readlinkSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { type VfioHostClient, VfioHostError } from '../client/index.ts';

/** How often it is looked whether somebody still has files of a run open, milliseconds. */
const LOOK_MS = 100;

/** Processes that have files of a run open; their memfds bear its folder's name. */
function holders(run: string): number[] {
  const pids = readdirSync('/proc').filter((name) => /^[0-9]+$/.test(name));
  return pids.filter((pid) => openFiles(pid).some((link) => link.startsWith(`/memfd:${run} `))).map(Number);
}

/** What the descriptors of a process name; nothing where it has gone or is somebody else's. */
function openFiles(pid: string): string[] {
  try {
    return readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
      try {
        return [readlinkSync(`/proc/${pid}/fd/${fd}`)];
      } catch {
        return [];
      }
    });
  } catch {
    return [];
  }
}

/**
 * Waits until no process has files of the run open: what a program left running may still use them.
 *
 * @param enough ends the waiting
 */
export async function untilNobodyHas(
  run: string,
  tell: (pids: readonly number[]) => void,
  enough: AbortSignal,
): Promise<void> {
  let pids = holders(run);
  if (pids.length > 0) tell(pids);
  for (; pids.length > 0 && !enough.aborted; pids = holders(run)) {
    await sleep(LOOK_MS, undefined, { signal: enough }).catch(() => {});
  }
}

/** What became of what a program left open, in order, in words. */
export interface Leftovers {
  readonly closed: string[];
  /** What could not be closed, each with the reason: the lock it needs is held for ever. */
  readonly stuck: string[];
}

/**
 * Closes what is still open, because whoever had it was killed: devices, then groups, then containers, each from
 * the last to the first, as programs open them the other way round.
 */
export async function closeLeftovers(client: VfioHostClient): Promise<Leftovers> {
  const closed: string[] = [];
  const stuck: string[] = [];
  const attempt = async (what: string, close: () => Promise<unknown>) => {
    try {
      await close();
      closed.push(what);
    } catch (error) {
      if (!(error instanceof VfioHostError)) throw error;
      stuck.push(`${what}: ${error.message}`);
    }
  };
  const devices = (await all(client.devices())).reverse();
  for (const { device, openCount } of devices) {
    for (let i = 0; i < openCount; i++) {
      await attempt(`device ${device}`, () => client.device(device).closeDevice());
    }
  }
  for (const { device, group, groupOpen } of devices) {
    if (groupOpen) await attempt(`group ${group}`, () => client.device(device).closeGroup());
  }
  for (const { container, open } of (await all(client.containers())).reverse()) {
    if (open) await attempt(`container ${container}`, () => client.container(container).closeContainer());
  }
  return { closed, stuck };
}

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const item of items) found.push(item);
  return found;
}
