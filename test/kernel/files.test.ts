import { expect, test } from 'vitest';
import { FileTable, OpenFile } from '../../src/kernel/files.ts';
import { generationOf } from '../../src/kernel/generations/index.ts';
import { Task } from '../../src/kernel/task.ts';
import { Machine } from '../../src/machine/machine.ts';
import { rigAfter } from '../harness/core-rig.ts';
import { through } from '../harness/type1-rig.ts';
import { V2 } from '../refusals/refusals.ts';

const { kernel } = new Machine(generationOf('6.1')!);
const container = kernel.openContainer('c0', kernel.processes.get('p0')!);

/** Files that note in a list when they are released, by their names. */
function files(...names: string[]) {
  const released: string[] = [];
  const made = names.map((name): OpenFile => {
    const file: OpenFile = new OpenFile(container, null, function* () {
      released.push(`${name}, ${file.closing ? 'closing' : 'open'}`);
    });
    return file;
  });
  return { made, released };
}

test('each file gets the lowest number that is free', () => {
  const table = new FileTable();
  const [a, b, c, d] = files('a', 'b', 'c', 'd').made as [OpenFile, OpenFile, OpenFile, OpenFile];
  for (const file of [a, b, c]) table.add(file);
  expect([table.free, table.list()]).toEqual([3, [a, b, c]]);
  table.remove(b);
  expect([table.free, table.list()]).toEqual([1, [a, null, c]]);
  table.add(d);
  expect([table.free, table.list()]).toEqual([3, [a, d, c]]);
  for (const file of [d, c]) table.remove(file);
  expect([table.free, table.list()]).toEqual([1, [a]]);
  table.addAt(3, c);
  expect([table.free, table.list()]).toEqual([1, [a, null, null, c]]);
});

test('a file with two descriptors is there until both are gone, the higher number first', () => {
  const table = new FileTable();
  const [a, b] = files('a', 'b').made as [OpenFile, OpenFile];
  for (const file of [a, b, a]) table.add(file);
  expect([a.users, b.users]).toEqual([2, 1]);
  table.remove(a);
  expect([table.has(a), table.list()]).toEqual([true, [a, b]]);
  table.remove(a);
  expect([table.has(a), table.list()]).toEqual([false, [null, b]]);
});

test('the child of a fork has every file at its number; an exit closes the highest first', () => {
  const table = new FileTable();
  const [a, b, c] = files('a', 'b', 'c').made as [OpenFile, OpenFile, OpenFile];
  for (const file of [a, b, c]) table.add(file);
  table.remove(b);
  const child = new FileTable();
  table.copyTo(child);
  expect(child.list()).toEqual([a, null, c]);
  expect([a.users, b.users, c.users]).toEqual([2, 1, 2]);
  expect(child.takeAll()).toEqual([c, a]);
  expect([child.list(), child.has(a), child.free]).toEqual([[], false, 0]);
});

test('a file is released with its last holder, which is closing it meanwhile', () => {
  const { made, released } = files('a');
  const [file] = made as [OpenFile];
  file.users = 2;
  const put = () => through(file.put(new Task(kernel, 'close', undefined)));
  put();
  expect([file.users, released]).toEqual([1, []]);
  put();
  expect([file.users, file.closing, released]).toEqual([0, false, ['a, closing']]);
});

test('a file whose release would wait for ever keeps its holder', () => {
  const file = new OpenFile(container, null, function* () {
    throw new Error('wedged');
  });
  file.users = 1;
  expect(() => through(file.put(new Task(kernel, 'close', undefined)))).toThrow('wedged');
  expect([file.users, file.closing]).toEqual([1, false]);
});

/** Process p1, a child of p0, after which p0 has opened nothing; the calls below say who makes them. */
const FORKED = [...V2, { call: 'fork-process', process: 'p0', child: 'p1' }];
const close = { call: 'close-container', container: 'c0' };
const map = { call: 'map-dma', container: 'c0', iova: 0, vaddr: 0, size: 4096, flags: 3 };

test('a descriptor is that of the process that a call names, else the opener’s, else anybody’s once that has exited', () => {
  const byChild = rigAfter('6.1', [...FORKED, { ...close, process: 'p1' }]);
  expect(byChild.ask({ ...map, process: 'p1' }).body).toMatchObject({ errno: 'EBADF' });
  expect(byChild.ask(map).body).not.toHaveProperty('errno');
  const byOpener = rigAfter('6.1', [...FORKED, close]);
  expect(byOpener.ask(map).body).toMatchObject({ errno: 'EBADF' });
  expect(byOpener.ask({ ...map, process: 'p1' }).body).not.toHaveProperty('errno');
  const exited = rigAfter('6.1', [...FORKED, { call: 'exit-process', process: 'p0' }]);
  expect(exited.ask(close).body).toEqual({});
  expect(exited.ask(close).body).toMatchObject({ errno: 'EBADF' });
});

test('once the opener has exited the descriptor is that of a process that has one, not of any other', () => {
  const [other, fork] = [
    { call: 'create-process', process: 'p1' },
    { call: 'fork-process', process: 'p0', child: 'p2' },
  ];
  const rig = rigAfter('6.1', [...V2, other, fork, { call: 'exit-process', process: 'p0' }, close]);
  expect(rig.ask(map).body).toMatchObject({ errno: 'EBADF' });
  expect(rig.ask({ ...map, process: 'p2' }).body).toMatchObject({ errno: 'EBADF' });
});
