// What the page says: addresses, sizes and journal entries in words. No DOM.

/**
 * An entry of the journal.
 * @typedef {{
 *   seq: number, kind: string, cause?: number, container?: string, device?: string,
 *   call?: Record<string, any>, how?: string, errno?: string | null,
 *   iova?: string, length?: string, attempt?: number, round?: number,
 *   splat?: Record<string, any>, advisory?: Record<string, any>, webhook?: Record<string, any>,
 *   reason?: string
 * }} JournalEvent
 */

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB'];

/** An address as the API writes it. @param {bigint} value */
export function hex(value) {
  return `0x${value.toString(16)}`;
}

/** A size in the unit it reads best in: `64 KiB`, `≈ 1.5 GiB`. @param {bigint} bytes */
export function bytesInWords(bytes) {
  let unit = 0;
  while (unit < UNITS.length - 1 && bytes >> BigInt(10 * (unit + 1))) unit++;
  const shift = BigInt(10 * unit);
  const whole = bytes >> shift;
  const rest = bytes - (whole << shift);
  if (rest === 0n) return `${whole} ${UNITS[unit]}`;
  const tenths = (rest * 10n) >> shift;
  return `≈ ${whole}.${tenths} ${UNITS[unit]}`;
}

/** A count with its noun. @param {number} n @param {string} noun */
export function counted(n, noun) {
  return `${n.toLocaleString('en')} ${noun}${n === 1 ? '' : 's'}`;
}

/** The flags of a mapping. @param {number} flags */
export function protInWords(flags) {
  const prot = [flags & 1 ? 'read' : '', flags & 2 ? 'write' : ''].filter(Boolean).join(' ') || 'none';
  return flags & 4 ? `${prot}, vaddr invalid` : prot;
}

/** @param {unknown} value */
function plain(value) {
  if (Array.isArray(value)) return value.join('|');
  if (value !== null && typeof value === 'object') {
    const { type } = /** @type {{type?: unknown}} */ (value);
    return typeof type === 'string' ? type : JSON.stringify(value);
  }
  const text = String(value);
  return text.length > 48 ? `${text.slice(0, 45)}…` : text;
}

/** How a call ended. @param {JournalEvent} event */
export function endInWords({ how, errno }) {
  if (errno) return errno;
  return how === 'returned' || how === undefined ? 'ok' : how;
}

/**
 * An entry's line in the log: what it is called, what it says, what stands below it, and how bad it is.
 * @param {JournalEvent} event
 * @returns {{ name: string, text: string, more: string, tone: 'calm' | 'note' | 'warn' | 'fatal' }}
 */
export function lineOf(event) {
  switch (event.kind) {
    case 'splat': {
      const splat = event.splat ?? {};
      if (splat.kind === 'PR_WARN') return { name: 'PR_WARN', text: splat.text, more: '', tone: 'warn' };
      if (splat.kind === 'DEADLOCK') {
        return { name: 'DEADLOCK', text: splat.condition, more: '', tone: 'fatal' };
      }
      const tone = splat.kind === 'BUG_ON' ? 'fatal' : 'warn';
      const where = `${splat.function}() ${splat.file}:${splat.line}`;
      return { name: splat.kind, text: splat.condition, more: where, tone };
    }
    case 'advisory': {
      const { kind, text, iova, call, devices } = event.advisory ?? {};
      const more = [call, ...(devices ?? []), iova].filter(Boolean).join(' · ');
      return { name: String(kind), text: String(text), more, tone: 'note' };
    }
    case 'invalidation':
      return {
        name: 'dma_unmap',
        text: `${event.iova} + ${event.length}`,
        more: `attempt ${event.attempt} of 11 · round ${event.round}`,
        tone: 'calm',
      };
    case 'webhook': {
      const { outcome, reason } = event.webhook ?? {};
      return {
        name: 'webhook',
        text: [outcome, reason].filter(Boolean).join(': '),
        more: '',
        tone: outcome === 'returned' ? 'calm' : 'warn',
      };
    }
    case 'call': {
      const { call, container: _c, device: _d, ...args } = event.call ?? {};
      const text = Object.entries(args)
        .map(([name, value]) => `${name}=${plain(value)}`)
        .join(' ');
      return { name: String(call), text, more: '', tone: 'calm' };
    }
    default:
      return { name: event.kind, text: event.reason ?? '', more: '', tone: 'calm' };
  }
}

/** Why a container is wedged, in one sentence. @param {Record<string, any>} splat */
export function wedgeInWords(splat) {
  if (splat.kind === 'DEADLOCK') return `DEADLOCK: ${splat.condition}`;
  return `${splat.kind}(${splat.condition}) in ${splat.function}(), ${splat.file}:${splat.line}`;
}
