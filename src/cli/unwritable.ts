import { lstatSync, rmSync, writeFileSync } from 'node:fs';
import { UsageError } from '../arguments.ts';
import { FileError, unfinishedOf } from '../whole-file.ts';

/**
 * Makes sure before the work that its result can be written; nothing is changed.
 *
 * @param option the flag that names the file
 * @throws UsageError where it cannot be
 */
export function refuseUnwritable(option: string, path: string | undefined): void {
  if (path === undefined) return;
  try {
    tryOut(path);
  } catch (error) {
    throw new UsageError(`${option}: ${new FileError(path, error).message}`);
  }
}

function tryOut(path: string): void {
  const there = lstatSync(path, { throwIfNoEntry: false });
  if (there?.isDirectory()) throw new Error('EISDIR: it is a folder');
  if (there?.isFile() === false) return;
  const tried = unfinishedOf(path);
  writeFileSync(tried, '');
  rmSync(tried);
}
