import type { VfioHostClient } from './client.ts';
import { VfioHostError } from './error.ts';
import type { ContainerHandle } from './objects.ts';

/** What a matcher says, to vitest and to jest. */
interface MatcherResult {
  readonly pass: boolean;
  readonly message: () => string;
}

/** Most pages a message names. */
const SHOWN = 16;

/** Matchers for vitest and jest: `expect.extend(vfioMatchers)`. Each is awaited. */
export const vfioMatchers = {
  /** The rig's kernel has printed no WARN or BUG, and nothing deadlocked. */
  async toHaveNoSplats(rig: VfioHostClient): Promise<MatcherResult> {
    const { splats } = await rig.verdict();
    const pass = Object.keys(splats).length === 0;
    const found = pass ? [] : await splatsOf(rig);
    return {
      pass,
      message: () => (pass ? 'there is no splat in the rig' : `the rig has splats:\n${found.join('\n')}`),
    };
  },

  /** `GET /v1/verdict` is ok; `expect` names what was meant to happen. */
  async toHaveVerdictOk(rig: VfioHostClient, expected?: string): Promise<MatcherResult> {
    const { ok, findings, missing } = await rig.verdict(expected);
    const wrong = [...findings.map((one) => JSON.stringify(one)), ...missing.map((one) => `missing: ${one}`)];
    return {
      pass: ok,
      message: () => (ok ? 'the verdict is ok' : `the verdict is not ok:\n${wrong.join('\n')}`),
    };
  },

  /** Exactly these pages of the container are pinned, in any order; addresses as calls take them. */
  async toHavePinned(
    container: ContainerHandle,
    pages: readonly (bigint | number | string)[],
  ): Promise<MatcherResult> {
    const pinned: string[] = [];
    for await (const { iova, npage = 1 } of container.pins()) {
      for (let page = 0; page < npage; page++) pinned.push(hex(BigInt(iova) + BigInt(page) * 0x1000n));
    }
    const wanted = pages.map((page) => hex(BigInt(page))).sort();
    const there = [...pinned].sort();
    const pass = there.length === wanted.length && there.every((page, at) => page === wanted[at]);
    return {
      pass,
      message: () =>
        `pinned in ${container.id}: ${shown(pinned)}\n${pass ? 'not ' : ''}expected: ${shown(wanted)}`,
    };
  },

  /** A call was refused with this errno. */
  async toBeRefusedWith(call: Promise<unknown>, errno: string): Promise<MatcherResult> {
    const answer = await call.then(
      (value) => `success: ${JSON.stringify(value)}`,
      (error: unknown) => {
        if (error instanceof VfioHostError) return error.errno ?? `${error.status} ${error.message}`;
        throw error;
      },
    );
    const pass = answer === errno;
    return { pass, message: () => `the call was answered ${answer}${pass ? '' : `, expected ${errno}`}` };
  },
};

/** What the matchers are to a test's `expect`. */
export interface VfioMatchers<R = unknown> {
  toHaveNoSplats(): Promise<R>;
  toHaveVerdictOk(expected?: string): Promise<R>;
  toHavePinned(pages: readonly (bigint | number | string)[]): Promise<R>;
  toBeRefusedWith(errno: string): Promise<R>;
}

async function splatsOf(rig: VfioHostClient): Promise<string[]> {
  const { events } = await rig.events.list({ kind: 'splat' });
  return events.flatMap((event) => {
    if (event.kind !== 'splat') return [];
    const { kind, function: name, condition, text, file, line } = event.splat;
    return [text === undefined ? `${kind}(${condition}) in ${name}, ${file}:${line}` : `${kind}: ${text}`];
  });
}

function hex(value: bigint): string {
  return `0x${value.toString(16)}`;
}

function shown(pages: readonly string[]): string {
  if (pages.length === 0) return 'nothing';
  const more = pages.length - SHOWN;
  return pages.slice(0, SHOWN).join(' ') + (more > 0 ? ` and ${more} more` : '');
}
