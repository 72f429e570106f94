/** How deep objects and arrays may lie in each other. */
const DEPTH_MAX = 100;

/** How many fields one object of a long text may have. */
const FIELDS_MAX = 10_000;

/** Characters that are parsed in one go. */
const PIECE = 32 * 1024;

/** Why a text is no JSON that is taken here. */
export class JsonError extends Error {}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;

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

function tooDeep(): JsonError {
  return new JsonError(TOO_DEEP);
}

/** The place behind the string that begins at a quotation mark; the text's end where it does not end. */
function endOfString(text: string, from: number): number {
  for (let at = text.indexOf('"', from + 1); at >= 0; at = text.indexOf('"', at + 1)) {
    let slashes = 0;
    while (text.charCodeAt(at - 1 - slashes) === BACKSLASH) slashes++;
    if (slashes % 2 === 0) return at + 1;
  }
  return text.length;
}

/**
 * The value of a long text of JSON, stopping now and then: the text is cut between the items of its objects and arrays, and the
 * pieces are parsed as JSON.parse does.
 */
export function* parseSteps(text: string): Generator<void, unknown> {
  const parser = new Pieces(text);
  const value = yield* parser.value(0);
  parser.end();
  return value;
}

/** Where the items of an object or array end that a piece has taken. */
interface Cut {
  /** Behind the last whole item that fits; the beginning where not even one does. */
  readonly end: number;
  /** Whether the object or array ends there. */
  readonly closed: boolean;
}

class Pieces {
  private at = 0;

  constructor(private readonly text: string) {}

  end(): void {
    this.space();
    if (this.at < this.text.length) throw new JsonError(`goes on behind its value, at character ${this.at}`);
  }

  /** @param depth objects and arrays that it lies in */
  *value(depth: number): Generator<void, unknown> {
    this.space();
    const code = this.text.charCodeAt(this.at);
    if (code !== OPEN_ARRAY && code !== OPEN_OBJECT) return this.scalar();
    if (depth >= DEPTH_MAX) throw tooDeep();
    this.at++;
    return yield* code === OPEN_ARRAY ? this.array(depth + 1) : this.object(depth + 1);
  }

