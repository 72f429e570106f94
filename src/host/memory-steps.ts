import { PROT_WRITE } from '../kernel/memory.ts';
import { addressOf, hex, hexAddress, pageOf } from '../kernel/pages.ts';
import type { Step } from '../replay/scenario.ts';
import type { Area, MemoryFact } from './real-memory.ts';

/** A region that allows nothing, at an address nobody maps: from a process's first region on, only regions are valid. */
const NOTHING: Area = { start: 0, size: 1, prot: 0 };

/**
 * What the steps of a trace say of a real process's memory: the regions that its calls met and the bytes that were
 * read of it, so that emulated memory answers them alike.
 */
export class MemorySteps {
  /** The regions that were said so far. */
  private readonly said: Area[] = [];

  constructor(private readonly process: string) {}

  /** The steps that must come before the call that learnt a fact. */
  of(fact: MemoryFact): Step[] {
    const first = this.said.length === 0 ? [this.region(NOTHING)] : [];
    return [...first, ...('areas' in fact ? this.areas(fact.areas) : this.bytes(fact.at, fact.bytes))];
  }

  /** The parts of areas that have not been said yet, as regions. */
  private areas(areas: readonly Area[]): Step[] {
    return areas.flatMap((area) => this.unsaid(area).map((part) => this.region(part)));
  }

  private unsaid({ start, size, prot }: Area): Area[] {
    const end = start + size;
    const known = this.said.filter((said) => said.start < end && said.start + said.size > start);
    const parts: Area[] = [];
    let at = start;
    for (const said of known.sort((a, b) => a.start - b.start)) {
      if (said.start > at) parts.push({ start: at, size: said.start - at, prot });
      at = Math.max(at, said.start + said.size);
    }
    if (at < end) parts.push({ start: at, size: end - at, prot });
    return parts;
  }

  private region(area: Area): Step {
    this.said.push(area);
    const { start, size, prot } = area;
    return this.step('add-memory-region', { start: hexAddress(start), size: hex(addressOf(size)), prot });
  }

  /** Bytes can be put where the process could have written them itself. */
  private bytes(at: bigint, bytes: Uint8Array): Step[] {
    const first = pageOf(at);
    const last = pageOf(at + BigInt(bytes.length - 1));
    const writable = this.said.some(
      ({ start, size, prot }) => prot & PROT_WRITE && start <= first && start + size > last,
    );
    if (!writable) return [];
    return [this.step('write-memory', { vaddr: hex(at), data: Buffer.from(bytes).toString('base64') })];
  }

  private step(call: string, args: Record<string, unknown>): Step {
    return { call, process: this.process, ...args, expect: { errno: null } };
  }
}
