import { spawnSync } from 'node:child_process';
import type { IncomingMessage } from 'node:http';
import { expect, onTestFinished, test } from 'vitest';
import { startRig } from '../harness/http-rig.ts';
import { compile, HAS_COMPILER, prepared, runIn, stillOpen } from './programs.ts';

const SLOW_MS = 60_000;

test.skipIf(!HAS_COMPILER)('a header is looked for in the head alone', { timeout: SLOW_MS }, () => {
  const { status, stdout } = spawnSync(compile('header'), { encoding: 'utf8' });
  const lines = ['first 22', 'last 46', 'whole 1', 'beyond 1', 'none 1', 'empty 1'];
  expect([stdout.trimEnd().split('\n'), status]).toEqual([lines, 0]);
});

test.skipIf(!HAS_COMPILER).each([
  ['has connections', 'vforks'],
  ['has one that takes no requests, and descriptors of its own', 'vforks-beside'],
  ['has used up its descriptors', 'vforks-full'],
])(
  'a child of vfork whose parent %s makes its request on a connection of its own, and closes it',
  {
    timeout: SLOW_MS,
  },
  async (_, part) => {
    const service = await startRig();
    onTestFinished(() => service.close());
    await service.listen();
    const connections = new Map<IncomingMessage['socket'], string[]>();
    const rig = await prepared(['vfio-pci'], { url: service.url });
    onTestFinished(() => rig.close());
    service.app.server.on('request', ({ socket, method, url }: IncomingMessage) => {
      connections.set(socket, [...(connections.get(socket) ?? []), `${method} ${url}`]);
    });
    const { code, stdout, stderr } = await runIn(
      rig,
      'sh',
      '-c',
      `ulimit -n 512; exec ${compile('spawn')} ${part}`,
    );
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toContain('status 0\n');
    expect(stdout).not.toMatch(/^status [^0]|^lost [^0]/m);
    const forks = [...connections].filter(([, said]) => said.some((line) => line.includes('/fork-process')));
    expect(forks.map(([, said]) => said)).toEqual([['POST /v1/processes/spawn/fork-process']]);
    expect(forks.map(([socket]) => socket.destroyed)).toEqual([true]);
    expect(await stillOpen(rig)).toEqual([]);
  },
);
