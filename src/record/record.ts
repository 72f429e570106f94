import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { release, tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { KERNEL_VERSIONS } from '../kernel/generations/index.ts';
import type { Scenario, Step } from '../replay/scenario.ts';
import { runProgram } from '../run/child.ts';
import { recorder } from '../run/library.ts';
import { writeWhole } from '../whole-file.ts';
import { devicesOf } from './devices.ts';
import { eventsOf, type RecordedEvent } from './events.ts';
import { infoOf } from './iommu-info.ts';
import { Translation } from './translate.ts';

/** What is recorded. */
interface RecordOptions {
  /** File for the trace. */
  readonly trace: string;
  /** The kernel the trace is said to be of; undefined: the one that is nearest to this machine's. */
  readonly kernel: string | undefined;
  readonly program: readonly string[];
}

/** CAP_IPC_LOCK's bit: whoever has it may lock all memory there is. */
const CAP_IPC_LOCK = 14n;

/**
 * Runs a program on this machine's own /dev/vfio and writes what it asked for, and what the kernel answered, as a trace.
 *
 * @param say takes the lines of the account
 * @returns the program's exit code
 */
export async function record(
  { trace, kernel, program }: RecordOptions,
  say: (line: string) => void,
): Promise<number> {
  const library = await recorder();
  const folder = mkdtempSync(join(tmpdir(), 'vfio-host-record-'));
  try {
    const log = join(folder, 'events');
    writeFileSync(log, '');
    const others = process.env.LD_PRELOAD;
    const env = {
      ...process.env,
      LD_PRELOAD: others ? `${library} ${others}` : library,
      VFIO_HOST_RECORD: log,
    };
    const ended = await runProgram(program, env);
    say(`${program[0]}: ${ended.how}`);
    const version = kernel ?? nearest(release());
    const { events, cutOff } = eventsOf(readFileSync(log, 'utf8'));
    const { steps, leftOut } = translated(events);
    const scenario: Scenario = { id: basename(program[0]!), kernel: version, steps };
    writeWhole(trace, `${JSON.stringify(scenario)}\n`);
    if (cutOff > 0) say(`left out: what was cut off when it was written down (${cutOff})`);
    for (const [why, count] of leftOut) say(`left out: ${why} (${count})`);
    say(`the trace is in ${trace} (${steps.length} steps, as on ${version}; this machine has ${release()})`);
    return ended.code;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The steps of what was recorded, and what is not among them. */
export function translated(events: readonly RecordedEvent[]): {
  steps: Step[];
  leftOut: ReadonlyMap<string, number>;
} {
  const width = addressWidthIn(events);
  const limit = memlock();
  const translation = new Translation((node) => devicesOf(node, width), limit);
  for (const event of events) translation.take(event);
  translation.end();
  const { steps, leftOut } = translation;
  if (limit !== null) {
    steps.unshift({ call: 'set-memlock', process: 'p0', bytes: limit, expect: { errno: null } });
  }
  return { steps, leftOut };
}

/** The recorded kernel that a release is of: the newest one that is not newer, else the oldest. */
export function nearest(text: string): string {
  const number = (version: string) => {
    const [, major = '0', minor = '0'] = /^(\d+)\.(\d+)/.exec(version) ?? [];
    return Number(major) * 1000 + Number(minor);
  };
  const known = KERNEL_VERSIONS.filter((version) => /^\d+\.\d+$/.test(version));
  const older = known.filter((version) => number(version) <= number(text));
  return (older.length > 0 ? older : known).reduce((best, one) => {
    const isNearer = older.length > 0 ? number(one) > number(best) : number(one) < number(best);
    return isNearer ? one : best;
  });
}

/** Bits of addresses that the IOMMU translates, as the end of its ranges tells; null where nobody asked. */
function addressWidthIn(events: readonly RecordedEvent[]): number | null {
  for (const event of events) {
    if (event.e !== 'ioctl' || event.info === undefined) continue;
    const end = infoOf(event.info)?.iovaRanges.at(-1)?.[1];
    if (end === undefined) continue;
    const width = BigInt(end).toString(2).length;
    return BigInt(end) === 2n ** BigInt(width) - 1n ? width : null;
  }
  return null;
}

/** How much memory this process and its children may lock, bytes; null: all there is. */
function memlock(): number | null {
  const [, capabilities = '0'] =
    /^CapEff:\s*([0-9a-f]+)/m.exec(readFileSync('/proc/self/status', 'utf8')) ?? [];
  if ((BigInt(`0x${capabilities}`) >> CAP_IPC_LOCK) & 1n) return null;
  const [, soft] = /^Max locked memory\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8')) ?? [];
  return soft === undefined ? null : Number(soft);
}
