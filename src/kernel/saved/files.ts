import type { SavedFile } from '../../../schemas/snapshot/process.ts';
import type { SnapshotState } from '../../../schemas/snapshot.ts';
import { OpenFile } from '../files.ts';
import type { Kernel } from '../kernel.ts';
import type { Process } from '../process.ts';
import { Container } from '../vfio/container.ts';
import { releaseContainer } from '../vfio/container-file.ts';
import { Device, releaseDevice } from '../vfio/device.ts';
import { Group, newGroupFile } from '../vfio/group.ts';
import { WrongState, wrong } from './checks.ts';

/**
 * The open files of a host, in the order in which they are numbered.
 *
 * @param groups all that there are (groupsOf)
 */
export function openFiles({ containers, devices, groupFiles }: Kernel, groups: readonly Group[]): OpenFile[] {
  return [
    ...sorted(containers.values()).flatMap(({ file }) => file ?? []),
    ...groups.flatMap(({ file }) => file ?? []),
    ...sorted(devices.values()).flatMap(({ files }) => files),
    // The dead ones of groups that have devices again are nobody's but the descriptors'.
    ...[...groupFiles].filter((file) => file !== (file.of as Group).file),
  ];
}

function sorted<T extends { id: string }>(objects: Iterable<T>): T[] {
  return [...objects].sort((a, b) => (a.id < b.id ? -1 : 1));
}

/** A file as a snapshot has it. */
export function saveFile(file: OpenFile): SavedFile {
  const { of, opener } = file;
  const kind = of instanceof Container ? 'container' : of instanceof Group ? 'group' : 'device';
  const id = of instanceof Group ? of.savedAs : of.id;
  const isDead = of instanceof Group && of.file !== file;
  return {
    of: kind,
    id,
    opener: opener?.alive ? opener.number : null,
    ...(isDead ? { dead: true as const } : {}),
  };
}

/** Opens the files of groups and devices again; those of containers are made when their containers are there. */
export class RestoredFiles {
  private readonly files: (OpenFile | null)[] = [];

  constructor(
    private readonly kernel: Kernel,
    private readonly groups: ReadonlyMap<string, Group>,
    private readonly state: SnapshotState,
    private readonly where: string,
  ) {}

  /** The files of groups and devices. */
  *open(): Generator<void, void> {
    for (const [i, saved] of (this.state.files ?? []).entries()) {
      const at = `${this.where}/files/${i}`;
      if (saved.of === 'group') this.files.push(this.ofGroup(saved, at));
      else if (saved.of === 'device') this.files.push(this.ofDevice(saved, at));
      else this.files.push(null);
      if (i % 1024 === 1023) yield;
    }
  }

  /** The file of a number, of a device. */
  ofNumber(number: number, at: string): OpenFile {
    const file = this.files[number];
    if (!file || !(file.of instanceof Device)) throw wrong(at, `is ${number}, which is no file of a device`);
    return file;
  }

  /** The containers are there: their files, and the descriptors of every process. */
  *finish(): Generator<void, void> {
    const { kernel, state, where } = this;
    if (state.files) {
      for (const [i, saved] of state.files.entries()) {
        if (saved.of === 'container') this.files[i] = this.ofContainer(saved, `${where}/files/${i}`);
        if (i % 1024 === 1023) yield;
      }
      for (const [i, saved] of state.processes.entries()) {
        this.takeDescriptors(
          kernel.processes.get(saved.process)!,
          saved.files ?? [],
          `${where}/processes/${i}/files`,
        );
        yield;
      }
    } else this.openUnsaid();
  }

  private takeDescriptors(process: Process, saved: readonly [fd: number, file: number][], at: string): void {
    let last = -1;
    for (const [i, [fd, number]] of saved.entries()) {
      const file = this.files[number];
      if (!file) throw wrong(`${at}/${i}`, `names file ${number}, which there is not`);
      this.checkRoom(process, fd, `${at}/${i}`);
      if (fd <= last) throw wrong(`${at}/${i}`, `has descriptor ${fd}, not above the one before it`);
      process.files.addAt(fd, file);
      last = fd;
    }
  }

