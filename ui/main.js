// The page: follows one rig's journal and keeps a card for each of its containers.

import { Card } from './card.js';
import { follow, getJson, pause } from './feed.js';
import { Log } from './log.js';
import { Rounds } from './rounds.js';
import { DEVICE_COLOURS, readColours } from './strip.js';
import { element } from './table.js';

/** @typedef {import('./words.js').JournalEvent} JournalEvent */

const DEFAULT_RIG = 'default';
/** Journal entries that are read back when the page opens. */
const BACKLOG = 5000;
/** How often the list of rigs is looked at, and the wait before the server is tried again, milliseconds. */
const RIGS_MS = 5000;
const RETRY_MS = 1000;
/** Calls after which there may be other containers than before. */
const CHANGES_LIST = new Set(['open-container', 'close-container', 'unset-container', 'close-group']);
/** Calls that change nothing a card shows. */
const READS = new Set(['check-extension', 'iommu-info', 'dirty-get', 'dma-rw', 'group-status']);

/** @template {HTMLElement} T @param {string} id @returns {T} */
const byId = (id) => /** @type {T} */ (document.getElementById(id));
/** @type {HTMLSelectElement} */
const rigSelect = byId('rig');
/** @type {HTMLInputElement} */
const textInput = byId('text');
/** @type {HTMLSelectElement} */
const containerSelect = byId('container');
/** @type {HTMLSelectElement} */
const deviceSelect = byId('device');
const section = byId('containers');
const none = byId('none');
const log = new Log(byId('log'), byId('log-empty'));
const rounds = new Rounds();

/** @type {Map<string, Card>} */
const cards = new Map();
/** @type {Map<string, number>} Colours by device, in the order in which they were met. */
const deviceColours = new Map();
/** @type {Map<number, string>} Names of the calls under way. */
const calls = new Map();
let watching = new AbortController();
let rig = '';
let listing = false;
let listAgain = false;

const seen = new IntersectionObserver(
  (entries) => {
    for (const { target, isIntersecting } of entries) {
      cards.get(/** @type {HTMLElement} */ (target).dataset.container ?? '')?.seen(isIntersecting);
    }
  },
  { rootMargin: '400px' },
);

/** @param {string} device */
function colourOf(device) {
  let colour = deviceColours.get(device);
  if (colour === undefined) {
    colour = deviceColours.size % DEVICE_COLOURS;
    deviceColours.set(device, colour);
    addOption(deviceSelect, device);
  }
  return colour;
}

/** Adds a choice in its place by name. @param {HTMLSelectElement} select @param {string} value */
function addOption(select, value) {
  const options = [...select.options];
  if (options.some((option) => option.value === value)) return;
  const option = element('option', '', value);
  option.value = value;
  const after = options.find((one) => one.value !== '' && byName(one.value, value) > 0);
  select.insertBefore(option, after ?? null);
}

const { compare: byName } = new Intl.Collator('en', { numeric: true });

/** @param {string} state @param {string} text */
function setState(state, text) {
  const shown = byId('state');
  shown.dataset.state = state;
  shown.textContent = text;
}

function clearRig() {
  for (const card of cards.values()) card.article.remove();
  cards.clear();
  rounds.clear();
  calls.clear();
  deviceColours.clear();
  log.clear();
  for (const select of [containerSelect, deviceSelect]) {
    const kept = select.value;
    while (select.options.length > 1) select.remove(1);
    if (kept !== '') {
      addOption(select, kept);
      select.value = kept;
    }
  }
  none.hidden = true;
  showTitle();
}

/** Follows a rig until another one is chosen. @param {string} name */
async function watch(name) {
  watching.abort();
  watching = new AbortController();
  const { signal } = watching;
  rig = name;
  containerSelect.value = '';
  deviceSelect.value = '';
  location.hash = name === DEFAULT_RIG ? '' : `rig=${encodeURIComponent(name)}`;
  setState('connecting', 'connecting');
  let said = '';
  while (!signal.aborted) {
    try {
      clearRig();
      if (said) log.note(said);
      if (!(await showRigs(signal)).includes(name) && name !== DEFAULT_RIG) {
        setState('gone', 'there is no such rig');
        return;
      }
      const host = await describe(signal);
      await meetDevices(signal);
      await listContainers(signal);
      setState('live', 'live');
      const since = said.includes('dropped') ? 0 : Math.max(0, host.seq - BACKLOG);
      said = `— ${await follow(name, since, signal, take)} —`;
      if (said.includes('reset')) continue;
    } catch (error) {
      if (signal.aborted) return;
      said = `— ${error instanceof Error ? error.message : error} —`;
    }
    if (signal.aborted) return;
    setState('lost', 'not connected');
    await pause(RETRY_MS, signal);
  }
}

