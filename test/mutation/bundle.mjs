// The mutated program and the tests that hold it, as one script: `dist/mutation/tests.cjs`. One script can be evaluated
// again and again in one process, which is how a mutant of a module's own statements is tried.

import { readdirSync } from 'node:fs';
import { resolve } from 'node:path';
import { rolldown } from 'rolldown';

/** Folders and files of tests that hold the kernel and the drivers in process: those that start programs or compile are not here. */
const TESTS = [
  'test/drivers',
  'test/exhaustive',
  'test/iommufd',
  'test/kernel',
  'test/machine',
  'test/model',
  'test/processes',
  'test/refusals',
  'test/type1',
  'test/snapshot/bounds.test.ts',
  'test/snapshot/corners.test.ts',
  'test/snapshot/malformed.test.ts',
  'test/snapshot/property.test.ts',
  'test/snapshot/restore-pauses.test.ts',
  'test/snapshot/saved-memory.test.ts',
  'test/snapshot/steps.test.ts',
  'test/docs/cases.test.ts',
  'test/http/attach-detach.test.ts',
  'test/http/conveniences.test.ts',
  'test/http/detach-answers.test.ts',
  'test/http/faults.test.ts',
  'test/http/lists-paging.test.ts',
  'test/http/splats.test.ts',
  'test/http/status-codes.test.ts',
  'test/snapshot/http.test.ts',
  'test/webhook/driver.test.ts',
  'test/webhook/secrets.test.ts',
];

/** Tests that read every recording in one: the runner takes the recordings one by one. */
const ONE_BY_ONE = /naive-recordings|compare-kernels|deadline|driver-reasons/;

const files = TESTS.flatMap((path) =>
  path.endsWith('.ts') ? [path] : readdirSync(path, { recursive: true }).map((file) => `${path}/${file}`),
).filter((path) => path.endsWith('.test.ts') && !ONE_BY_ONE.test(path));

/** The module that is not a file: it imports every test. */
const ALL = resolve('test/mutation/all.ts');

const tests = {
  name: 'tests',
  resolveId: (id) => (id === 'vitest' ? resolve('test/mutation/vitest.ts') : id === ALL ? id : null),
  load: (id) =>
    id === ALL
      ? ['recorded.ts', ...files.map((file) => resolve(file))]
          .map((file) => `import '${file.startsWith('/') ? file : `./${file}`}';`)
          .concat("export { registered } from './vitest.ts';")
          .join('\n')
      : null,
  transform: (code, id) => {
    const file = files.find((each) => id === resolve(each));
    return file ? `import { inFile } from 'vitest';\ninFile('${file}');\n${code}` : null;
  },
};

const bundle = await rolldown({
  input: ALL,
  platform: 'node',
  plugins: [tests],
  treeshake: false,
  external: (id) => /^[^./]/.test(id) && id !== 'vitest',
});
await bundle.write({ file: 'dist/mutation/tests.cjs', format: 'cjs', codeSplitting: false });
await bundle.close();
