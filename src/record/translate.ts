import type { CallObject } from '../../schemas/calls.ts';
import { ERRNO } from '../kernel/errno.ts';
import type { Expectation, Step } from '../replay/scenario.ts';
import type { GroupDevice } from './devices.ts';
import type { IoctlEvent, OpenEvent, RecordedEvent } from './events.ts';
import { infoOf } from './iommu-info.ts';
import { Processes } from './processes.ts';

/** Sizes of the structs that a trace can say, bytes: with less of them the kernel refuses before it looks at the rest. */
const MAP_SIZE = 32;
const UNMAP_SIZE = 24;
const WITH_BITMAP = 48;
const INFO_SIZE = 16;
const DIRTY_SIZE = 8;
const STATUS_SIZE = 8;

/** VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP and VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP. */
const UNMAP_GETS_BITMAP = 1;
const DIRTY_GETS_BITMAP = 4;

/** Size of a page, bytes. */
const PAGE = 4096n;
/** End of the addresses a program may have (TASK_SIZE_MAX with four levels of page tables). */
const USER_END = 0x7fff_ffff_f000n;

const NAME_OF = new Map<number, string>(Object.entries(ERRNO).map(([name, number]) => [number, name]));

/** What an open file is in the trace. */
type OpenFile =
  | { readonly kind: 'container'; readonly id: string }
  | { readonly kind: 'group'; readonly devices: readonly GroupDevice[] }
  | { readonly kind: 'device'; readonly id: string };

/** Turns what a program asked of the real /dev/vfio into steps of a trace, with what the kernel answered. */
export class Translation {
  readonly steps: Step[] = [];
  /** What has no place in a trace, by why, and how often. */
  readonly leftOut = new Map<string, number>();
  private readonly files = new Map<string, OpenFile>();
  private readonly groups = new Map<string, readonly GroupDevice[]>();
  /** Calls that have begun and not returned. */
  private readonly begun: IoctlEvent[] = [];
  private containers = 0;
  private readonly processes = new Processes((call) => this.add(call, { errno: null }));
  /** Whose event is looked at. */
  private pid = 0;

  /**
   * @param devicesOf the devices of a group by its name below /dev/vfio
   * @param memlock how much memory processes may lock, bytes; null: all there is
   */
  constructor(
    private readonly devicesOf: (node: string) => readonly GroupDevice[],
    private readonly memlock: number | null,
  ) {}

  take(event: RecordedEvent): void {
    this.pid = event.pid ?? 0;
    switch (event.e) {
      case 'open':
        this.open(event);
        return;
      case 'close':
        this.close(event.file);
        return;
      case 'begin':
        this.begun.push(event);
        return;
      case 'ioctl':
        this.returned(event);
        this.ioctl(event, outcomeOf(event));
        return;
      case 'fork':
        this.processes.fork(event.parent, this.pid);
        return;
      case 'spawned':
        this.processes.renumber(event.as, this.pid);
        return;
      case 'exec':
        this.exec();
        return;
      case 'exit':
        this.processes.exit(this.pid);
        return;
      case 'other':
        this.leaveOut('ioctls of devices, and others that no trace has a call for');
    }
  }

  /** The new program's memory is not in the record, nor was the old one's: it is everywhere. Its capabilities stay. */
  private exec(): void {
    const process = this.processes.idOf(this.pid);
    const memory = { process, start: '0x0', size: `0x${USER_END.toString(16)}`, prot: 3 };
    this.add({ call: 'exec-process', process }, { errno: null });
    this.add({ call: 'add-memory-region', ...memory }, { errno: null });
    if (this.memlock === null) return;
    this.add({ call: 'set-memlock', process, bytes: this.memlock }, { errno: null });
  }

  /** The program is gone: what had not returned never did. */
  end(): void {
    for (const event of this.begun.splice(0)) {
      this.pid = event.pid ?? 0;
      this.ioctl(event, { killed: true });
    }
  }

  private returned({ name, file }: IoctlEvent): void {
    const at = this.begun.findIndex((one) => one.name === name && one.file === file);
    if (at >= 0) this.begun.splice(at, 1);
  }

  private open({ node, file, errno }: OpenEvent): void {
    if (node === 'vfio') {
      if (errno !== 0) {
        this.leaveOut('/dev/vfio/vfio that did not open');
        return;
      }
      const id = `c${this.containers++}`;
      const actor = this.processes.actor(this.pid);
      this.opened(file, { kind: 'container', id });
      this.add({ call: 'open-container', container: id, ...actor }, { errno: null });
      return;
    }
    if (NAME_OF.get(errno) === 'ENOENT') {
      this.leaveOut('groups that are not there');
      return;
    }
    const devices = this.groups.get(node) ?? this.make(node);
    const actor = this.processes.actor(this.pid);
    if (errno === 0) this.opened(file, { kind: 'group', devices });
    this.add({ call: 'open-group', device: devices[0]!.id, ...actor }, outcome(errno));
  }

  /** Makes the devices of a group where it is first named. */
  private make(node: string): readonly GroupDevice[] {
    const devices = this.devicesOf(node);
    this.groups.set(node, devices);
    for (const { create } of devices) this.steps.push({ ...create, expect: { errno: null } } as Step);
    return devices;
  }

  private opened(name: string, file: OpenFile): void {
    this.files.set(name, file);
    this.processes.opened(this.pid, name);
  }

  private close(name: string): void {
    const file = this.files.get(name);
    if (!file || !this.processes.closed(this.pid, name)) return;
    if (!this.processes.isOpen(name)) this.files.delete(name);
    const { kind } = file;
    const on = kind === 'container' ? { container: file.id } : { device: idOf(file) };
    this.add({ call: `close-${kind}`, ...on, ...this.processes.actor(this.pid) }, { errno: null });
  }