/** @param {AbortSignal} signal */
async function describe(signal) {
  const host = await getJson('/v1', rig, signal);
  byId('kernel').textContent = `Linux ${host.kernel}`;
  const taint = byId('taint');
  taint.hidden = host.taint.length === 0;
  taint.textContent = `tainted ${host.taint.join('')}`;
  return host;
}

/** Gives the devices their colours in the order in which they were made. @param {AbortSignal} signal */
async function meetDevices(signal) {
  const { devices } = await getJson('/v1/devices?limit=1000', rig, signal);
  for (const { device } of devices) colourOf(device);
}

/** @param {AbortSignal} signal @returns {Promise<string[]>} */
async function showRigs(signal) {
  const { rigs } = await getJson('/v1/rigs', null, signal);
  /** @type {string[]} */
  const names = rigs.map((/** @type {{ rig: string }} */ one) => one.rig);
  const wanted = [...new Set([DEFAULT_RIG, rig, ...names])].filter(Boolean).sort(byName);
  const shown = [...rigSelect.options].map((option) => option.value);
  if (wanted.join('\n') !== shown.join('\n')) {
    rigSelect.replaceChildren(
      ...wanted.map((name) => {
        const option = element('option', '', name);
        option.value = name;
        return option;
      }),
    );
  }
  rigSelect.value = rig;
  return names;
}

/** @param {AbortSignal} signal */
async function listContainers(signal) {
  if (listing) {
    listAgain = true;
    return;
  }
  listing = true;
  try {
    do {
      listAgain = false;
      const ids = [];
      let after = '';
      do {
        const page = await getJson(`/v1/containers?limit=1000${after}`, rig, signal);
        ids.push(...page.containers.map((/** @type {{ container: string }} */ one) => one.container));
        after = page.next === undefined ? '' : `&after=${encodeURIComponent(page.next)}`;
      } while (after !== '');
      const there = new Set(ids);
      for (const card of [...cards.values()]) if (!there.has(card.id)) drop(card);
      for (const id of ids) if (!cards.has(id)) addCard(id, signal);
    } while (listAgain);
  } finally {
    listing = false;
  }
  applyFilter();
}

/** @param {string} id @param {AbortSignal} signal */
function addCard(id, signal) {
  const card = new Card(id, { rig, signal, colourOf, onLayout, onGone: drop });
  cards.set(id, card);
  const after = [...cards.values()].find((one) => one.article.isConnected && byName(one.id, id) > 0);
  section.insertBefore(card.article, after?.article ?? none);
  card.showRounds(rounds.of(id));
  seen.observe(card.article);
  addOption(containerSelect, id);
}

/** @param {Card} card */
function drop(card) {
  seen.unobserve(card.article);
  card.article.remove();
  if (cards.get(card.id) === card) cards.delete(card.id);
  showTitle();
  if (containerSelect.value !== card.id) {
    [...containerSelect.options].find((option) => option.value === card.id)?.remove();
  }
  applyFilter();
}

/** @param {Card} card */
function onLayout(card) {
  for (const device of card.devices()) colourOf(device);
  showTitle();
  showFiltered(card);
}

function wedgedCards() {
  return [...cards.values()].filter((card) => card.layout?.answer.wedged);
}

function showTitle() {
  const wedged = wedgedCards().length;
  const shown = byId('wedged');
  shown.hidden = wedged === 0;
  shown.textContent = `${wedged} WEDGED`;
  document.title = `${wedged > 0 ? `⚠ ${wedged} wedged · ` : ''}${rig || DEFAULT_RIG} · vfio-host`;
}

