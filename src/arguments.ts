import { type ParseArgsConfig, parseArgs } from 'node:util';
import { distance } from 'fastest-levenshtein';

/** What somebody gave on the command line or in the environment cannot be used; the message says why. */
export class UsageError extends Error {}

/** Options as parseArgs takes them. */
export type Options = NonNullable<ParseArgsConfig['options']>;
/** What is read of them. */
export type Parsed<T extends Options> = ReturnType<
  typeof parseArgs<{ options: T; allowPositionals: true; strict: true }>
>;

/**
 * Reads a command line.
 *
 * @param positionals whether there may be any
 * @throws UsageError for what there is none of, with what it may have meant
 */
export function parseArguments<const T extends Options>(
  args: readonly string[],
  options: T,
  positionals: boolean,
): Parsed<T> {
  try {
    return parseArgs({ args: [...args], options, allowPositionals: positionals as true, strict: true });
  } catch (error) {
    const [said = ''] = (error as Error).message.split(/\. (?=To specify)/);
    const [, flag] = /^Unknown option '(--[^']+)'/.exec(said) ?? [];
    const known = Object.keys(options).map((name) => `--${name}`);
    throw new UsageError(flag === undefined ? said : `${said}${didYouMean(flag, known)}`);
  }
}

/** Part of a word that may be wrong for it still to be taken for another one. */
const WRONG_PART = 0.4;

/** `; did you mean "…"?` where a word is close to one that is known; else nothing. */
export function didYouMean(word: string, known: readonly string[]): string {
  const bare = (text: string) => text.replace(/^--/, '');
  const [best] = known
    .map((one) => ({ one, wrong: distance(bare(word), bare(one)) }))
    .sort((a, b) => a.wrong - b.wrong);
  if (!best || best.wrong > Math.ceil(WRONG_PART * bare(word).length)) return '';
  return `; did you mean "${best.one}"?`;
}
