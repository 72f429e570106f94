import type { CallObject } from '../../schemas/calls.ts';

/** The processes of a record by pid: what each is in the trace, and what it has open. */
export class Processes {
  private readonly ids = new Map<number, string>();
  private readonly open = new Map<number, Set<string>>();
  private count = 0;

  /** @param tell takes the calls that make processes and end them */
  constructor(private readonly tell: (call: CallObject) => void) {}

  /** The process of a pid; the first that is heard of is p0. */
  idOf(pid: number): string {
    const known = this.ids.get(pid);
    if (known !== undefined) return known;
    const id = this.add(pid);
    if (id !== 'p0') this.tell({ call: 'create-process', process: id });
    return id;
  }

  /** Who makes a call, as an argument of it; nothing where there is only one process. */
  actor(pid: number): { process?: string } {
    const process = this.idOf(pid);
    return this.count > 1 ? { process } : {};
  }

  fork(parent: number, child: number): void {
    const process = this.idOf(parent);
    this.tell({ call: 'fork-process', process, child: this.add(child) });
    this.open.set(child, new Set(this.open.get(parent)));
  }

  /** A process is known by its pid now, and was by another number. */
  renumber(from: number, to: number): void {
    const id = this.ids.get(from);
    const files = this.open.get(from);
    if (id === undefined || files === undefined) return;
    this.ids.delete(from);
    this.open.delete(from);
    this.ids.set(to, id);
    this.open.set(to, files);
  }

  /** The process ends; where it has nothing open nobody need be told. */
  exit(pid: number): void {
    const process = this.ids.get(pid);
    const leaves = (this.open.get(pid)?.size ?? 0) > 0;
    this.open.delete(pid);
    this.ids.delete(pid);
    if (process !== undefined && (leaves || this.count > 1)) this.tell({ call: 'exit-process', process });
  }

  opened(pid: number, file: string): void {
    this.open.get(pid)?.add(file);
  }

  /** Whether it had that file, and has it no more. */
  closed(pid: number, file: string): boolean {
    return this.open.get(pid)?.delete(file) ?? false;
  }

  /** Whether anybody has a file. */
  isOpen(file: string): boolean {
    return [...this.open.values()].some((files) => files.has(file));
  }

  private add(pid: number): string {
    const id = `p${this.count++}`;
    this.ids.set(pid, id);
    this.open.set(pid, new Set());
    return id;
  }
}