/** Takes in what happened. @param {JournalEvent[]} events */
function take(events) {
  const { signal } = watching;
  /** @type {Map<string, number>} */
  const touched = new Map();
  /** @type {Set<string>} */
  const changed = new Set();
  let listChanged = false;
  let splat = false;
  for (const event of events) {
    const round = rounds.take(event);
    if (round !== undefined) changed.add(round);
    if (event.kind === 'call') calls.set(event.seq, String(event.call?.call));
    splat ||= event.kind === 'splat';
    const call = event.cause === undefined ? undefined : calls.get(event.cause);
    if (event.kind === 'answer') {
      calls.delete(event.cause ?? 0);
      listChanged ||= call === undefined || CHANGES_LIST.has(call);
    }
    const reads = call !== undefined && READS.has(call);
    const matters =
      event.kind === 'answer' ? !reads : event.kind === 'invalidation' || event.kind === 'splat';
    if (event.container !== undefined && matters) touched.set(event.container, event.seq);
  }
  const listed = listChanged ? listContainers(signal).catch(() => {}) : Promise.resolve();
  // What is gone is not asked for.
  void listed.then(() => touch(touched));
  for (const id of changed) cards.get(id)?.showRounds(rounds.of(id));
  log.add(events);
  if (splat) void describe(signal).catch(() => {});
}

/** Looks again at containers that changed with these entries. @param {Map<string, number>} touched */
function touch(touched) {
  for (const [id, seq] of touched) {
    const card = cards.get(id);
    if (!card) continue;
    // Hidden for want of a device it would not be asked for again; it may have it by now.
    const fresh = seq > (card.layout?.answer.seq ?? 0);
    if (fresh && deviceSelect.value !== '' && !filteredOut(card)) card.article.hidden = false;
    card.touched(seq);
  }
}

function applyFilter() {
  const kinds = new Set(
    [...document.querySelectorAll('input[name=kind]:checked')].map(
      (box) => /** @type {HTMLInputElement} */ (box).value,
    ),
  );
  const text = textInput.value.trim();
  log.filter({ text, kinds, container: containerSelect.value, device: deviceSelect.value });
  for (const card of cards.values()) {
    showFiltered(card);
    card.filter(deviceSelect.value, /^0x[0-9a-f]{1,16}$/i.test(text) ? BigInt(text) : null);
  }
  const shown = [...cards.values()].filter((card) => !card.article.hidden).length;
  none.hidden = shown > 0;
  none.textContent = cards.size === 0 ? 'This rig has no containers.' : 'No container matches the filter.';
}

/** Whether another container is asked for. @param {Card} card */
function filteredOut(card) {
  return containerSelect.value !== '' && containerSelect.value !== card.id;
}

/** @param {Card} card */
function showFiltered(card) {
  const { value: device } = deviceSelect;
  card.article.hidden =
    filteredOut(card) || (device !== '' && card.layout !== null && !card.devices().includes(device));
}

/** @returns {string} */
function rigOfHash() {
  const given = /^#rig=(.+)$/.exec(location.hash)?.[1];
  return given === undefined ? DEFAULT_RIG : decodeURIComponent(given);
}

const look = () => {
  if (document.visibilityState === 'visible' && document.activeElement !== rigSelect) {
    const back = byId('state').dataset.state === 'gone';
    showRigs(watching.signal)
      .then((names) => {
        if (back && names.includes(rig)) void watch(rig);
      })
      .catch(() => {});
  }
};
setInterval(look, RIGS_MS);
rigSelect.addEventListener('pointerdown', () => void showRigs(watching.signal).catch(() => {}));
rigSelect.addEventListener('focus', () => void showRigs(watching.signal).catch(() => {}));
byId('wedged').addEventListener('click', () => {
  const card = wedgedCards().find(({ article }) => !article.hidden);
  card?.article.scrollIntoView({ block: 'center' });
  card?.canvas.focus();
});
rigSelect.addEventListener('change', () => void watch(rigSelect.value));
addEventListener('hashchange', () => {
  if (rigOfHash() !== rig) void watch(rigOfHash());
});
document.querySelector('.filter')?.addEventListener('input', applyFilter);
document.querySelector('.filter')?.addEventListener('submit', (event) => event.preventDefault());
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
  readColours();
  for (const card of cards.values()) card.strip.draw();
});
applyFilter();
void watch(rigOfHash());
