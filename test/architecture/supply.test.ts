import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';

const read = (file: string) => readFileSync(new URL(`../../${file}`, import.meta.url), 'utf8');
const manifest = JSON.parse(read('package.json')) as Record<string, Record<string, string>>;
const lock = JSON.parse(read('package-lock.json')) as {
  packages: Record<
    string,
    { version?: string; hasInstallScript?: boolean; resolved?: string; link?: boolean }
  >;
};

test('SECURITY.md gives a reason for each package that is needed at run time, and for no other', () => {
  const rows = [...read('SECURITY.md').matchAll(/^\| `([^`]+)` \| (.+) \|$/gm)];
  expect(rows.map(([, name]) => name).sort()).toEqual(Object.keys(manifest.dependencies!).sort());
});

test('every version is exact', () => {
  const all = { ...manifest.dependencies, ...manifest.devDependencies };
  for (const [name, version] of Object.entries(all)) expect(version, name).toMatch(/^\d+\.\d+\.\d+$/);
});

test('no package runs a script when it is installed, and the lock file names no address', () => {
  for (const [path, { hasInstallScript, resolved, link }] of Object.entries(lock.packages)) {
    expect(hasInstallScript, path).toBeUndefined();
    // A folder of the repository has its path here.
    if (!link) expect(resolved, path).toBeUndefined();
  }
});
