import { FINDING_KINDS } from '../kernel/advisories.ts';
import { KERNEL_BUGS } from '../kernel/kernel-bugs.ts';
import { Refused } from '../machine/refused.ts';

/** Splats that count against a rig. */
const SPLAT_KINDS = ['WARN_ON', 'WARN_ON_ONCE', 'BUG_ON', 'DEADLOCK'];

/** What may be left when a test is over: it need not be there for being expected. */
const LEFT = ['panic', 'leaked-pins', 'pins', 'mappings', 'wedged', 'calls', 'webhooks'];

/** What happens, and is missed where it is expected and did not: splats and advisories by kind. */
const HAPPENS = [
  ...SPLAT_KINDS,
  ...FINDING_KINDS,
  ...Object.keys(KERNEL_BUGS).map((id) => `KERNEL_BUG:${id}`),
];

/** What an expectation may name, in words. */
export const EXPECT_RULE = `words separated by commas, of ${[...LEFT, ...HAPPENS].join(', ')}`;

/** What a test means to provoke. */
export class Expected {
  private readonly named: ReadonlySet<string>;

  private constructor(words: readonly string[]) {
    this.named = new Set(words);
  }

  /**
   * Reads a list of words.
   *
   * @param where what to call it in a message
   * @throws Refused for a word that names nothing
   */
  static parse(text: string, where: string): Expected {
    const words = text
      .split(',')
      .map((word) => word.trim())
      .filter(Boolean);
    const wrong = words.find((word) => !LEFT.includes(word) && !HAPPENS.includes(word));
    if (wrong === undefined) return new Expected(words);
    throw Refused.badRequest(`${where} has ${JSON.stringify(wrong)}, but must be ${EXPECT_RULE}`);
  }

  get words(): string[] {
    return [...this.named];
  }

  has(word: string): boolean {
    return this.named.has(word);
  }

  /** Those that must happen and are not among these. */
  missing(happened: ReadonlySet<string>): string[] {
    return this.words.filter((word) => HAPPENS.includes(word) && !happened.has(word));
  }
}
