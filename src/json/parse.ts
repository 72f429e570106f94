import {
  CLOSE_ARRAY,
  CLOSE_OBJECT,
  DEPTH_MAX,
  endOfString,
  isEscaped,
  JsonError,
  OPEN_ARRAY,
  OPEN_OBJECT,
  QUOTE,
  tooDeep,
} from './depth.ts';
import {
  fieldOf,
  itemOf,
  listAt,
  noList,
  type Place,
  placeOf,
  type Shape,
  strayAt,
  tooLong,
} from './shape.ts';

/** How many fields one object of a long text may have. */
const FIELDS_MAX = 10_000;

/** A text that would take too much memory. */
export class TooManyValues extends JsonError {}

/** Values of a text unless somebody says otherwise. */
const VALUES_MAX = 1_000_000;

/** What a text may be. */
interface Bounds {
  /** The value's schema: a list that is too long for it is refused before it is whole. */
  readonly shape?: Shape;
  /** What no piece may have in it, and what is wrong with a text that does. */
  readonly refused?: { readonly pattern: RegExp; readonly why: string };
  /** Values, at most. */
  readonly values?: number;
}

/** How many items one list of a long text may have. */
const ITEMS_MAX = 2_000_000;

/**
 * Characters of the longest text that anybody takes: 16 MiB in base64, the most that one call carries. A text is made in one
 * go, and takes its time by its length.
 */
const TEXT_MAX = 22_369_624;

/** How many items a list may have before it is refused because none may be where it is. */
const STRAY_ITEMS = 1000;

/** Characters that are parsed in one go. */
const PIECE = 32 * 1024;

const COMMA = 0x2c;

/**
 * The value of a long text of JSON, stopping now and then: the text is cut between the items of its objects and arrays, and the
 * pieces are parsed as JSON.parse does.
 *
 * @param text all of it, or its parts in order
 * @throws JsonError, SyntaxError
 */
export function* parseSteps(text: string | Iterable<string>, bounds: Bounds = {}): Generator<void, unknown> {
  const parser = new Pieces(typeof text === 'string' ? partsOf(text) : text, bounds);
  const value = yield* parser.value(placeOf(bounds.shape));
  yield* parser.end();
  return value;
}

function* partsOf(text: string): Generator<string, void> {
  for (let at = 0; at < text.length; at += PIECE) yield text.slice(at, at + PIECE);
}

/** Where the items of an object or array end that a piece has taken. */
interface Cut {
  /** Behind the last whole item that fits; the beginning where not even one does. */
  readonly end: number;
  /** Whether the object or array ends there. */
  readonly closed: boolean;
}

/** Digits that a number may have. */
const DIGITS_MAX = 1000;

class Pieces {
  private readonly parts: Iterator<string>;
  /** What has come and is not parsed yet begins at `at`. */
  private text = '';
  private at = 0;
  /** Characters before `text`. */
  private passed = 0;
  /** Values so far, about. */
  private values = 0;

  constructor(
    parts: Iterable<string>,
    private readonly bounds: Bounds,
  ) {
    this.parts = parts[Symbol.iterator]();
  }

  *end(): Generator<void, void> {
    yield* this.space();
    if (this.at < this.text.length) {
      throw new JsonError(`goes on behind its value, at character ${this.passed + this.at}`);
    }
  }

  /** Takes the next part; false at the end. */
  private more(): boolean {
    const { done, value } = this.parts.next();
    if (done) return false;
    this.passed += this.at;
    this.text = this.text.slice(this.at) + value;
    this.at = 0;
    return true;
  }

  *value(place: Place): Generator<void, unknown> {
    yield* this.space();
    const code = this.text.charCodeAt(this.at);
    if (code === QUOTE) return yield* this.string();
    if (code !== OPEN_ARRAY && code !== OPEN_OBJECT) return this.scalar();
    if (place.depth >= DEPTH_MAX) throw tooDeep();
    this.at++;
    return yield* code === OPEN_ARRAY ? this.array(place) : this.object(place);
  }

