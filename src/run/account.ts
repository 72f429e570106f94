import { existsSync, readFileSync } from 'node:fs';
import { constants } from 'node:os';
import type { Target } from './embedded.ts';

/** The account file that the library keeps (preload/account.c): records of state, name, and a counter an errno. */
const RECORD = 512;
const NAME_AT = 4;
const NAME_SIZE = 44;
const COUNTS_AT = NAME_AT + NAME_SIZE;
const USED = 2;

/** How often a call was answered with each errno; '' is success. */
type Counts = Map<string, Map<string, number>>;

const ERRNO_NAMES = new Map(Object.entries(constants.errno).map(([name, number]) => [number, name]));

/** Reads an account; empty where the program never asked for anything. */
export function readAccount(path: string): Counts {
  const counts: Counts = new Map();
  if (!existsSync(path)) return counts;
  const file = readFileSync(path);
  for (let at = 0; at + RECORD <= file.length; at += RECORD) {
    if (file.readUInt32LE(at) !== USED) continue;
    const name = file.toString('latin1', at + NAME_AT, at + COUNTS_AT).replace(/\0.*$/s, '');
    const byErrno = counts.get(name) ?? new Map<string, number>();
    counts.set(name, byErrno);
    for (let errno = 0; COUNTS_AT + errno * 4 < RECORD; errno++) {
      const n = file.readUInt32LE(at + COUNTS_AT + errno * 4);
      if (n === 0) continue;
      const word = errno === 0 ? '' : (ERRNO_NAMES.get(errno) ?? `errno ${errno}`);
      byErrno.set(word, (byErrno.get(word) ?? 0) + n);
    }
  }
  return counts;
}

/** The account in lines: each call, how often it was made, and what it was refused with. */
export function accountLines(counts: Counts): string[] {
  return [...counts].map(([name, byErrno]) => {
    const all = [...byErrno.values()].reduce((sum, n) => sum + n, 0);
    const refused = [...byErrno].filter(([errno]) => errno !== '').map(([errno, n]) => `${errno} ${n}`);
    return `  ${name.padEnd(36)}${String(all).padStart(8)}${refused.length > 0 ? `   ${refused.join(', ')}` : ''}`;
  });
}

/** Advisories shown. */
const SHOWN = 20;

/** What the service found out meanwhile: the console's lines, and the advisories. */
export async function findings({ client, dmesg }: Target): Promise<string[]> {
  const lines: string[] = [];
  const console = await dmesg();
  if (console !== '')
    lines.push(
      'the console:',
      ...console
        .trimEnd()
        .split('\n')
        .map((line) => `  ${line}`),
    );
  const { events } = (await client.request('GET', '/v1/events', {
    query: { kind: 'advisory', limit: 1000 },
  })) as { events: { advisory: { kind: string; text: string } }[] };
  if (events.length > 0) lines.push('what the kernel does not notice:');
  for (const { advisory } of events.slice(0, SHOWN)) lines.push(`  ${advisory.kind}: ${advisory.text}`);
  if (events.length > SHOWN) lines.push(`  … and ${events.length - SHOWN} more`);
  return lines;
}
