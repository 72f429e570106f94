import { type CallName, stackOf } from '../../schemas/calls.ts';
import type { MdevDriver } from '../kernel/driver.ts';
import type { Generation } from '../kernel/generations/index.ts';
import { type LogEntry, MASKED_TASK, MASKED_USER, type SplatEvent } from '../kernel/splats.ts';
import type { CallTask } from '../machine/call-task.ts';
import type { MachineListener } from '../machine/listener.ts';
import type { Journal } from './journal.ts';
import { type Current, consoleLine, currentOf } from './kernel-log.ts';

/** The modules a VFIO host has loaded, as a console lists them. */
const MODULES = ['vfio_iommu_type1', 'vfio', 'mdev'];
/** What is built in is in no module: no list has it, and no function's name. */
const BUILT_IN = 'vmlinux';

/** What the console shows of one splat: where it came from and how tainted the kernel was by then. */
interface ConsoleEntry {
  readonly seq: number;
  readonly entry: LogEntry;
  readonly module: string;
  readonly call: string;
  readonly current: Current;
  /** The driver's function whose callback was running. */
  readonly callback: string | undefined;
  /** Of a DEADLOCK: who runs each of its tasks. */
  readonly tasks: readonly Current[];
  /** Taint flags when it was printed: `W` after a warning, `D` after a BUG. */
  readonly taint: readonly string[];
}

/** A splat as the console of its kernel prints it. Times are the journal's sequence, in microseconds. */
function consoleText(shown: ConsoleEntry, gen: Generation): string[] {
  const stamp = `[${(shown.seq / 1e6).toFixed(6).padStart(12)}] `;
  return lines(shown, gen).map((line) => stamp + line);
}

function lines({ entry, module, call, current, callback, tasks, taint }: ConsoleEntry, gen: Generation) {
  const first = consoleLine(entry, current, gen);
  if ('text' in entry)
    return [
      first
        .replace(MASKED_TASK, `${current.comm} (${current.pid})`)
        .replace(MASKED_USER, `${current.comm}:${current.pid}`),
    ];
  if (entry.kind === 'DEADLOCK') {
    return entry.tasks.flatMap(({ call: its, device, holds, waitsFor }, i) => [
      `INFO: task ${tasks[i]!.comm}:${tasks[i]!.pid} blocked for more than 120 seconds.`,
      `      ${its}${device ? ` of ${device}` : ''} holds ${holds.join(', ') || 'nothing'} and waits for ${waitsFor}`,
    ]);
  }
  const bug = entry.kind === 'BUG_ON';
  return [
    '------------[ cut here ]------------',
    ...(bug ? [first, oops(gen)] : [withOffset(first, entry.function, module, gen)]),
    `Modules linked in: ${[BUILT_IN, ...MODULES].includes(module) ? '' : `${module} `}${MODULES.join(' ')}`,
    `CPU: 0 PID: ${current.pid} Comm: ${current.comm} ${taintText(taint)} ${gen.release} #1`,
    `RIP: 0010:${frame(entry.function)}${within(module)}`,
    'Call Trace:',
    ' <TASK>',
    ...frames(entry.function, call, callback, gen).map((name) => ` ${frame(name)}`),
    ' </TASK>',
    '---[ end trace 0000000000000000 ]---',
  ];
}

/** The line below "kernel BUG at": 7.2 has it without PREEMPT. */
function oops(gen: Generation): string {
  return gen.console.warningLine === 'file-first'
    ? 'Oops: invalid opcode: 0000 [#1] SMP NOPTI'
    : 'invalid opcode: 0000 [#1] PREEMPT SMP NOPTI';
}

/** A function's module, as it follows the function. */
function within(module: string): string {
  return module === BUILT_IN ? '' : ` [${module}]`;
}

/** The function of a warning's first line with its offset. */
function withOffset(line: string, name: string, module: string, gen: Generation): string {
  const where = `${frame(name)}${within(module)}`;
  return gen.console.warningLine === 'file-first'
    ? line.replace(` at ${name},`, ` at ${where},`)
    : line.replace(new RegExp(`${name}$`), where);
}

function frames(at: string, call: string, callback: string | undefined, gen: Generation): string[] {
  const path = stackOf(call as CallName);
  const within = callback === undefined ? [] : [callback, ...gen.console.callbackFrames];
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

/** The name of a driver's dma_unmap. */
function dmaUnmapOf({ dmaUnmapFunction, config }: MdevDriver): string {
  return dmaUnmapFunction ?? `${config?.type.replaceAll('-', '_')}_dma_unmap`;
}

/** Splats the console keeps. */
const CONSOLE_SPLATS = 1000;

/** The console of a host: its last splats. */
export class Console implements MachineListener {
  private readonly entries: ConsoleEntry[] = [];

  /** @param journal written before this is told: its seq is the time of a line */
  constructor(private readonly journal: Journal) {}

  splat(task: CallTask, { entry, module, callback, tasks = [] }: SplatEvent): void {
    this.entries.push({
      seq: this.journal.seq,
      entry,
      module,
      call: task.call,
      current: currentOf(task),
      callback: callback?.driver && dmaUnmapOf(callback.driver),
      tasks: tasks.map((one) => currentOf(one)),
      taint: [...task.kernel.taint],
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
