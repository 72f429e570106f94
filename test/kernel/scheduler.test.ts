import { expect, test } from 'vitest';
import { generationOf } from '../../src/kernel/generations/index.ts';
import { Lock } from '../../src/kernel/lock.ts';
import type { SplatEvent } from '../../src/kernel/splats.ts';
import { type KernelStep, RESCHED, Task } from '../../src/kernel/task.ts';
import { WaitQueue } from '../../src/kernel/wait-queue.ts';
import { Machine } from '../../src/machine/machine.ts';
import { ALWAYS } from '../harness/pauses.ts';

/** A kernel on which tasks are run whose steps tell where they are. */
function rig() {
  const { kernel } = new Machine(generationOf('6.1')!);
  const { scheduler } = kernel;
  const told: string[] = [];
  const start = (name: string, step: (task: Task) => KernelStep<unknown>): Task => {
    const task = new Task(kernel, name, undefined);
    task.onEnd = () => told.push(`${name} ${task.end!.how}`);
    scheduler.run(task, step(task));
    return task;
  };
  return { scheduler, told, start };
}

test('a mutex goes to those who wait in order of arrival, each after the current task stops', () => {
  const { told, start } = rig();
  const lock = new Lock('lock');
  const wait = new WaitQueue('until it is let go');
  const first = start('first', function* (task) {
    yield* task.lock(lock);
    yield { until: wait, timeoutMs: null };
    task.unlock(lock);
    told.push('first let it go');
  });
  for (const name of ['second', 'third']) {
    const { waitsFor } = start(name, function* (task) {
      yield* task.lock(lock);
      told.push(`${name} has it`);
      task.unlock(lock);
    });
    expect(waitsFor).toBe(lock);
  }
  expect([lock.owner, told]).toEqual([first, []]);
  wait.wake(first);
  expect(told).toEqual([
    'first let it go',
    'first returned',
    'second has it',
    'second returned',
    'third has it',
    'third returned',
  ]);
  expect([lock.owner, lock.waiters]).toEqual([null, []]);
});

test('readers have a semaphore together; a writer waits for all of them, and later readers behind it', () => {
  const { told, start, scheduler } = rig();
  const lock = new Lock('lock');
  const [one, two] = [new WaitQueue('one'), new WaitQueue('two')];
  const read = (name: string, until: WaitQueue | null) =>
    start(name, function* (task) {
      yield* task.lockShared(lock);
      told.push(`${name} reads`);
      if (until) yield { until, timeoutMs: null };
      task.unlock(lock);
    });
  const a = read('a', one);
  const b = read('b', two);
  start('writer', function* (task) {
    yield* task.lock(lock);
    told.push(`writer writes, ${lock.readers.size} read`);
    task.unlock(lock);
  });
  read('c', null);
  read('d', null);
  expect(told).toEqual(['a reads', 'b reads']);
  expect(lock.waiters.map(({ task, shared }) => [task.call, shared])).toEqual([
    ['writer', false],
    ['c', true],
    ['d', true],
  ]);
  one.wake(a);
  expect(told.at(-1)).toBe('a returned');
  two.wake(b);
  expect(told.slice(3)).toEqual([
    'b returned',
    'writer writes, 0 read',
    'writer returned',
    'c reads',
    'c returned',
    'd reads',
    'd returned',
  ]);
  expect(scheduler.pending).toEqual([]);
});

test('a lock that is held for ever refuses those who come: all of them, or, where readers hold it, writers alone', () => {
  const { start } = rig();
  const splat = { id: 'X' } as SplatEvent;
  const die = (shared: boolean) => {
    const lock = new Lock('lock');
    start('dies', function* (task) {
      yield* shared ? task.lockShared(lock) : task.lock(lock);
      yield { bug: splat };
    });
    return lock;
  };
  const ends = (lock: Lock) => [
    start('writer', (task) => task.lock(lock)).end?.how,
    start('nested', (task) => task.lockNested(lock)).end?.how,
    start('reader', (task) => task.lockShared(lock)).end?.how,
  ];
  const [written, read, free] = [die(false), die(true), new Lock('free')];
  expect([written.wedgedBy, read.wedgedBy, free.wedgedBy]).toEqual([splat, splat, null]);
  expect([ends(written), ends(read)]).toEqual([
    ['wedged', 'wedged', 'wedged'],
    ['wedged', 'wedged', 'returned'],
  ]);
  expect(() => free.refuseIfWedged()).not.toThrow();
  expect(() => written.refuseIfWedged()).toThrow('lock is held for ever');
});

