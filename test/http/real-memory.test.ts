import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { ok, useRig } from '../harness/http-rig.ts';

const rig = useRig({ processMemory: 'real' });

/** The first area of this very process with these permissions, as maps shows them: its first and last page. */
function area(permissions: string): { start: string; last: string } {
  const line = readFileSync('/proc/self/maps', 'utf8')
    .split('\n')
    .find((text) => text.includes(` ${permissions} `) && !/\[v|\(deleted\)/.test(text))!;
  const [start = '', end = ''] = line.split(' ', 1)[0]!.split('-');
  return { start: `0x${start}`, last: `0x${(BigInt(`0x${end}`) - 4096n).toString(16)}` };
}

/** Beyond what this process can have. */
const NOWHERE = '0x1000';

/** A container with an IOMMU-backed device, of a process that has this process's memory. */
async function withContainer(): Promise<void> {
  expect(await ok(rig.post('processes', { pid: process.pid }))).toEqual({ process: 'p1' });
  await ok(rig.post('containers', { process: 'p1' }));
  await ok(rig.post('devices', { kind: 'vfio-pci' }));
  await ok(rig.post('containers/c0/attach', { device: 'd0' }));
}

const map = (vaddr: string, flags: string[]) =>
  rig.post('containers/c0/map-dma', { iova: '0x0', vaddr, size: '0x1000', flags });

test('where memory is emulated a pid is refused, and says how it would not be', async () => {
  await rig.start();
  const { status, body } = await rig.post('processes', { pid: process.pid });
  expect([status, body.type]).toEqual([403, 'urn:vfio-host:problem:no-real-memory']);
  expect(body.detail).toContain('PROCESS_MEMORY=real');
  expect((await rig.request('GET', '/v1')).body.processMemory).toBe('emulated');
});

test('a process that is not there is ESRCH, and uses up no id', async () => {
  expect((await rig.post('processes', { pid: 4_194_304 })).body.errno).toBe('ESRCH');
  expect(await ok(rig.post('processes', {}))).toEqual({ process: 'p1' });
  expect((await rig.request('GET', '/v1')).body.processMemory).toBe('real');
});

test('what the process has mapped is what can be mapped for DMA', async () => {
  await withContainer();
  const writable = area('rw-p');
  const readable = area('r--p');
  expect((await map(NOWHERE, ['read'])).body.errno).toBe('EFAULT');
  expect((await map(readable.start, ['read', 'write'])).body.errno).toBe('EFAULT');
  await ok(map(writable.last, ['read', 'write']));
  expect((await ok(rig.get('processes/p1'))).lockedPages).toBe(1);
});

test('read-memory gives the bytes that are there, and EFAULT where nothing is', async () => {
  await withContainer();
  const { start } = area('r--p');
  const { data } = await ok(rig.post('processes/p1/read-memory', { vaddr: start, length: 4 }));
  // The first read-only part of a program is its file's beginning.
  expect(Buffer.from(data, 'base64').toString('latin1')).toBe('\x7fELF');
  expect((await rig.post('processes/p1/read-memory', { vaddr: NOWHERE, length: 4 })).body.errno).toBe(
    'EFAULT',
  );
  const write = rig.post('processes/p1/write-memory', { vaddr: start, data: 'AAAA' });
  expect((await write).body.errno).toBe('EFAULT');
});

test('its regions are the process’s own to make', async () => {
  await withContainer();
  const { status, body } = await rig.post('processes/p1/add-memory-region', {
    start: NOWHERE,
    size: '0x1000',
    prot: ['read'],
  });
  expect([status, body.detail]).toEqual([
    400,
    'the regions of process "p1" are what a real process has mapped',
  ]);
});

test('a snapshot has no place for it', async () => {
  await withContainer();
  const { status, body } = await rig.get('snapshot');
  expect([status, body.type]).toEqual([409, 'urn:vfio-host:problem:real-memory']);
});

test('the trace replays with emulated memory', async () => {
  await withContainer();
  await map(NOWHERE, ['read']);
  await map(area('r--p').start, ['read', 'write']);
  await map(area('rw-p').start, ['read', 'write']);
  const trace = await ok(rig.get('trace'));
  const steps = trace.steps as { call: string; pid?: number }[];
  expect(steps.some(({ pid }) => pid !== undefined)).toBe(false);
  expect(steps.filter(({ call }) => call === 'add-memory-region')).toHaveLength(3);
  expect((await ok(rig.post('replay', trace))).differences).toEqual([]);
});
