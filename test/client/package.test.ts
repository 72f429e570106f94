import { execFile } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { useOneRig } from '../harness/http-rig.ts';

const run = promisify(execFile);
const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const PACKAGE = join(ROOT, 'packages/client');

const rig = useOneRig();
/** A project that has the client installed, and what the client depends on, and nothing else. */
let project: string;
beforeAll(async () => {
  await rig.listen();
  project = mkdtempSync(join(tmpdir(), 'vfio-host-client-'));
  const installed = join(project, 'node_modules/vfio-host-client');
  mkdirSync(installed, { recursive: true });
  const { dependencies } = JSON.parse(readFileSync(join(PACKAGE, 'package.json'), 'utf8'));
  for (const name of Object.keys(dependencies)) {
    const link = join(project, 'node_modules', name);
    mkdirSync(join(link, '..'), { recursive: true });
    symlinkSync(join(ROOT, 'node_modules', name), link);
  }
  await run(process.execPath, [join(PACKAGE, 'build.js')], {
    env: { ...process.env, BUILT_CLIENT: join(installed, 'dist') },
  });
  for (const file of ['package.json', 'testcontainers.js']) {
    writeFileSync(join(installed, file), readFileSync(join(PACKAGE, file)));
  }
}, 120_000);
afterAll(() => rmSync(project, { recursive: true, force: true }));

async function program(file: string, code: string): Promise<unknown> {
  writeFileSync(join(project, file), code);
  const { stdout } = await run(process.execPath, [file], { cwd: project, env: { URL: rig.url } });
  return JSON.parse(stdout);
}

const USE = `
const rig = new VfioHostClient({ url: process.env.URL, rig: 'package' });
const { errno } = await rig.container('nothing').get().catch((error) => error);
await rig.openContainer({ container: 'c0' });
const { splats } = { splats: await vfioMatchers.toHaveNoSplats(rig) };
const { container } = await rig.container('c0').get();
console.log(JSON.stringify({ container, errno: errno ?? null, pass: splats.pass, start: typeof startVfioHost }));
await rig.request('DELETE', '/v1/rigs/package');
await rig.close();
`;
const NAMES = '{ VfioHostClient, startVfioHost, vfioMatchers }';
const USED = { container: 'c0', errno: null, pass: true, start: 'function' };

describe('the package vfio-host-client', () => {
  test('is imported by ESM', async () => {
    expect(await program('esm.mjs', `import ${NAMES} from 'vfio-host-client';${USE}`)).toEqual(USED);
  });

  test('is required by CommonJS, as jest does', async () => {
    const code = `const ${NAMES} = require('vfio-host-client');(async () => {${USE}})();`;
    expect(await program('common.cjs', code)).toEqual(USED);
  });

  test('depends on what it imports, and on no server', async () => {
    const { dependencies } = JSON.parse(readFileSync(join(PACKAGE, 'package.json'), 'utf8'));
    const { dependencies: ours } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
    expect(Object.keys(dependencies).sort()).toEqual(['@sinclair/typebox', 'undici']);
    for (const [name, version] of Object.entries(dependencies)) expect(version).toBe(ours[name]);
    const built = readFileSync(join(project, 'node_modules/vfio-host-client/dist/index.js'), 'utf8');
    expect(
      [...built.matchAll(/^import .* from "([^"]+)"/gm)]
        .map(([, from]) => from)
        .filter((from) => !/^node:/.test(from!)),
    ).toEqual(['undici']);
    expect(existsSync(join(project, 'node_modules/vfio-host-client/dist/types/src/client/index.d.ts'))).toBe(
      true,
    );
  });

  test('VfioHostContainer waits for health, and has clients of what it started', async () => {
    // Docker is not there: what stands for testcontainers notes what it is told and starts nothing.
    const fake = join(project, 'node_modules/testcontainers');
    mkdirSync(fake, { recursive: true });
    writeFileSync(join(fake, 'package.json'), JSON.stringify({ type: 'module', main: 'index.js' }));
    writeFileSync(
      join(fake, 'index.js'),
      `const { hostname, port } = new URL(process.env.URL);
      export class AbstractStartedContainer {
        constructor(started) { this.started = started; }
        getHost() { return this.started.getHost(); }
        getMappedPort(inside) { return this.started.getMappedPort(inside); }
        stop() { return this.started.stop(); }
      }
      export class GenericContainer {
        told = {};
        constructor(image) { this.told.image = image; }
        async start() { return { told: this.told, getHost: () => hostname, getMappedPort: (inside) => inside === 8080 ? port : null, stop: async () => {} }; }
      }
      for (const name of ['withExposedPorts', 'withExtraHosts', 'withWaitStrategy', 'withStartupTimeout', 'withEnvironment'])
        GenericContainer.prototype[name] = function (value) { this.told[name] = value; return this; };
      export const Wait = { forHttp: (path, port) => ({ forStatusCode: (status) => ({ path, port, status }) }) };`,
    );
    const code = `
      import { VfioHostContainer } from 'vfio-host-client/testcontainers';
      const host = await new VfioHostContainer('an-image').withKernel('7.2').start();
      const { name } = await host.rig('t').request('GET', '/version');
      console.log(JSON.stringify({ name, told: host.started.told, driverHost: host.driverHost }));
      await host.stop();`;
    expect(await program('containers.mjs', code)).toMatchObject({
      name: 'vfio-host',
      driverHost: 'host.docker.internal',
      told: {
        image: 'an-image',
        withExposedPorts: 8080,
        withEnvironment: { KERNEL: '7.2' },
        withWaitStrategy: { path: '/health', port: 8080, status: 200 },
      },
    });
  });
});
