import { readdirSync, readlinkSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ProcessView } from '../../schemas/views.ts';
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

/** What is still open when no process is left: the exit of who had it waits for ever. */
const EXIT_HANGS = 'the exit of the process that had it open never returns';

/**
 * Ends the processes that were killed, so that the kernel closes what they left open. One that had already ended leaves
 * nothing.
 */
export async function closeLeftovers(client: VfioHostClient): Promise<Leftovers> {
  const closed: string[] = [];
  const why = new Map<string, string>();
  for (const { process, files } of await all(client.processes())) {
    if (files.length === 0 && process === 'p0') continue;
    const had = files.map(inWords).reverse();
    try {
      await client.process(process).exitProcess();
    } catch (error) {
      if (!(error instanceof VfioHostError)) throw error;
      for (const file of had) why.set(file, error.message);
    }
    const open = await stillOpen(client);
    closed.push(...had.filter((file) => !open.has(file)));
  }
  const stuck = [...(await stillOpen(client))].map((file) => `${file}: ${why.get(file) ?? EXIT_HANGS}`);
  return { closed, stuck };
}

function inWords({ container, group, device }: ProcessView['files'][number]): string {
  if (container !== undefined) return `container ${container}`;
  return device === undefined ? `group ${group}` : `device ${device}`;
}

/** What anybody has open, in words. */
async function stillOpen(client: VfioHostClient): Promise<Set<string>> {
  const open = new Set<string>();
  for await (const { device, group, openCount, groupOpen } of client.devices()) {
    if (openCount > 0) open.add(`device ${device}`);
    if (groupOpen) open.add(`group ${group}`);
  }
  for await (const { container, open: isOpen } of client.containers()) {
    if (isOpen) open.add(`container ${container}`);
  }
  return open;
}

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const item of items) found.push(item);
  return found;
}
