import type { OpenFile } from '../kernel/files.ts';
import type { Process } from '../kernel/process.ts';
import type { Container } from '../kernel/vfio/container.ts';
import type { CallTask } from './call-task.ts';

/**
 * Says which process makes a call: the one that it names; or else the one that opened the container or the group, or, once
 * that has exited, whoever has it open; or else p0.
 *
 * @throws Refused where there is no such process
 */
export function setActor(task: CallTask): void {
  const { machine, object, known } = task;
  const { process } = object;
  if (typeof process === 'string' && known.name !== 'create-process') {
    task.process = machine.process(process);
    task.namesProcess = known.on !== 'process';
    return;
  }
  const found = byFile(task);
  if (found) task.process = found;
  else if (OPENS.has(known.name)) task.process = machine.process('p0');
}

/** Calls that open a file of their own: nobody has it yet. */
const OPENS: ReadonlySet<string> = new Set(['open-container', 'open-group']);

function byFile({ machine, object }: CallTask): Process | null {
  const { kernel } = machine;
  const { container, device } = object;
  if (typeof container === 'string') {
    const named = kernel.containers.get(container);
    if (named) return userOfContainer(named, kernel.processes);
  }
  if (typeof device !== 'string') return null;
  const of = kernel.devices.get(device) ?? kernel.gone.get(device);
  if (!of) return null;
  const its = of.container;
  return (its && userOfContainer(its, kernel.processes)) ?? userOf(of.group.file, kernel.processes);
}

/** Also once its file is closed, where a group keeps it. */
function userOfContainer(
  { file, process }: Container,
  processes: ReadonlyMap<string, Process>,
): Process | null {
  return userOf(file, processes) ?? living(process);
}

function userOf(file: OpenFile | null, processes: ReadonlyMap<string, Process>): Process | null {
  if (!file) return null;
  if (file.opener?.alive) return file.opener;
  for (const process of processes.values()) if (process.files.has(file)) return process;
  return null;
}

function living(process: Process): Process | null {
  return process.alive ? process : null;
}
