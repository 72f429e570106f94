/** What the library wrote down: a file of /dev/vfio was opened or closed, or an ioctl was made on one. */
export type RecordedEvent =
  | OpenEvent
  | CloseEvent
  | IoctlEvent
  | OtherEvent
  | ForkEvent
  | SpawnedEvent
  | ExecEvent
  | ExitEvent;

/** What all of them say. */
interface OfProcess {
  /** Whose it is; absent: there is only one. */
  readonly pid?: number;
}

export interface OpenEvent extends OfProcess {
  readonly e: 'open';
  /** Its name below /dev/vfio. */
  readonly node: string;
  /** Who the file is from here on; empty where it did not open. */
  readonly file: string;
  /** By number; 0: none. */
  readonly errno: number;
}

/** The process has no descriptor of it any more. */
interface CloseEvent extends OfProcess {
  readonly e: 'close';
  readonly file: string;
}

/** An ioctl that a trace has a call for. `begin`: it is made, and may never return. */
export interface IoctlEvent extends OfProcess {
  readonly e: 'ioctl' | 'begin';
  readonly name: string;
  readonly file: string;
  /** What it was made with; absent where the program has no memory there. */
  readonly arg?: string;
  readonly container?: string;
  readonly device?: string;
  readonly argsz?: number;
  readonly flags?: number;
  readonly vaddr?: string;
  readonly iova?: string;
  readonly size?: string;
  readonly pgsize?: string;
  /** Size of the bitmap it is given. */
  readonly bytes?: string;
  /** Where that is. */
  readonly data?: string;
  /** What it came to; absent of one that begins. */
  readonly result?: number;
  readonly errno?: number;
  readonly value?: number;
  readonly unmapped?: string;
  /** The device file that was opened. */
  readonly made?: string;
  /** The struct as the kernel filled it, in hex. */
  readonly info?: string;
}

/** An ioctl that no trace has a call for. */
interface OtherEvent extends OfProcess {
  readonly e: 'other';
  readonly kind: number;
  readonly request: number;
  readonly errno: number;
}

/** The process was forked from one that had files open. */
interface ForkEvent extends OfProcess {
  readonly e: 'fork';
  readonly parent: number;
}

/** The process was made by posix_spawn, and its fork was written down by another number than its pid. */
interface SpawnedEvent extends OfProcess {
  readonly e: 'spawned';
  readonly as: number;
}

/** The process is another program; what that closed comes after it. */
interface ExecEvent extends OfProcess {
  readonly e: 'exec';
}

/** The process ends, which had opened files, or was forked from one that had. */
interface ExitEvent extends OfProcess {
  readonly e: 'exit';
}

/** The events in the text of a record, and how many lines of it are none: the program was killed, or the disk full. */
export function eventsOf(text: string): { events: RecordedEvent[]; cutOff: number } {
  const events: RecordedEvent[] = [];
  let cutOff = 0;
  for (const line of text.split('\n')) {
    if (line === '') continue;
    try {
      events.push(JSON.parse(line) as RecordedEvent);
    } catch {
      cutOff++;
    }
  }
  return { events, cutOff };
}