test('a task that hangs in the middle keeps what it holds, and whoever waits for that hangs as well', () => {
  const { start } = rig();
  const [dead, mine] = [new Lock('dead'), new Lock('mine')];
  const splat = { id: 'X' } as SplatEvent;
  start('dies', function* (task) {
    yield* task.lock(dead);
    yield { bug: splat };
  });
  const queue = new WaitQueue('a while');
  const hangs = start('hangs', function* (task) {
    yield* task.lock(mine);
    yield { until: queue, timeoutMs: null };
    yield* task.lockNested(dead);
  });
  const behind = start('behind', (task) => task.lock(mine));
  expect(behind.end).toBeNull();
  queue.wake(hangs);
  expect([hangs.end, behind.end]).toEqual(Array(2).fill({ how: 'wedged', splat }));
  const lets = new Lock('lets go');
  const outer = start('outer', function* (task) {
    yield* task.lock(lets);
    yield* task.lock(dead);
  });
  expect([outer.end?.how, lets.owner]).toEqual(['wedged', null]);
});

test('a lock in the middle of those that a task holds can be let go first', () => {
  const { start } = rig();
  const locks = ['a', 'b', 'c'].map((name) => new Lock(name));
  const held: string[][] = [];
  start('task', function* (task) {
    const note = () => held.push(task.held.map(({ name }) => name));
    for (const lock of locks) yield* task.lock(lock);
    for (const at of [1, 2, 0]) {
      note();
      task.unlock(locks[at]!);
    }
    note();
  });
  expect(held).toEqual([['a', 'b', 'c'], ['a', 'c'], ['a'], []]);
});

test('a lock that a task does not hold cannot be let go, and what it does hold is let go with the crash', () => {
  const { start } = rig();
  const [mine, other] = [new Lock('mine'), new Lock('other')];
  const { end } = start('task', function* (task) {
    yield* task.lock(mine);
    task.unlock(other);
  });
  expect(end).toMatchObject({ how: 'crashed', error: { message: 'other is not held by task' } });
  expect(mine.owner).toBeNull();
});

test('time passes to whoever wakes up first, of two at one time to the one that stopped first', () => {
  const { scheduler, told, start } = rig();
  const sleep = (name: string, milliseconds: number) =>
    start(name, function* () {
      yield { sleep: milliseconds };
      told.push(`${name} at ${scheduler.now}`);
    });
  sleep('late', 20);
  sleep('early', 10);
  sleep('early too', 10);
  scheduler.passTime(() => told.length < 1);
  expect(told).toEqual(['early at 10', 'early returned']);
  scheduler.passTime(() => true);
  expect(told.slice(2)).toEqual(['early too at 10', 'early too returned', 'late at 20', 'late returned']);
  expect(scheduler.now).toBe(20);
});

test('who waits at a queue makes no time pass alone, and goes on with its time where somebody sleeps', () => {
  const { scheduler, told, start } = rig();
  const queue = new WaitQueue('something');
  const wait = (name: string, timeoutMs: number | null) =>
    start(name, function* () {
      yield { until: queue, timeoutMs };
      told.push(`${name} at ${scheduler.now}`);
    });
  wait('waiter', 5);
  wait('for ever', null);
  scheduler.passTime(() => true);
  expect([told, scheduler.now, queue.waiters.size]).toEqual([[], 0, 2]);
  const sleeper = start('sleeper', function* () {
    yield { sleep: 7 };
  });
  scheduler.passTime(() => sleeper.end === null);
  expect([told, scheduler.now, queue.waiters.size]).toEqual([
    ['waiter at 5', 'waiter returned', 'sleeper returned'],
    7,
    1,
  ]);
  scheduler.wake(queue);
  expect(told.slice(3)).toEqual(['for ever at 7', 'for ever returned']);
  expect([queue.waiters.size, scheduler.pendingCount]).toEqual([0, 0]);
});

