import { afterEach, expect, test } from 'vitest';
import { type HttpRig, ok, startRig } from '../harness/http-rig.ts';
import { expectProblem } from '../harness/problem.ts';

const MIB = 1024 * 1024;
const PAGE = 4096;

let rig: HttpRig;
afterEach(() => rig.app.close());

const write = (process: string, pages: number, headers = {}) =>
  rig.post(
    `processes/${process}/write-memory`,
    { vaddr: '0x0', data: Buffer.alloc(pages * PAGE, 'abc').toString('base64') },
    headers,
  );

test('the processes of a rig have a budget together: past it ENOMEM in words, and what goes is given back', async () => {
  rig = await startRig({ logLevel: 'silent', rigMemory: 64 * PAGE });
  await ok(rig.post('processes', { process: 'p1' }));
  await ok(write('p0', 40));
  expectProblem(await write('p1', 40), {
    status: 409,
    slug: 'enomem',
    errno: 'ENOMEM',
    detail: ['no more pages'],
  });
  await ok(write('p1', 24));
  expectProblem(await rig.post('processes/p0/fork-process', { child: 'p2' }), {
    status: 409,
    slug: 'enomem',
    errno: 'ENOMEM',
    detail: ['a copy of those of "p0"'],
  });
  await ok(rig.post('processes/p0/exit-process'));
  await ok(write('p1', 64));
});

test('all rigs have a budget together, and a reset gives back what a rig had', async () => {
  rig = await startRig({ logLevel: 'silent', totalMemory: 64 * PAGE });
  const other = { 'x-rig': 'other' };
  await ok(write('p0', 40));
  expectProblem(await write('p0', 40, other), { status: 409, slug: 'enomem', errno: 'ENOMEM' });
  const steps = [
    { call: 'write-memory', process: 'p0', vaddr: '0x0', data: Buffer.alloc(MIB, 'x').toString('base64') },
  ];
  const { differences } = await ok(rig.post('replay', { steps: [{ ...steps[0], expect: { errno: null } }] }));
  expect(differences).toMatchObject([{ field: 'errno', actual: 'ENOMEM' }]);
  await ok(rig.post('reset'));
  await ok(write('p0', 64, other));
});

test('the dirty bitmaps of all rigs have a budget together: past it ENOMEM, or 413 of a snapshot, and a reset gives back', async () => {
  // A bitmap of a mapping of 1 GiB takes 32 KiB, and a word.
  rig = await startRig({ logLevel: 'silent', totalDirtyBitmaps: 40 * 1024 });
  const other = rig.inRig('other');
  for (const one of [rig, other]) {
    await one.inTurn([
      { call: 'open-container', container: 'c0' },
      { call: 'create-device', device: 'd0', driver: { type: 'synthetic', onDmaUnmap: 'ignore' } },
      { call: 'attach', container: 'c0', device: 'd0' },
      { call: 'map-dma', container: 'c0', iova: 0, vaddr: 0, size: 2 ** 30, flags: 3 },
    ]);
  }
  await ok(rig.post('containers/c0/dirty-start'));
  expectProblem(await other.post('containers/c0/dirty-start'), {
    status: 409,
    slug: 'enomem',
    errno: 'ENOMEM',
    detail: ["or with other hosts' more than 40960"],
  });
  const snapshot = await ok(rig.get('snapshot'));
  expectProblem(await other.request('PUT', '/v1/snapshot', snapshot), {
    status: 413,
    slug: 'too-large',
    detail: ["or with other hosts' more than 40960"],
  });
  await ok(rig.post('reset'));
  await ok(other.post('containers/c0/dirty-start'));
});
