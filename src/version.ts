import { readFileSync } from 'node:fs';

/** package.json lies two folders above the compiled file, one above the source. */
function readVersion(): string {
  for (const path of ['../package.json', '../../package.json']) {
    try {
      const parsed = JSON.parse(readFileSync(new URL(path, import.meta.url), 'utf8')) as { version: string };
      return parsed.version;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }
  throw new Error('package.json is missing');
}

/** This program's version. */
export const VERSION: string = readVersion();
