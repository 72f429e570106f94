/** How deep objects and arrays may lie in each other. */
export const DEPTH_MAX = 100;

/** Why a text is no JSON that is taken here. */
export class JsonError extends Error {}

export const QUOTE = 0x22;
const BACKSLASH = 0x5c;
export const OPEN_ARRAY = 0x5b;
export const CLOSE_ARRAY = 0x5d;
export const OPEN_OBJECT = 0x7b;
export const CLOSE_OBJECT = 0x7d;

/** What is wrong with a text whose objects and arrays lie too deep in each other. */
export const TOO_DEEP = `has objects and arrays more than ${DEPTH_MAX} deep in each other`;

/** Whether objects and arrays of a text lie too deep in each other; of one that is no JSON, maybe. */
export function isTooDeep(text: string): boolean {
  // One of so few characters can lie no deeper.
  if (text.length < 2 * DEPTH_MAX) return false;
  let depth = 0;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) at = endOfString(text, at) - 1;
    else if (code === OPEN_ARRAY || code === OPEN_OBJECT) {
      if (++depth > DEPTH_MAX) return true;
    } else if (code === CLOSE_ARRAY || code === CLOSE_OBJECT) depth--;
  }
  return false;
}

export function tooDeep(): JsonError {
  return new JsonError(TOO_DEEP);
}

/** The place behind the string that begins at a quotation mark; the text's end where it does not end. */
export function endOfString(text: string, from: number): number {
  for (let at = text.indexOf('"', from + 1); at >= 0; at = text.indexOf('"', at + 1)) {
    if (!isEscaped(text, at, from + 1)) return at + 1;
  }
  return text.length;
}

/** Whether an odd number of backslashes is before a character of a string that begins at `from`. */
export function isEscaped(text: string, at: number, from: number): boolean {
  let slashes = 0;
  while (at - 1 - slashes >= from && text.charCodeAt(at - 1 - slashes) === BACKSLASH) slashes++;
  return slashes % 2 === 1;
}
