import { refusalReply, toReply } from '../../routes/replies.ts';
import type { CallObject } from '../../schemas/calls.ts';
import type { Host } from '../../src/host/host.ts';
import type { Answer } from '../../src/machine/answer.ts';
import { Refused } from '../../src/machine/refused.ts';
import { checkCall } from '../../src/machine/table.ts';
import type { KernelDump } from '../harness/kernel-dump.ts';

/** How a call ended: as a table of refusals names it, with what it printed. `ok` is none. */
export interface Ending {
  how: string | number;
  log: Answer['log'];
  /** With an errno: the problem's detail and title. */
  words?: { detail: string; title: string };
}

/** Makes a call, as a client's request or a trace's line would. */
export function make(host: Host, call: CallObject): Ending {
  let answer: Answer | null;
  try {
    answer = host.start(checkCall(call)).answer;
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    return { how: refusalReply(error).status, log: [] };
  }
  if (!answer) return { how: 'pending', log: [] };
  const { end, log } = answer;
  if (end.how === 'crashed') throw end.error;
  if (end.how !== 'returned') return { how: end.how, log };
  if (typeof end.value !== 'string') return { how: 'ok', log };
  const { detail, title } = toReply(answer).body as { detail: string; title: string };
  return { how: end.value, log, words: { detail, title } };
}

/** Whether such an ending means that nothing was done: an errno, a wrong request, or a lock held for ever. */
export function isRefusal({ how }: Ending): boolean {
  return typeof how === 'number' || how === 'wedged' || /^E[A-Z0-9]+$/.test(how);
}

/** Whether a refusal says no more than the errno's title, which every client knows. */
export function saysOnlyTitle(call: CallObject, { words }: Ending): boolean {
  return words !== undefined && words.detail.replace(`${call.call}: `, '').trim() === words.title;
}

const PAGE = 4096n;
type MappingDump = NonNullable<KernelDump['containers'][number]['iommu']>['mappings'][number];

/**
 * The state that a refused call should leave: the one before it, but for what the kernel itself leaves behind.
 * Of such things `after` is taken where they are within what the call may have touched.
 */
export function expectedAfter(
  before: KernelDump,
  after: KernelDump,
  call: CallObject,
  { how, log }: Ending,
): KernelDump {
  const expected = structuredClone(before);
  // Each once-only warning that it printed, and no other, will not be printed again.
  const fired = after.firedOnce.filter((id) => !expected.firedOnce.includes(id));
  if (fired.length === log.filter(({ kind }) => kind === 'WARN_ON_ONCE').length) {
    expected.firedOnce = [...expected.firedOnce, ...fired].sort();
  }
  // A call that warned tainted the kernel.
  const warned = log.some(({ kind }) => kind === 'WARN_ON' || kind === 'WARN_ON_ONCE');
  if (warned && !expected.taint.includes('W')) expected.taint = [...expected.taint, 'W'].sort();
  if (typeof how === 'number' || how === 'wedged') return expected;
  // A mapping that could not be charged, or got no bitmap, had been put into the tree: taking it out again does
  // not turn the tree back.
  if (call.call === 'map-dma' && after.containers.length === expected.containers.length) {
    expected.containers.forEach(({ id, iommu }, i) => {
      const tree = after.containers[i]!.iommu?.tree;
      const linked = iommu && (iommu.domainGroups.length > 0 || iommu.dirtyTracking);
      if (id === call.container && linked && tree) iommu.tree = tree;
    });
  }
  if (call.call === 'pin-pages') {
    // The pages before the one that failed were pinned and let go; their dirty bits stay (spec 2.10, step 6).
    const first = BigInt(call.iova as string) / PAGE;
    allowDirty(expected, after, call, first, first + BigInt(call.npage as number) - 1n);
  }
  if (call.call === 'dma-rw' && call.write === true) {
    // What was written before the error stays (spec 2.12).
    const start = BigInt(call.iova as string);
    const written =
      typeof call.data === 'string' ? Buffer.from(call.data, 'base64').length : Number(call.length);
    const last = (start + BigInt(written) - 1n) / PAGE;
    allowDirty(expected, after, call, start / PAGE, last);
    allowContents(expected, after, call, start / PAGE, last);
  }
  return expected;
}

/** The container of the device that made a call, and the same one after it. */
function containers(expected: KernelDump, after: KernelDump, call: CallObject) {
  const id = expected.devices.find((device) => device.id === call.device)?.group.container;
  const of = (dump: KernelDump) => dump.containers.find((container) => container.id === id);
  return { expected: of(expected), after: of(after) };
}

/** Lets dirty bits be added, none be lost, for pages first to last of the IOVA space. */
function allowDirty(
  expected: KernelDump,
  after: KernelDump,
  call: CallObject,
  first: bigint,
  last: bigint,
): void {
  const pair = containers(expected, after, call);
  pair.expected?.iommu?.mappings.forEach((mapping: MappingDump, i) => {
    const now = pair.after?.iommu?.mappings[i]?.dirty;
    const { dirty } = mapping;
    if (!dirty || !now) return;
    const added = now.filter((bit) => {
      const page = BigInt(mapping.iova) / PAGE + BigInt(bit);
      return !dirty.includes(bit) && page >= first && page <= last;
    });
    mapping.dirty = [...dirty, ...added].sort((a, b) => a - b);
  });
}

/** Lets the contents of the memory change that pages first to last of the IOVA space are mapped to. */
function allowContents(
  expected: KernelDump,
  after: KernelDump,
  call: CallObject,
  first: bigint,
  last: bigint,
): void {
  const { expected: container } = containers(expected, after, call);
  const process = expected.processes.find(({ id }) => id === container?.process);
  const now = after.processes.find(({ id }) => id === container?.process);
  if (!process || !now) return;
  const touched = ({ page }: { page: string }) =>
    container?.iommu?.mappings.some(({ iova, size, vaddr }) => {
      const index = BigInt(page) / PAGE - BigInt(vaddr) / PAGE;
      const at = BigInt(iova) / PAGE + index;
      return index >= 0n && index < BigInt(size) / PAGE && at >= first && at <= last;
    });
  process.contents = [
    ...process.contents.filter((one) => !touched(one)),
    ...now.contents.filter(touched),
  ].sort((a, b) => (BigInt(a.page) < BigInt(b.page) ? -1 : 1));
}
