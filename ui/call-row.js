// One call of a container as a row: its round, the attempt it is at, how long it is under way.

import { element } from './dom.js';
import { counted, elapsedInWords } from './words.js';

/** @typedef {import('./calls.js').Call} Call */

/** Attempts up to which each has a box of its own; more of them are a bar. */
const BOXES_MAX = 16;
/** What has been under way for less is not said, milliseconds. */
const ELAPSED_MIN = 1000;

/**
 * @param {Call} call
 * @param {number | null} attempts that a mapping gets at most; null where it is not known yet
 * @param {number} now
 */
export function callRow(call, attempts, now) {
  const { seq, name, args, round, end, since } = call;
  const live = end === null;
  const fatal = round?.fatal ?? null;
  const row = element('li', `round${live ? ' live' : ''}${fatal ? ' fatal' : ''}`);
  row.dataset.seq = String(seq);
  const range = round ? `${round.iova}+${round.length}` : rangeOf(args);
  row.append(element('span', 'seq num', `#${seq}`), element('span', 'num', `${name} ${range}`.trim()));
  if (round) {
    const many = round.visited > 1 ? ` · ${counted(round.visited, 'mapping')} visited` : '';
    const of = attempts === null ? '' : ` of ${attempts}`;
    if (attempts !== null) row.append(meter(round.attempt, attempts));
    row.append(element('span', 'num count', `attempt ${round.attempt}${of}${many}`));
  }
  row.append(element('span', 'state num', stateOf(call)));
  if (live && now - since >= ELAPSED_MIN) {
    row.append(element('span', 'elapsed num', `for ${elapsedInWords(now - since)}`));
  }
  return row;
}

/** @param {Record<string, any>} args of the call */
function rangeOf({ iova, size }) {
  return iova === undefined ? '' : size === undefined ? String(iova) : `${iova}+${size}`;
}

/** @param {Call} call */
function stateOf({ round, end }) {
  if (round?.fatal) return round.fatal;
  if (!round) return end ?? 'waits';
  if (end === null) return `${round.last} is called back`;
  return `${round.devices.join(', ')} · ${end === 'ok' ? 'done' : end}`;
}

/** @param {number} attempt @param {number} attempts */
function meter(attempt, attempts) {
  const made = element('span', 'meter');
  made.setAttribute('role', 'meter');
  made.setAttribute('aria-label', 'attempts');
  made.setAttribute('aria-valuemin', '0');
  made.setAttribute('aria-valuemax', String(attempts));
  made.setAttribute('aria-valuenow', String(attempt));
  const boxes = Math.min(attempts, BOXES_MAX);
  const at = Math.ceil((attempt * boxes) / attempts);
  for (let i = 1; i <= boxes; i++) made.append(element('i', i < at ? 'on' : i === at ? 'on now' : ''));
  return made;
}
