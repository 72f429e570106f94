// Builds this package from the repository's sources: one file for ESM, one for CommonJS, and the types.
import { execFileSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';

/** Where it is built. */
const dist = process.env.BUILT_CLIENT ?? fileURLToPath(new URL('dist', import.meta.url));
const here = (path) => fileURLToPath(new URL(path, import.meta.url));

rmSync(dist, { recursive: true, force: true });
const bundle = await rolldown({
  input: here('../../src/client/index.ts'),
  platform: 'node',
  external: [/^node:/, 'undici'],
});
await bundle.write({ file: `${dist}/index.js`, format: 'esm' });
await bundle.write({ file: `${dist}/index.cjs`, format: 'cjs' });
await bundle.close();
const tsc = here('../../node_modules/.bin/tsc');
execFileSync(tsc, ['-p', here('tsconfig.json'), '--outDir', `${dist}/types`], { stdio: 'inherit' });
