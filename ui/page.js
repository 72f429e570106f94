// The page: follows one rig's journal and shows what it says.

import { Calls } from './calls.js';
import { Cards } from './cards.js';
import { byId, byName } from './dom.js';
import { follow, getJson, pause, postJson } from './feed.js';
import { Filter } from './filter.js';
import { Header } from './header.js';
import { Log } from './log.js';
import { LooseDevices } from './loose-devices.js';
import { GONE, Poll } from './poll.js';
import { DEFAULT_RIG, RigMenu } from './rig-menu.js';
import { Rounds } from './rounds.js';
import { readColours } from './strip-painter.js';
import { Welcome } from './welcome.js';

/** @typedef {import('./words.js').JournalEvent} JournalEvent */
/** @typedef {import('../schemas/page.ts').RigOverview} RigOverview */

/** Journal entries that are read back when the page opens. */
const BACKLOG = 5000;
/** The wait before the server is tried again, milliseconds. */
const RETRY_MS = 1000;
/** What has been under way for less is not said to wait, and how often it is looked at, milliseconds. */
const PENDING_MIN = 500;
const TICK_MS = 500;

export class Page {
  #filter = new Filter(() => this.#applyFilter());
  #cards = new Cards(
    byId('containers'),
    this.#filter,
    ({ id }) => this.#showCalls([id]),
    () => this.#showWelcome(),
  );
  #header = new Header(
    () => this.#cards.jump(this.#wedged()),
    () => this.#cards.jump(this.#pending().map(({ container }) => container)),
  );
  #menu = new RigMenu(
    (rig) => void this.watch(rig),
    (rigs) => this.#listed(rigs),
  );
  #log = new Log(byId('log'), byId('log-empty'), (goal) => this.#shrink(goal));
  #loose = new LooseDevices();
  #welcome = new Welcome();
  #calls = new Calls();
  #rounds = new Rounds();
  /** @type {RigOverview | null} */
  #overview = null;
  /** Names of the calls that change nothing. @type {Set<string>} */
  #reads = new Set();
  /** The rig as a whole, asked again when it may have changed. @type {Poll | null} */
  #poll = null;
  #rig = '';
  /** Whether the rig that is wanted is not there. */
  #gone = false;
  /** Ends when another rig is chosen; the second also when this one begins anew. */
  #watching = new AbortController();
  #session = new AbortController();

  constructor() {
    this.#applyFilter();
    setInterval(() => this.#showPending(), TICK_MS);
  }

  get rig() {
    return this.#rig;
  }

  /** Colours as the style sheet says them now. */
  recolour() {
    readColours();
    for (const { strip } of this.#cards) strip.draw();
  }

  /** Follows a rig until another one is chosen. @param {string} name */
  async watch(name) {
    this.#watching.abort();
    this.#watching = new AbortController();
    const { signal } = this.#watching;
    this.#rig = name;
    this.#gone = false;
    this.#filter.clear();
    this.#menu.chosen = name;
    this.#header.rig = name;
    location.hash = name === DEFAULT_RIG ? '' : `rig=${encodeURIComponent(name)}`;
    this.#header.state('connecting', 'connecting');
    let said = '';
    while (!signal.aborted) {
      this.#clear();
      if (said) this.#log.note(`— ${said} —`);
      try {
        const since = await this.#begin();
        if (since === null) return;
        said = await follow(name, since, signal, (events) => this.#take(events));
        // Nothing was lost: it begins anew.
        if (said.includes('reset')) continue;
      } catch (error) {
        said = error instanceof Error ? error.message : String(error);
      }
      if (signal.aborted) return;
      this.#header.state('lost', 'not connected');
      await pause(RETRY_MS, signal);
    }
  }

  /** The rig's trace, shrunk to one that comes to the goal. @param {string} goal */
  async #shrink(goal) {
    const scenario = await getJson('/v1/trace', this.#rig, this.#watching.signal);
    return postJson('/v1/minimize', this.#rig, { scenario, goal });
  }

  #clear() {
    this.#session.abort();
    this.#session = new AbortController();
    this.#rounds.clear();
    this.#calls.clear();
    this.#cards.clear();
    this.#log.clear();
    this.#overview = null;
    this.#header.kernel('', []);
    this.#header.wedged(0);
    this.#showPending();
    this.#loose.show([], this.#cards.colourOf);
    this.#showWelcome();
  }

  /** Shows the rig; returns the entry of its journal to go on from, or null where there is no such rig. */
  async #begin() {
    const signal = AbortSignal.any([this.#watching.signal, this.#session.signal]);
    const { calls } = await getJson('/v1/calls', null, signal);
    for (const { call, reads } of calls) if (reads) this.#reads.add(call);
    /** @type {RigOverview | null} */
    const overview = await getJson('/ui/rig', this.#rig, signal);
    this.#gone = overview === null;
    if (overview === null) {
      this.#header.state('gone', 'there is no such rig');
      return null;
    }
    this.#poll = new Poll(() => this.#ask(signal), signal);
    const since = Math.max(0, overview.oldest - 1, overview.seq - BACKLOG);
    const now = performance.now();
    for (const line of overview.pending) {
      const call = this.#calls.know(line, now);
      if (line.seq <= since) this.#rounds.know(line, call);
    }
    this.#show(overview, signal);
    this.#showPending();
    this.#header.state('live', 'live');
    return since;
  }

  /** @param {AbortSignal} signal */
  async #ask(signal) {
    /** @type {RigOverview | null} */
    const overview = await getJson('/ui/rig', this.#rig, signal);
    // That the rig is gone the journal says as well.
    if (overview === null) return GONE;
    this.#show(overview, signal);
    return overview.seq;
  }

  /** @param {RigOverview} overview @param {AbortSignal} signal */
  #show(overview, signal) {
    this.#overview = overview;
    this.#header.kernel(overview.kernel, overview.taint);
    this.#header.wedged(this.#wedged().length);
    this.#cards.show(overview, signal);
    const loose = overview.devices.filter(({ container }) => container === null);
    this.#loose.show(loose, this.#cards.colourOf);
    this.#showWelcome();
  }

  /** Takes in what happened. @param {JournalEvent[]} events */
  #take(events) {
    const now = performance.now();
    /** @type {Set<string>} */
    const changed = new Set();
    const entries = events.map((event) => {
      const call = this.#calls.take(event, now);
      const round = this.#rounds.take(event, call);
      if (round !== undefined) changed.add(round);
      const changes = event.kind === 'answer' && !(call && this.#reads.has(call.name));
      if (changes || event.kind === 'splat') this.#poll?.want(event.seq);
      if (
        event.container !== undefined &&
        (changes || event.kind === 'invalidation' || event.kind === 'splat')
      ) {
        this.#cards.get(event.container)?.touched(event.seq);
      }
      return { event, call };
    });
    this.#showCalls(changed);
    this.#log.add(entries);
  }

  /** Calls that have waited for some time. */
  #pending() {
    return this.#calls.pending(performance.now(), PENDING_MIN);
  }

  #showPending() {
    const pending = this.#pending();
    this.#header.pending(pending, performance.now());
    const waiting = new Set(pending.map(({ container }) => container));
    const stale = [...this.#cards].filter((card) => card.waits || waiting.has(card.id));
    this.#showCalls(stale.map(({ id }) => id));
  }

  /** The rows of cards: calls with a round, and whatever else has waited for some time. @param {Iterable<string>} ids */
  #showCalls(ids) {
    const now = performance.now();
    const waiting = Map.groupBy(this.#pending(), ({ container }) => container);
    for (const id of ids) {
      const others = waiting.get(id)?.filter(({ round }) => !round) ?? [];
      this.#cards.get(id)?.showCalls([...this.#rounds.of(id), ...others], now);
    }
  }

  #wedged() {
    const wedged = this.#overview?.containers.filter((one) => one.wedged) ?? [];
    return wedged.map(({ container }) => container).sort(byName);
  }

  #applyFilter() {
    const { text, kinds, container, device, address } = this.#filter;
    this.#log.filter({ text, kinds, container, device });
    for (const card of this.#cards) card.filter(device, address);
    this.#cards.applyFilter();
    this.#showWelcome();
  }

  /** What stands where the cards would be. */
  #showWelcome() {
    if (!this.#overview || this.#cards.anyShown) this.#welcome.show(null);
    else if (this.#cards.size > 0) this.#welcome.show('No container matches the filter.');
    else {
      const rig = this.#rig === DEFAULT_RIG ? null : this.#rig;
      this.#welcome.show('This rig has no containers.', this.#overview.devices.length > 0 ? undefined : rig);
    }
  }

  /** @param {string[]} rigs that there are */
  #listed(rigs) {
    if (this.#gone && rigs.includes(this.#rig)) void this.watch(this.#rig);
  }
}