  /** A snapshot that says nothing of files: containers are their openers', groups and devices those of p0. */
  private openUnsaid(): void {
    const { kernel, groups } = this;
    const p0 = kernel.processes.values().next().value!;
    const open = (process: Process, file: OpenFile) => {
      // They are dense: none has been closed.
      const fd = process.files.list().length;
      this.checkRoom(process, fd, `${this.where}/processes`);
      process.files.addAt(fd, file);
    };
    for (const container of kernel.containers.values()) {
      if (container.open) open(container.process, containerFile(container, container.process));
    }
    for (const group of groups.values()) if (group.fdOpen) open(p0, groupFile(kernel, group, p0));
    for (const device of kernel.devices.values()) {
      for (let i = 0; i < device.openCount; i++) open(p0, deviceFile(device, p0));
    }
  }

  /** A process may have a descriptor of that number. */
  private checkRoom({ id }: Process, fd: number, at: string): void {
    const { files } = this.kernel.limits;
    if (fd < files) return;
    throw new WrongState(`${at} has descriptor ${fd} of "${id}", but a process has ${files} at most`, true);
  }

  /** What is open has a file, and a file is open somewhere. An open that hangs, of which there is one, has none yet. */
  check(): void {
    const { kernel, groups, where } = this;
    for (const file of this.files) {
      if (file?.users === 0) throw wrong(`${where}/files`, `has one of "${file.of.id}" that nobody has open`);
    }
    for (const { id, open, file } of kernel.containers.values()) {
      if (open !== (file !== null))
        throw wrong(`${where}/files`, `and container "${id}" do not agree whether it is open`);
    }
    for (const { id, fdOpen, file } of groups.values()) {
      if (fdOpen !== (file !== null))
        throw wrong(`${where}/files`, `and group "${id}" do not agree whether it is open`);
    }
    for (const { id, openCount, files } of kernel.devices.values()) {
      const more = openCount - files.length;
      if (more < 0 || more > 1) {
        throw wrong(`${where}/files`, `has ${files.length} of "${id}", whose openCount is ${openCount}`);
      }
    }
  }

  private opener({ opener }: SavedFile): Process | null {
    return this.kernel.restored!.alive(opener);
  }

  private ofContainer(saved: SavedFile, at: string): OpenFile {
    const container = this.kernel.containers.get(saved.id);
    if (!container || container.file)
      throw wrong(`${at}/id`, `is "${saved.id}", no container, or one with a file already`);
    return containerFile(container, this.opener(saved));
  }

  private ofGroup(saved: SavedFile, at: string): OpenFile {
    const group = this.groups.get(saved.id);
    if (saved.dead) {
      // An mdev is not bound again.
      if (!group || group.emulated) {
        throw wrong(
          `${at}/id`,
          `is "${saved.id}", but must be a group that lost its devices and has some again`,
        );
      }
      return newGroupFile(this.kernel, group, this.opener(saved));
    }
    if (!group || group.file)
      throw wrong(`${at}/id`, `is "${saved.id}", no group, or one with a file already`);
    return groupFile(this.kernel, group, this.opener(saved));
  }

  private ofDevice(saved: SavedFile, at: string): OpenFile {
    const device = this.kernel.devices.get(saved.id);
    if (!device) throw wrong(`${at}/id`, `is "${saved.id}", which is no device`);
    return deviceFile(device, this.opener(saved));
  }
}

function containerFile(container: Container, opener: Process | null): OpenFile {
  container.file = new OpenFile(container, opener, (task) => releaseContainer(task, container));
  return container.file;
}

function groupFile(kernel: Kernel, group: Group, opener: Process | null): OpenFile {
  group.file = newGroupFile(kernel, group, opener);
  return group.file;
}

function deviceFile(device: Device, opener: Process | null): OpenFile {
  const file: OpenFile = new OpenFile(device, opener, (task) => releaseDevice(task, device, file));
  device.files.push(file);
  return file;
}
