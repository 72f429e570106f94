import { lstatSync, renameSync, rmSync, writeFileSync } from 'node:fs';

/** A file that cannot be written; the message names it and says why. */
export class FileError extends Error {
  constructor(path: string, cause: unknown) {
    // The rest of it names what is written on the way, which is nobody's file.
    const [why] = (cause as Error).message.split(', ');
    super(`cannot write ${path}: ${why}`, { cause });
  }
}

/**
 * Writes a file as a whole: whoever reads it finds what was there before or all of the new, also when this process is
 * killed on the way. What is no ordinary file (a pipe, a link) is written to as it is.
 *
 * @throws FileError; the file is as it was then
 */
export function writeWhole(path: string, content: string | Uint8Array): void {
  try {
    write(path, content);
  } catch (error) {
    throw new FileError(path, error);
  }
}

function write(path: string, content: string | Uint8Array): void {
  if (lstatSync(path, { throwIfNoEntry: false })?.isFile() === false) {
    writeFileSync(path, content);
    return;
  }
  const unfinished = unfinishedOf(path);
  try {
    writeFileSync(unfinished, content);
    renameSync(unfinished, path);
  } catch (error) {
    rmSync(unfinished, { force: true });
    throw error;
  }
}

/** Where a file is written before it is put in its place. */
export function unfinishedOf(path: string): string {
  return `${path}.${process.pid}.unfinished`;
}
