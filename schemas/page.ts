import type { Static } from '@sinclair/typebox';
import type { SplatReport } from './answers.ts';

// What the page's own routes answer (`GET /ui/…`); the page's scripts take their types from here.

/** A device that holds pins, and how many of a page. */
export interface Holder {
  readonly device: string;
  readonly count: number;
}

/** A container with everything in its IOVA space, in columns. */
export interface LayoutAnswer {
  rig: string;
  /** The journal's when it was so. */
  seq: number;
  container: string;
  process: string;
  open: boolean;
  groups: string[];
  iommu: null | {
    /** Name of its type, or its number where it has no name; null where none was set. */
    typeName: string | null;
    mappings: number;
    pins: number;
    /** Mappings that it may still make; null where its engine does not count them. */
    dmaAvail: number | null;
    dirtyTracking: boolean;
    devices: readonly string[];
    /** How often an unmap visits one mapping at most. */
    attempts: number;
  };
  wedged: null | Static<typeof SplatReport>;
  /** Whether all mappings and pins are in it. */
  complete: boolean;
  /** The bits of a mapping's `flags`. */
  bits: { read: number; write: number; vaddrInvalid: number; iommuMapped: number; closed: number };
  mappings: { iova: string[]; size: string[]; vaddr: string[]; flags: number[] };
  /**
   * Pins as runs: pages one after the other with frames one after the other and the same holders. `mapping` is
   * an index into the mappings, `holders` one into the sets of holders.
   */
  pins: { mapping: number[]; iova: string[]; pages: number[]; pfn: string[]; holders: number[] };
  holders: (readonly Holder[])[];
}

/** A device as the page lists it. */
export interface DeviceLine {
  device: string;
  kind: string;
  /** Type of its driver; null where it has none to choose. */
  driver: string | null;
  group: string;
  groupOpen: boolean;
  openCount: number;
  container: string | null;
}

/** A call under way. */
export interface PendingLine {
  /** In the journal. */
  seq: number;
  call: Record<string, unknown>;
  container?: string;
  device?: string;
  /** Since when, milliseconds. */
  waitingMs: number;
  /** The callback delivered last, if it delivers any. */
  callback?: { device: string; iova: string; length: string; attempt: number };
}

/** A rig in one look, without what is in its containers. */
export interface RigOverview {
  rig: string;
  /** The journal's when it was so, and that of the oldest entry that is still in it. */
  seq: number;
  oldest: number;
  kernel: string;
  taint: string[];
  containers: { container: string; wedged: boolean }[];
  devices: DeviceLine[];
  pending: PendingLine[];
}
