import { styleText } from 'node:util';

type Style = Parameters<typeof styleText>[0];

/** Gives a text a style, or leaves it as it is. */
export type Paint = (style: Style, text: string) => string;

/** Colours where somebody sees them; NO_COLOR says that nobody wants them. */
export function paintFor({ isTTY }: { isTTY?: boolean }, env: NodeJS.ProcessEnv = process.env): Paint {
  return isTTY && (env.NO_COLOR ?? '') === '' ? styleText : (_style, text) => text;
}
