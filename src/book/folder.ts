import { existsSync } from 'node:fs';

/** The repository's, package's or image's root, wherever this file lies compiled or bundled. */
const ROOT = ['../', '../../', '../../../']
  .map((path) => new URL(path, import.meta.url))
  .find((folder) => existsSync(new URL('package.json', folder)));

/** A file or folder below the root. */
export function below(path: string): URL {
  return new URL(path, ROOT);
}
