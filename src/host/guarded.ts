import type { HostListener } from './listener.ts';

const EVENTS = [
  'called',
  'fault',
  'invalidated',
  'callback',
  'returned',
  'splat',
  'advisory',
  'waits',
  'ended',
  'quiet',
  'webhook',
  'deliveryFailed',
] as const satisfies readonly (keyof HostListener)[];

/** A listener that cannot break what it watches: whatever it throws is told to `failed`. */
export function guarded(listener: HostListener, failed: (error: unknown) => void): HostListener {
  const safe: Record<string, (a: never, b: never, c: never) => void> = {};
  for (const event of EVENTS) {
    const does = listener[event] as ((a: never, b: never, c: never) => void) | undefined;
    if (!does) continue;
    safe[event] = (a, b, c) => {
      try {
        does.call(listener, a, b, c);
      } catch (error) {
        failed(error);
      }
    };
  }
  return safe as HostListener;
}
