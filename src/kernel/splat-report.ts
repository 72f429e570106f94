import { hex } from './pages.ts';
import type { LogEntry, SplatDetails, SplatEvent } from './splats.ts';

/** A splat with what it was about, as answers, journal and log lines show it. Addresses and sizes are `0x…`. */
export type SplatReport = LogEntry & SplatSubject;

/** What a splat was about, in the same form. */
interface SplatSubject {
  readonly device?: string;
  readonly container?: string;
  readonly iova?: string;
  readonly size?: string;
  readonly attempt?: number;
  /** How many pins were left, and the first of them with their holders. */
  readonly pinCount?: number;
  readonly pins?: PinReport[];
}

interface PinReport {
  iova: string;
  pfn: string;
  refCount: number;
  devices: { device: string; count: number }[];
}

/** A splat in the form of a report. */
export function splatReport(event: SplatEvent): SplatReport {
  event.report ??= { ...event.entry, ...splatDetails(event) };
  return event.report;
}

/** What a splat was about, beyond what the kernel prints. */
export function splatDetails({ details }: SplatEvent): SplatSubject {
  const { device, container, iova, size, attempt, pinCount, pins } = details;
  return {
    ...(container !== undefined && { container }),
    ...(device !== undefined && { device }),
    ...(iova !== undefined && { iova: hex(iova) }),
    ...(size !== undefined && { size: hex(size) }),
    ...(attempt !== undefined && { attempt }),
    ...(pinCount !== undefined && { pinCount }),
    ...(pins && {
      pins: pins.map((pin) => ({ ...pin, iova: hex(pin.iova), pfn: `0x${pin.pfn.toString(16)}` })),
    }),
  };
}

/** The splat of a report again, from a snapshot: it is looked at, never printed. */
export function eventOfReport(report: SplatReport): SplatEvent {
  const { container, device, iova, size, attempt, pinCount, pins, ...entry } = report;
  const details: SplatDetails = {
    ...(container !== undefined && { container }),
    ...(device !== undefined && { device }),
    ...(iova !== undefined && { iova: BigInt(iova) }),
    ...(size !== undefined && { size: BigInt(size) }),
    ...(attempt !== undefined && { attempt }),
    ...(pinCount !== undefined && { pinCount }),
    ...(pins && {
      pins: pins.map(({ devices, ...pin }) => ({
        ...pin,
        iova: BigInt(pin.iova),
        pfn: Number(pin.pfn),
        devices: devices.map((holder) => ({ ...holder })),
      })),
    }),
  };
  return {
    id: '',
    function: '',
    module: '',
    entry: entry as LogEntry,
    details,
    callback: null,
    report: null,
  };
}
