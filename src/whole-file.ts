import { lstatSync, renameSync, rmSync, writeFileSync } from 'node:fs';

/**
 * Writes a file as a whole: whoever reads it finds what was there before or all of the new, also when this process is
 * killed on the way. What is no ordinary file (a pipe, a link) is written to as it is.
 *
 * @throws what the file system says; the file is as it was then
 */
export function writeWhole(path: string, text: string): void {
  if (lstatSync(path, { throwIfNoEntry: false })?.isFile() === false) {
    writeFileSync(path, text);
    return;
  }
  const unfinished = `${path}.${process.pid}.unfinished`;
  try {
    writeFileSync(unfinished, text);
    renameSync(unfinished, path);
  } catch (error) {
    rmSync(unfinished, { force: true });
    throw error;
  }
}
