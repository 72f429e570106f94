import { type CallName, stackOf } from '../../schemas/calls.ts';
import type { Generation } from '../kernel/generations/index.ts';
import type { LogEntry, SplatEvent } from '../kernel/splats.ts';
import type { CallTask } from '../machine/call-task.ts';
import type { MachineListener } from '../machine/listener.ts';
import type { Journal } from './journal.ts';
import { consoleLine } from './kernel-log.ts';

/** The modules a VFIO host has loaded, as a console lists them. */
const MODULES = 'vfio_iommu_type1 vfio mdev';

/** Splats of a driver's own doing inside a callback: below them are the callback and the unmap that made it. */
const IN_CALLBACK = ['vfio_notify_dma_unmap', 'vfio_dma_do_unmap'];

/** What the console shows of one splat: where it came from and how tainted the kernel was by then. */
interface ConsoleEntry {
  readonly seq: number;
  readonly entry: LogEntry;
  readonly call: string;
  /** Device whose callback was under way, if any. */
  readonly callback: string | undefined;
  /** Taint flags when it was printed: `W` after a warning, `D` after a BUG. */
  readonly taint: readonly string[];
}

/** A splat as the console of its kernel prints it. Times are the journal's sequence, in microseconds. */
function consoleText({ seq, entry, call, callback, taint }: ConsoleEntry, gen: Generation): string[] {
  const stamp = `[${(seq / 1e6).toFixed(6).padStart(12)}] `;
  return lines(entry, call, callback, taint, gen).map((line) => stamp + line);
}

function lines(
  entry: LogEntry,
  call: string,
  callback: string | undefined,
  taint: readonly string[],
  gen: Generation,
): string[] {
  const first = consoleLine(entry, gen);
  if (entry.kind === 'PR_WARN') return [first];
  if (entry.kind === 'DEADLOCK') {
    return entry.tasks.flatMap((task) => [
      'INFO: task vfio-host:1000 blocked for more than 120 seconds.',
      `      ${task.call}${task.device ? ` of ${task.device}` : ''} holds ${task.holds.join(', ') || 'nothing'} and waits for ${task.waitsFor}`,
    ]);
  }
  const bug = entry.kind === 'BUG_ON';
  return [
    '------------[ cut here ]------------',
    ...(bug ? [first, oops(gen)] : [withOffset(first, entry.function, gen)]),
    `Modules linked in: ${MODULES}`,
    `CPU: 0 PID: 1000 Comm: vfio-host ${taintText(taint)} ${gen.release} #1`,
    `RIP: 0010:${frame(entry.function)} [vfio_iommu_type1]`,
    'Call Trace:',
    ' <TASK>',
    ...frames(entry.function, call, callback).map((name) => ` ${frame(name)}`),
    ' </TASK>',
    '---[ end trace 0000000000000000 ]---',
  ];
}

/** The line below "kernel BUG at": 7.2 has it without PREEMPT. */
function oops(gen: Generation): string {
  return gen.warningLine === 'file-first'
    ? 'Oops: invalid opcode: 0000 [#1] SMP NOPTI'
    : 'invalid opcode: 0000 [#1] PREEMPT SMP NOPTI';
}

/** The function of a warning's first line with its offset. */
function withOffset(line: string, name: string, gen: Generation): string {
  const where = `${frame(name)} [vfio_iommu_type1]`;
  return gen.warningLine === 'file-first'
    ? line.replace(` at ${name},`, ` at ${where},`)
    : line.replace(new RegExp(`${name}$`), where);
}

function frames(at: string, call: string, callback: string | undefined): string[] {
  const path = stackOf(call as CallName);
  const within = callback === undefined ? [] : [`${callback}_dma_unmap`, ...IN_CALLBACK];
  return [at, ...within, ...path].filter((name, i, all) => name !== all[i - 1]);
}

function taintText(taint: readonly string[]): string {
  if (taint.length === 0) return 'Not tainted';
  const flag = (name: string) => (taint.includes(name) ? name : ' ');
  return `Tainted: G      ${flag('D')} ${flag('W')}         `;
}

/** A function with an offset and a size: made up, but always the same for the same name. */
function frame(name: string): string {
  let hash = 0;
  for (const char of name) hash = (hash * 31 + char.charCodeAt(0)) >>> 0;
  const size = 0x80 + (hash % 0x400);
  return `${name}+0x${(hash % size).toString(16)}/0x${size.toString(16)}`;
}

/** Splats the console keeps. */
const CONSOLE_SPLATS = 1000;

/** The console of a host: its last splats. */
export class Console implements MachineListener {
  private readonly entries: ConsoleEntry[] = [];

  /** @param journal written before this is told: its seq is the time of a line */
  constructor(private readonly journal: Journal) {}

  splat(task: CallTask, { entry, details }: SplatEvent): void {
    const { kernel } = task.machine;
    // What the unmap itself prints is not printed in a callback.
    const own =
      task.device !== undefined || entry.kind === 'PR_WARN' || entry.function === 'vfio_dma_do_unmap';
    const inCallback = own ? undefined : details.device;
    const driver = inCallback === undefined ? undefined : kernel.devices.get(inCallback)?.driver;
    this.entries.push({
      seq: this.journal.seq,
      entry,
      call: task.call,
      callback: driver?.config?.type.replaceAll('-', '_'),
      taint: [...kernel.taint],
    });
    if (this.entries.length > CONSOLE_SPLATS) this.entries.shift();
  }

  /** The text of `GET /v1/dmesg`. */
  text(gen: Generation): string {
    return this.entries
      .flatMap((entry) => consoleText(entry, gen))
      .map((line) => `${line}\n`)
      .join('');
  }
}
