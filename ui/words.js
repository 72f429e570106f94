// What the page says: addresses, sizes and journal entries in words. No DOM.

/** @typedef {import('../schemas/events.ts').JournalEvent} JournalEvent */
/** @typedef {import('../schemas/views.ts').RigView} RigView */
/** @typedef {import('@sinclair/typebox').Static<typeof import('../schemas/answers.ts').LogEntry>} LogEntry */
/** @typedef {import('@sinclair/typebox').Static<typeof import('../schemas/answers.ts').SplatReport>} SplatReport */
/** @typedef {{ name: string, text: string, more: string, tone: 'calm' | 'note' | 'warn' | 'fatal' }} Line */
/** @typedef {JournalEvent | { seq: number, kind: 'note', reason: string }} LogLine an entry, or a line of the page's own */

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

/** How long something takes already: `12 s`, `3 min 5 s`, `2 h 10 min`. @param {number} ms */
export function elapsedInWords(ms) {
  const seconds = Math.floor(ms / 1000);
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${seconds % 60} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** What the letters say that the kernel sets in its taint mask. @type {Record<string, string>} */
const TAINTS = {
  W: 'W: it gave a warning (WARN_ON)',
  D: 'D: it died before, in an oops or a BUG',
};

/** Why a kernel is tainted. @param {readonly string[]} letters */
export function taintInWords(letters) {
  const why = letters.map((letter) => TAINTS[letter] ?? letter);
  return `The kernel is marked as no longer trustworthy. ${why.join('. ')}.`;
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

/** How a call ended. @param {{ how: string, errno: string | null }} answer */
export function endInWords({ how, errno }) {
  return errno ?? (how === 'returned' ? 'ok' : how);
}

/** Pins named in a splat's line. */
const PINS_NAMED = 3;

/** @param {SplatReport} splat @returns {Line} */
function splatLine({ kind, text, condition = '', function: where, file, line, pinCount = 0, pins = [] }) {
  if (text !== undefined) return { name: kind, text, more: '', tone: 'warn' };
  if (kind === 'DEADLOCK') return { name: kind, text: condition, more: '', tone: 'fatal' };
  const named = pins.slice(0, PINS_NAMED).map(({ iova, devices }) => {
    const holders = devices.map(({ device }) => device).join(', ');
    return holders === '' ? iova : `${iova} of ${holders}`;
  });
  const left = pinCount > 0 ? [`${counted(pinCount, 'pin')} left: ${named.join('; ')}`] : [];
  const more = [`${where}() ${file}:${line}`, ...left].join(' · ');
  return { name: kind, text: condition, more, tone: kind === 'BUG_ON' ? 'fatal' : 'warn' };
}

/** @param {{ call: string, [argument: string]: unknown }} call @returns {Line} */
function callLine({ call, container: _c, device: _d, ...args }) {
  const text = Object.entries(args).map(([name, value]) => `${name}=${plain(value)}`);
  return { name: call, text: text.join(' '), more: '', tone: 'calm' };
}

/**
 * An entry's line in the log: what it is called, what it says, what stands below it, and how bad it is.
 * @param {LogLine} event
 * @returns {Line}
 */
export function lineOf(event) {
  switch (event.kind) {
    case 'splat':
      return splatLine(event.splat);
    case 'advisory': {
      const { kind, text, iova, call, devices } = event.advisory;
      return { name: kind, text, more: [call, ...devices, iova].join(' · '), tone: 'note' };
    }
    case 'invalidation':
      return {
        name: 'dma_unmap',
        text: `${event.iova} + ${event.length}`,
        more: `attempt ${event.attempt} · round ${event.round}`,
        tone: 'calm',
      };
    case 'webhook': {
      const { outcome, reason } = event.webhook;
      const text = reason === undefined ? outcome : `${outcome}: ${reason}`;
      return { name: 'webhook', text, more: '', tone: outcome === 'returned' ? 'calm' : 'warn' };
    }
    case 'call':
      return callLine(event.call);
    case 'note':
      return { name: event.kind, text: event.reason, more: '', tone: 'calm' };
    default:
      return { name: event.kind, text: '', more: '', tone: 'calm' };
  }
}

/** Why a container is wedged, in one sentence. @param {LogEntry} splat */
export function wedgeInWords(splat) {
  if (splat.kind === 'DEADLOCK') return `DEADLOCK: ${splat.condition}`;
  return `${splat.kind}(${splat.condition}) in ${splat.function}(), ${splat.file}:${splat.line}`;
}

/**
 * How a rig is, for the menu.
 * @param {Pick<RigView, 'kernel' | 'containers' | 'wedged' | 'pendingCalls' | 'taint'>} rig
 */
export function rigInWords({ kernel, containers, wedged, pendingCalls, taint }) {
  const parts = [`Linux ${kernel}`, counted(containers, 'container')];
  if (wedged > 0) parts.push(`${wedged} WEDGED`);
  if (pendingCalls > 0) parts.push(`${pendingCalls} pending`);
  if (taint.length > 0) parts.push(`tainted ${taint.join('')}`);
  return parts.join(', ');
}

/**
 * Commands to begin with in an empty rig: one makes a container with a device, a mapping and a pinned page, one
 * takes the mapping away; the device's driver is the kind that the kernel kills the caller for.
 * @param {string} origin of the server
 * @param {string | null} rig to name; null for the default one
 */
export function firstCommands(origin, rig) {
  const calls = [
    { call: 'open-container', container: 'c0' },
    { call: 'create-device', device: 'd0', driver: { type: 'synthetic', onDmaUnmap: 'unpin-first-page' } },
    { call: 'open-group', device: 'd0' },
    { call: 'set-container', device: 'd0', container: 'c0' },
    { call: 'set-iommu', container: 'c0', type: 'type1v2' },
    { call: 'open-device', device: 'd0' },
    {
      call: 'map-dma',
      container: 'c0',
      iova: '0x10000',
      vaddr: '0x70000000',
      size: '0x10000',
      flags: ['read', 'write'],
    },
    { call: 'pin-pages', device: 'd0', iova: '0x15000', npage: 1, prot: ['read', 'write'] },
  ];
  const named = rig === null ? '' : ` -H 'x-rig: ${rig}'`;
  const curl = (/** @type {string} */ path, /** @type {string} */ type, /** @type {string} */ body) =>
    `curl -sX POST ${origin}${path}${named} \\\n  -H 'content-type: ${type}' --data-binary '${body}'`;
  return [
    curl('/v1/batch', 'application/x-ndjson', calls.map((call) => `\n${JSON.stringify(call)}`).join('')),
    curl('/v1/containers/c0/unmap-dma', 'application/json', '{"iova": "0x10000", "size": "0x10000"}'),
  ];
}