  private scalar(): unknown {
    const { text, at } = this;
    let end = at;
    if (text.charCodeAt(at) === QUOTE) end = endOfString(text, at);
    else while (end < text.length && !/[\s,\]}]/.test(text[end]!)) end++;
    this.at = end;
    return JSON.parse(text.slice(at, end));
  }

  private *array(depth: number): Generator<void, unknown[]> {
    const all: unknown[] = [];
    for (;;) {
      const { end, closed } = this.cut(depth, CLOSE_ARRAY);
      if (end > this.at) for (const item of JSON.parse(`[${this.text.slice(this.at, end)}]`)) all.push(item);
      else if (!closed) all.push(yield* this.value(depth));
      if (this.goesOn(Math.max(end, this.at), closed, CLOSE_ARRAY)) return all;
      yield;
    }
  }

  private *object(depth: number): Generator<void, Record<string, unknown>> {
    const all: Record<string, unknown> = {};
    let fields = 0;
    const set = (key: string, value: unknown) => {
      if (++fields > FIELDS_MAX) throw new JsonError(`has an object with more than ${FIELDS_MAX} fields`);
      Object.defineProperty(all, key, { value, writable: true, enumerable: true, configurable: true });
    };
    for (;;) {
      const { end, closed } = this.cut(depth, CLOSE_OBJECT);
      if (end > this.at) {
        const part = JSON.parse(`{${this.text.slice(this.at, end)}}`) as Record<string, unknown>;
        for (const key of Object.keys(part)) set(key, part[key]);
      } else if (!closed) {
        this.space();
        const key = this.scalar();
        this.space();
        if (typeof key !== 'string' || this.text[this.at] !== ':') throw this.unexpected();
        this.at++;
        set(key, yield* this.value(depth));
      }
      if (this.goesOn(Math.max(end, this.at), closed, CLOSE_OBJECT)) return all;
      yield;
    }
  }

  /** Goes on behind what was taken; whether the object or array is over. */
  private goesOn(from: number, closed: boolean, close: number): boolean {
    this.at = from;
    this.space();
    const code = this.text.charCodeAt(this.at);
    if (code === close) {
      this.at++;
      return true;
    }
    if (code !== COMMA || closed) throw this.unexpected();
    this.at++;
    this.space();
    if (this.text.charCodeAt(this.at) === close) throw this.unexpected();
    return false;
  }

  /** The items from here on that fit into one piece. */
  private cut(depth: number, close: number): Cut {
    const { text } = this;
    const most = Math.min(text.length, this.at + PIECE);
    let inner = 0;
    let end = this.at;
    for (let at = this.at; at < most; at++) {
      const code = text.charCodeAt(at);
      if (code === QUOTE) at = endOfString(text, at) - 1;
      else if (code === OPEN_ARRAY || code === OPEN_OBJECT) {
        if (depth + ++inner > DEPTH_MAX) throw tooDeep();
      } else if (code === CLOSE_ARRAY || code === CLOSE_OBJECT) {
        if (inner-- > 0) continue;
        if (code !== close) throw this.unexpected(at);
        return { end: text.slice(this.at, at).trim() === '' ? this.at : at, closed: true };
      } else if (code === COMMA && inner === 0) end = at;
    }
    return { end, closed: false };
  }

  private space(): void {
    const { text } = this;
    while (this.at < text.length && /\s/.test(text[this.at]!)) this.at++;
  }

  private unexpected(at: number = this.at): JsonError {
    const found = at < this.text.length ? JSON.stringify(this.text[at]) : 'its end';
    return new JsonError(`is not JSON: unexpected ${found} at character ${at}`);
  }
}

/** Values that one piece of a text has, at most. */
const VALUES = 2000;

/**
 * JSON as JSON.stringify makes it, in pieces.
 *
 * A list may be a generator: its items are made when they are written.
 */
export function* jsonPieces(value: unknown): Generator<string, void> {
  if (isIterator(value)) {
    yield* listPieces(value);
  } else if (typeof value !== 'object' || value === null || isSmall(value)) {
    yield JSON.stringify(value) ?? 'null';
  } else if (Array.isArray(value)) {
    yield* listPieces(value);
  } else {
    let before = '{';
    for (const [key, inner] of Object.entries(value)) {
      if (inner === undefined) continue;
      yield `${before}${JSON.stringify(key)}:`;
      yield* jsonPieces(inner);
      before = ',';
    }
    yield before === '{' ? '{}' : '}';
  }
}

function* listPieces(items: Iterable<unknown>): Generator<string, void> {
  let due = '[';
  let first = true;
  for (const item of items) {
    if (!first) due += ',';
    first = false;
    if (isSmall(item)) due += JSON.stringify(item) ?? 'null';
    else {
      yield due;
      due = '';
      yield* jsonPieces(item);
    }
    if (due.length < PIECE) continue;
    yield due;
    due = '';
  }
  yield `${due}]`;
}

function isIterator(value: unknown): value is Iterable<unknown> {
  return typeof value === 'object' && value !== null && Symbol.iterator in value && !Array.isArray(value);
}

/** Whether a value is written in one go. */
export function isSmall(value: unknown): boolean {
  return countUpTo(value, VALUES) < VALUES;
}

function countUpTo(value: unknown, most: number): number {
  if (typeof value !== 'object' || value === null) return 1;
  if (isIterator(value)) return most;
  if (Array.isArray(value) && value.length >= most) return most;
  let count = 1;
  for (const key in value) {
    count += countUpTo((value as Record<string, unknown>)[key], most - count);
    if (count >= most) return most;
  }
  return count;
}
