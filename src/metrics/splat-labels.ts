import type { LogEntry, SplatCatalogue } from '../kernel/splats.ts';

/** Labels of a splat. */
export interface SplatLabels extends Record<'id' | 'kind' | 'function', string> {}

/**
 * Which splat of the catalogue an entry is. Two of the same place with a flag each (C1 and C1-unpin) look the same
 * and count as the first. What a driver prints in words of its own is `driver`: its text knows no bounds.
 */
export function splatLabels(entry: LogEntry, catalogue: SplatCatalogue): SplatLabels {
  const { kind } = entry;
  if (kind === 'DEADLOCK') return { id: kind, kind, function: entry.function };
  const sites = Object.entries(catalogue);
  const site =
    kind === 'PR_WARN'
      ? sites.find(([, at]) => at.kind === kind && entry.text.startsWith(`${at.function}: `))
      : sites.find(
          ([, at]) =>
            at.kind === kind &&
            at.function === entry.function &&
            at.condition === entry.condition &&
            at.line === entry.line,
        );
  if (site) return { id: site[0], kind, function: site[1].function };
  return { id: kind === 'PR_WARN' ? 'driver' : 'unknown', kind, function: '' };
}