  private ioctl(event: IoctlEvent, expect: Expectation | null): void {
    const file = this.files.get(event.file);
    if (!file) {
      this.leaveOut('ioctls on files that were opened before, or by another program');
      return;
    }
    if (expect === null) {
      this.leaveOut(`answers with errno ${event.errno}, which no trace has`);
      return;
    }
    const made = file.kind === 'container' ? containerCall(event, file.id) : this.groupCall(event, file);
    if (typeof made === 'string') {
      this.leaveOut(made);
      return;
    }
    const call = { ...made, ...this.processes.actor(this.pid) };
    // It was done, and only the program could not be told how much.
    if (expect.errno === 'EFAULT') this.steps.push(call);
    else this.add(call, { ...expect, ...answerOf(event) });
  }

  private groupCall(event: IoctlEvent, file: OpenFile): CallObject | string {
    if (file.kind !== 'group') return 'ioctls of devices, and others that no trace has a call for';
    const device = idOf(file);
    switch (event.name) {
      case 'GET_STATUS':
        return (event.argsz ?? 0) < STATUS_SIZE ? tooShort(event) : { call: 'group-status', device };
      case 'UNSET_CONTAINER':
        return { call: 'unset-container', device };
      case 'SET_CONTAINER': {
        const container = this.files.get(event.container ?? '');
        if (container?.kind !== 'container') return 'SET_CONTAINER of what is no container';
        return { call: 'set-container', device, container: container.id };
      }
      default: {
        const opened = file.devices.find(({ name }) => name === event.device);
        if (!opened) return 'GET_DEVICE_FD of what is not in the group';
        if (event.made) this.opened(event.made, { kind: 'device', id: opened.id });
        return { call: 'open-device', device: opened.id };
      }
    }
  }

  private add(call: CallObject, expect: Expectation | null): void {
    if (expect === null) {
      this.leaveOut('answers with an errno that no trace has');
      return;
    }
    // What the kernel printed is not in it: nothing is said of that.
    this.steps.push({ ...call, expect: { ...expect, kernelLog: [] } });
  }

  private leaveOut(why: string): void {
    this.leftOut.set(why, (this.leftOut.get(why) ?? 0) + 1);
  }
}

function idOf(file: OpenFile): string {
  return file.kind === 'group' ? file.devices[0]!.id : file.id;
}

function tooShort({ name }: IoctlEvent): string {
  return `${name} with a struct that is too short, or not there`;
}

/** Whether the program gave a bitmap that its kernel refuses before it looks at anything else. */
function hasWrongBitmap({ size = '0x0', pgsize = '0x0', bytes = '0x0', data = '0x0' }: IoctlEvent): boolean {
  const words = (BigInt(size) / PAGE + 63n) / 64n;
  if (BigInt(data) + BigInt(bytes) > USER_END) return true;
  return BigInt(pgsize) !== PAGE || words === 0n || BigInt(bytes) < words * 8n;
}

/** The call that an ioctl on a container is; why it is none where it is not. */
function containerCall(event: IoctlEvent, container: string): CallObject | string {
  const { name, arg, argsz = 0, flags = 0, vaddr, iova, size, pgsize, errno } = event;
  const isDone = name === 'UNMAP_DMA' && (flags & UNMAP_GETS_BITMAP) === 0 && argsz >= UNMAP_SIZE;
  if (NAME_OF.get(errno ?? 0) === 'EFAULT' && !isDone)
    return `${name} about memory that the program does not have`;
  switch (name) {
    case 'CHECK_EXTENSION':
      return { call: 'check-extension', container, extension: arg };
    case 'SET_IOMMU':
      return { call: 'set-iommu', container, type: arg };
    case 'GET_INFO':
      return argsz < INFO_SIZE ? tooShort(event) : { call: 'iommu-info', container };
    case 'MAP_DMA':
      if (argsz < MAP_SIZE) return tooShort(event);
      return { call: 'map-dma', container, iova, vaddr, size, flags };
    case 'UNMAP_DMA': {
      const bitmap = (flags & UNMAP_GETS_BITMAP) !== 0;
      if (argsz < (bitmap ? WITH_BITMAP : UNMAP_SIZE)) return tooShort(event);
      if (bitmap && hasWrongBitmap(event)) return `${name} with a bitmap that does not fit`;
      return { call: 'unmap-dma', container, iova, size, flags, ...(bitmap ? { pageSize: pgsize } : {}) };
    }
    default:
      if (argsz < (flags === DIRTY_GETS_BITMAP ? WITH_BITMAP : DIRTY_SIZE)) return tooShort(event);
      if (flags !== DIRTY_GETS_BITMAP) return { call: 'dirty-flags', container, flags };
      if (hasWrongBitmap(event)) return `${name} with a bitmap that does not fit`;
      return { call: 'dirty-get', container, iova, size, pageSize: pgsize };
  }
}

/** What an errno by number is expected as; null where no trace has it. */
function outcome(errno: number): Expectation | null {
  if (errno === 0) return { errno: null };
  const name = NAME_OF.get(errno);
  return name === undefined ? null : { errno: name };
}

function outcomeOf({ errno = 0 }: IoctlEvent): Expectation | null {
  return outcome(errno);
}

/** What an ioctl answered beside its errno. */
function answerOf({ name, result, value, unmapped, info }: IoctlEvent): Expectation {
  if (result === undefined || result < 0) return {};
  if (name === 'CHECK_EXTENSION') return { value: result };
  if (name === 'GET_STATUS') return value === undefined ? {} : { value };
  if (name === 'UNMAP_DMA') return unmapped === undefined ? {} : { size: unmapped };
  const read = name === 'GET_INFO' && info !== undefined ? infoOf(info) : null;
  return read ? { info: { ...read } } : {};
}
