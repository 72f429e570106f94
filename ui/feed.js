// What the server is asked: JSON, and the journal as a stream of lines. No DOM.

/** @typedef {import('./words.js').JournalEvent} JournalEvent */

/** A request that was answered with a problem. */
export class Refused extends Error {
  /** @param {number} status @param {string} detail */
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

/**
 * Gets JSON of a rig; null where there is nothing (204).
 * @param {string} url
 * @param {string | null} rig
 * @param {AbortSignal} signal
 * @returns {Promise<any>}
 */
export async function getJson(url, rig, signal) {
  const response = await fetch(url, { signal, headers: rig === null ? {} : { 'x-rig': rig } });
  if (response.status === 204) return null;
  const body = await response.json();
  if (!response.ok) throw new Refused(response.status, body.detail ?? response.statusText);
  return body;
}

/**
 * Posts JSON of a rig.
 * @param {string} url
 * @param {string} rig
 * @param {object} body
 * @returns {Promise<any>}
 */
export async function postJson(url, rig, body) {
  const headers = { 'x-rig': rig, 'content-type': 'application/json' };
  const response = await fetch(url, { method: 'POST', headers, body: JSON.stringify(body) });
  const answer = await response.json();
  if (!response.ok) throw new Refused(response.status, answer.detail ?? response.statusText);
  return answer;
}

/**
 * Follows a rig's journal until it ends; what comes together is handed over together.
 * @param {string} rig
 * @param {number} since
 * @param {AbortSignal} signal
 * @param {(events: JournalEvent[]) => void} take
 * @returns {Promise<string>} why it ended
 */
export async function follow(rig, since, signal, take) {
  const response = await fetch(`/v1/events?since=${since}`, {
    signal,
    headers: { 'x-rig': rig, accept: 'application/x-ndjson' },
  });
  if (!response.ok || !response.body) throw new Refused(response.status, response.statusText);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return 'the connection was lost';
    const lines = (rest + value).split('\n');
    rest = lines.pop() ?? '';
    /** @type {JournalEvent[]} */
    const events = [];
    let end = null;
    for (const line of lines) {
      if (line === '') continue;
      const event = /** @type {JournalEvent | { kind: 'end', reason: string }} */ (JSON.parse(line));
      if (event.kind === 'end') end = event.reason;
      else events.push(event);
    }
    if (events.length > 0) take(events);
    if (end !== null) return end;
  }
}

/** Waits. @param {number} ms @param {AbortSignal} signal */
export function pause(ms, signal) {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve(undefined);
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done);
  });
}
