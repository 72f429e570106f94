import type { CallObject, CallTarget } from '../../schemas/calls.ts';
import type { OpenFile } from '../kernel/files.ts';
import type { Process } from '../kernel/process.ts';
import { Container } from '../kernel/vfio/container.ts';
import { Device } from '../kernel/vfio/device.ts';
import type { Targets } from './call-handler.ts';
import type { Machine } from './machine.ts';
import type { KnownCall } from './table.ts';

/**
 * Which process makes a call: the one that it names; or else the one that opened the container or the group, or, once
 * that has exited, whoever has it open; or else p0, null where that is gone.
 *
 * @param target what the call is made on
 * @throws Refused where there is no such process
 */
export function actorOf(
  machine: Machine,
  call: CallObject,
  known: KnownCall,
  target: Targets[CallTarget],
): Process | null {
  if (saysProcess(call, known)) return machine.process(call.process as string);
  const found = byFile(machine, call, target);
  if (found) return found;
  return OPENS.has(known.name) ? machine.process('p0') : (machine.kernel.processes.get('p0') ?? null);
}

/** Whether a call says itself which process makes it, and is not made on that. */
export function namesActor(call: CallObject, known: KnownCall): boolean {
  return saysProcess(call, known) && known.on !== 'process';
}

function saysProcess({ process }: CallObject, { name }: KnownCall): boolean {
  return typeof process === 'string' && name !== 'create-process';
}

/** Calls that open a file of their own: nobody has it yet. */
const OPENS: ReadonlySet<string> = new Set(['open-container', 'open-group']);

function byFile(
  { kernel }: Machine,
  { container, device }: CallObject,
  target: Targets[CallTarget],
): Process | null {
  const { containers, devices, gone, processes } = kernel;
  if (typeof container === 'string') {
    const named = target instanceof Container ? target : containers.get(container);
    if (named) return userOfContainer(named, processes);
  }
  if (typeof device !== 'string') return null;
  const of = target instanceof Device ? target : (devices.get(device) ?? gone.get(device));
  if (!of) return null;
  const its = of.container;
  return (its && userOfContainer(its, processes)) ?? userOf(of.group.file, processes);
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