  /** A number or a word. */
  private scalar(): unknown {
    let end = this.at;
    for (;;) {
      while (end < this.text.length && !/[\s,\]}]/.test(this.text[end]!)) end++;
      const length = end - this.at;
      if (length > DIGITS_MAX) throw new JsonError(`has a number of more than ${DIGITS_MAX} digits`);
      if (end < this.text.length || !this.more()) break;
      end = this.at + length;
    }
    const { text, at } = this;
    this.at = end;
    return JSON.parse(text.slice(at, end));
  }

  private *string(): Generator<void, string> {
    const parts: string[] = [];
    let length = 0;
    this.at++;
    for (;;) {
      const end = endOfString(this.text, this.at - 1) - 1;
      const isWhole =
        end >= this.at && this.text.charCodeAt(end) === QUOTE && !isEscaped(this.text, end, this.at);
      const to = isWhole ? end : beforeEscape(this.text, this.at);
      parts.push(JSON.parse(`"${this.text.slice(this.at, to)}"`) as string);
      length += parts.at(-1)!.length;
      if (length > TEXT_MAX) throw new JsonError(`has a text of more than ${TEXT_MAX} characters`);
      this.at = to;
      if (isWhole) {
        this.at++;
        return parts.length === 1 ? parts[0]! : parts.join('');
      }
      yield;
      if (!this.more()) throw this.unexpected(this.text.length);
    }
  }

  private *array(place: Place): Generator<void, unknown[]> {
    const all: unknown[] = [];
    const list = listAt(place);
    const stray = strayAt(place);
    for (;;) {
      const { end, closed } = this.cut(place.depth + 1, CLOSE_ARRAY);
      if (end > this.at) {
        for (const item of this.parsed('[', end, ']') as unknown[]) all.push(item);
        this.at = end;
      } else if (!closed) all.push(yield* this.value(itemOf(place, all.length)));
      if (list && all.length > list.maxItems!) throw tooLong(list, place.path);
      if (all.length > STRAY_ITEMS && stray) throw noList(stray, place.path);
      if (all.length > ITEMS_MAX) throw new JsonError(`has a list with more than ${ITEMS_MAX} items`);
      if (yield* this.goesOn(closed, CLOSE_ARRAY)) return all;
      yield;
    }
  }

  private *object(place: Place): Generator<void, Record<string, unknown>> {
    const all: Record<string, unknown> = {};
    let fields = 0;
    const set = (key: string, value: unknown) => {
      if (++fields > FIELDS_MAX) throw new JsonError(`has an object with more than ${FIELDS_MAX} fields`);
      Object.defineProperty(all, key, { value, writable: true, enumerable: true, configurable: true });
    };
    for (;;) {
      const { end, closed } = this.cut(place.depth + 1, CLOSE_OBJECT);
      if (end > this.at) {
        const part = this.parsed('{', end, '}') as Record<string, unknown>;
        for (const key of Object.keys(part)) set(key, part[key]);
        this.at = end;
      } else if (!closed) {
        yield* this.space();
        if (this.text.charCodeAt(this.at) !== QUOTE) throw this.unexpected();
        const key = yield* this.string();
        yield* this.space();
        if (this.text[this.at] !== ':') throw this.unexpected();
        this.at++;
        this.refuse(`${JSON.stringify(key)}:`);
        set(key, yield* this.value(fieldOf(place, key)));
      }
      if (yield* this.goesOn(closed, CLOSE_OBJECT)) return all;
      yield;
    }
  }

  /** The items up to `end`. */
  private parsed(open: string, end: number, close: string): unknown {
    const piece = this.text.slice(this.at, end);
    this.refuse(piece);
    return JSON.parse(`${open}${piece}${close}`);
  }

  private refuse(piece: string): void {
    const { refused } = this.bounds;
    if (refused?.pattern.test(piece)) throw new JsonError(refused.why);
  }

  /** Goes on behind what was taken; whether the object or array is over. */
  private *goesOn(closed: boolean, close: number): Generator<void, boolean> {
    yield* this.space();
    const code = this.text.charCodeAt(this.at);
    if (code === close) {
      this.at++;
      return true;
    }
    if (code !== COMMA || closed) throw this.unexpected();
    this.at++;
    yield* this.space();
    if (this.text.charCodeAt(this.at) === close) throw this.unexpected();
    return false;
  }

  /** The items from here on that fit into one piece. */
  private cut(depth: number, close: number): Cut {
    while (this.text.length - this.at < PIECE && this.more());
    const { text } = this;
    const most = Math.min(text.length, this.at + PIECE);
    let inner = 0;
    let end = this.at;
    this.countValues();
    for (let at = this.at; at < most; at++) {
      const code = text.charCodeAt(at);
      if (code === QUOTE) at = endOfString(text, at) - 1;
      else if (code === OPEN_ARRAY || code === OPEN_OBJECT) {
        if (depth + ++inner > DEPTH_MAX) throw tooDeep();
        this.values++;
      } else if (code === CLOSE_ARRAY || code === CLOSE_OBJECT) {
        if (inner-- > 0) continue;
        if (code !== close) throw this.unexpected(at);
        return { end: text.slice(this.at, at).trim() === '' ? this.at : at, closed: true };
      } else if (code === COMMA) {
        this.values++;
        if (inner === 0) end = at;
      }
    }
    return { end, closed: false };
  }

  private countValues(): void {
    const { values = VALUES_MAX } = this.bounds;
    if (this.values > values) throw new TooManyValues(`has more than ${values} values`);
  }

  private *space(): Generator<void, void> {
    for (;;) {
      const { text } = this;
      while (this.at < text.length && isSpace(text.charCodeAt(this.at))) this.at++;
      if (this.at < text.length || !this.more()) return;
      if (this.text.length > 0) yield;
    }
  }

  private unexpected(at: number = this.at): JsonError {
    const found = at < this.text.length ? JSON.stringify(this.text[at]) : 'its end';
    return new JsonError(`is not JSON: unexpected ${found} at character ${this.passed + at}`);
  }
}

function isSpace(code: number): boolean {
  return code === 0x20 || (code >= 0x09 && code <= 0x0d && code !== 0x0b && code !== 0x0c);
}

/** How far a text may be cut off within a string: before an escape that may not be whole. */
function beforeEscape(text: string, from: number): number {
  const last = text.lastIndexOf('\\');
  if (last < from || last < text.length - ESCAPE) return text.length;
  // The second one of two is no beginning.
  if (isEscaped(text, last, from)) return text.length;
  const whole = text[last + 1] === 'u' ? ESCAPE : 2;
  return last + whole <= text.length ? text.length : last;
}

/** Characters of the longest escape. */
const ESCAPE = 6;