test('a task runs in the lowest thread that no task which has stopped runs in', () => {
  const { scheduler, start } = rig();
  const queues = [0, 1, 2].map((i) => new WaitQueue(`${i}`));
  const tasks = queues.map((until) =>
    start('waits', function* () {
      yield { until, timeoutMs: null };
    }),
  );
  expect(tasks.map(({ thread }) => thread)).toEqual([0, 1, 2]);
  scheduler.wake(queues[1]!);
  const wait = function* (): KernelStep<void> {
    yield { until: queues[1]!, timeoutMs: null };
  };
  expect([start('again', wait).thread, start('more', wait).thread]).toEqual([1, 3]);
  for (const queue of queues) scheduler.wake(queue);
  expect(start('alone', wait).thread).toBe(0);
});

test('long work stops where it is due, and nothing else runs before it has gone on', () => {
  const { scheduler, told, start } = rig();
  let due = false;
  let begun = 0;
  scheduler.pauses = { begin: () => begun++, isDue: () => due, later: () => {} };
  const work = function* (): KernelStep<void> {
    for (let i = 0; i < 4; i++) {
      told.push(`part ${i}`);
      yield RESCHED;
    }
  };
  start('work', work);
  expect([begun, told]).toEqual([1, ['part 0', 'part 1', 'part 2', 'part 3', 'work returned']]);
  told.length = 0;
  due = true;
  const long = start('long', work);
  // The first time is where it is noticed to be long.
  expect([begun, told, scheduler.paused?.call]).toEqual([2, ['part 0', 'part 1'], 'long']);
  start('other', function* () {
    told.push('other');
  });
  expect(told).toEqual(['part 0', 'part 1']);
  scheduler.goOn();
  expect([begun, told.slice(2), scheduler.paused?.call]).toEqual([3, ['part 2', 'part 3'], 'long']);
  due = false;
  scheduler.goOn();
  expect([begun, told.slice(4)]).toEqual([3, ['long returned', 'other', 'other returned']]);
  expect([scheduler.paused, long.end?.how]).toEqual([null, 'returned']);
});

test('work that is dropped where it stopped never goes on, nor does what waited behind it', () => {
  const { scheduler, told, start } = rig();
  scheduler.pauses = ALWAYS;
  start('long', function* () {
    yield RESCHED;
    yield RESCHED;
    told.push('it went on');
  });
  start('behind', function* () {
    told.push('behind');
  });
  scheduler.dropPaused();
  start('new', function* () {});
  expect([scheduler.paused, told]).toEqual([null, ['new returned']]);
});

test('a callback is resumed with what it was answered; nobody else can be', () => {
  const { scheduler, start } = rig();
  const callback = { mode: 'outside', call: 'open-device', device: 'd0', invalidation: null } as const;
  const shown: unknown[] = [];
  const run = () =>
    start('call', function* (task) {
      yield { callback };
      return task.callbackReturn;
    });
  const task = run();
  task.onCallback = (one) => shown.push(one);
  expect([task.callback, scheduler.pending]).toEqual([callback, [task]]);
  scheduler.resume(task, { errno: 'EIO' });
  expect([task.end, task.callback, scheduler.pendingCount]).toEqual([
    { how: 'returned', value: { errno: 'EIO' } },
    null,
    0,
  ]);
  expect(() => scheduler.resume(task)).toThrow('not in a callback');
  const silent = run();
  scheduler.resume(silent);
  expect(silent.end).toEqual({ how: 'returned', value: {} });
});
