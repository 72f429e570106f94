import { MODELS } from '../drivers/index.ts';
import type { Task } from '../kernel/task.ts';
import { Machine } from '../machine/machine.ts';
import { knownCall } from '../machine/table.ts';
import { Canonical } from './canonical.ts';
import { Entries } from './entries.ts';
import { adviceFound, type Finding, findingsOf } from './goals.ts';
import { Graph, reachableFrom } from './memento.ts';
import type { Scene } from './scene.ts';
import { Order } from './state-hash.ts';
import { OBJECTS, Watch } from './watch.ts';
import { tablesOf } from './watched-tables.ts';

/** What tells a call under way apart: the state it began in, for each order of the devices, and what was done since. */
export interface History {
  readonly hashes: readonly number[];
  readonly since: Step[];
}

/** An action by what it is, and by the device it is made on. */
export interface Step {
  readonly what: number;
  readonly device: string | null;
}

/** A scene that is set on a machine, and what it takes to go about in it. */
export interface SetScene {
  readonly machine: Machine;
  /** What the machine has come to since somebody emptied it. */
  readonly findings: Finding[];
  /** Of calls under way. */
  readonly histories: Map<Task, History>;
  readonly graph: Graph;
  readonly canonical: Canonical;
  /** Every order in which the devices may be numbered. */
  readonly orders: readonly Order[];
  readonly watch: Watch;
}

/**
 * Sets a scene, stopping now and then: code is compiled for each kind of object that there is.
 *
 * @param entries numbers the entries of tables, for all who remember the same
 */
export function* setScene(scene: Scene, entries: Entries = new Entries()): Generator<void, SetScene> {
  const findings: Finding[] = [];
  const histories = new Map<Task, History>();
  const machine = new Machine(scene.gen, undefined, {
    listeners: [
      {
        splat: (task, event) => findings.push(...findingsOf(task, event)),
        advisory: (_task, advisory) => findings.push(...adviceFound(advisory)),
      },
    ],
  });
  for (const call of scene.setup) {
    const { answer } = machine.start(call);
    if (answer?.end.how !== 'returned' || typeof answer.end.value === 'string') {
      throw new Error(`${JSON.stringify(call)}: ${JSON.stringify(answer?.end)} ${answer?.why ?? ''}`);
    }
    yield;
  }
  const { kernel } = machine;
  kernel.hasWords = false;
  const outside = yield* whatNeverChanges(scene, machine);
  const tables = tablesOf(kernel);
  const watch = new Watch(whatFewLookInto(machine, outside), tables, entries);
  yield;
  const graph = new Graph({ machine, histories }, outside);
  yield;
  const canonical = new Canonical(
    kernel,
    outside,
    [machine.faults],
    scene.isAboutFiles,
    tables.map(({ table }) => table),
    entries,
  );
  const orders = ordersOf(scene).map((ids) => new Order(kernel, ids));
  return { machine, findings, histories, graph, canonical, orders, watch };
}

function* whatNeverChanges({ gen, actions, setup }: Scene, machine: Machine): Generator<void, Set<object>> {
  const names = [...actions.map(({ call }) => call.call), ...setup.map(({ call }) => call)];
  const { limits, listeners, options } = machine as unknown as Record<string, object>;
  const known = names.map((name) => knownCall(name)!);
  const eras = MODELS.flatMap((model) => [model.eras, ...(model.parts ?? [])]);
  return yield* reachableFrom([gen, ...eras, limits!, listeners!, options!, ...known, actions, setup]);
}

/** What drivers know, what memory processes have locked, and what has been printed once for all. */
function whatFewLookInto({ kernel }: Machine, outside: ReadonlySet<object>): object[] {
  const { devices, processes, taint, fired } = kernel;
  const drivers = [...devices.values()].map(({ driver }) => driver);
  const memories = [...processes.values()].map(({ mm }) => mm);
  const objects = new Set<object>([taint, fired, ...memories, ...drivers]);
  return [...objects].filter((object) => !outside.has(object)).slice(0, OBJECTS);
}

/** Every order in which the devices may be numbered. */
function ordersOf({ devices, alike }: Scene): string[][] {
  let orders: string[][] = [[...devices]];
  for (const group of alike) {
    orders = orders.flatMap((order) =>
      permutations(group).map((permuted) =>
        order.map((id) => (group.includes(id) ? permuted[group.indexOf(id)]! : id)),
      ),
    );
  }
  return orders;
}

function permutations<T>(items: readonly T[]): T[][] {
  if (items.length <= 1) return [[...items]];
  return items.flatMap((item, i) => permutations(items.toSpliced(i, 1)).map((rest) => [item, ...rest]));
}
