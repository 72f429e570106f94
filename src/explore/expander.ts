import type { Fingerprint } from './fingerprints.ts';
import type { Form, Patch } from './form.ts';
import { type Finding, reaches } from './goals.ts';
import { Kept, type Place } from './place.ts';
import { NOTHING, type Remembered, UNKNOWN } from './remembered.ts';
import type { Scene } from './scene.ts';
import type { Visited } from './visited.ts';
import type { Walker } from './walker.ts';

/** States that are kept as they were found, to be gone on from: less than 1 KB each, and a part of those there may be. */
const KEPT = 65_536;
const KEPT_PART = 1 / 16;

/** A finding, and the actions that lead to it: no shorter path of the scene's actions does. */
export interface Hit {
  readonly finding: Finding;
  readonly path: readonly number[];
}

/** Goes on from states that have been found, by every action, and notes what comes of it. */
export class Expander {
  /** The first path to each finding. */
  readonly hits = new Map<Finding, Hit>();
  /** Actions taken. */
  transitions = 0;
  /** By number, in the order in which they were found. */
  private readonly kept = new Map<number, Kept>();
  private readonly at: Fingerprint = { low: 0, high: 0 };
  /** The way to the last state that was not kept. */
  private readonly trail: Kept[] = [];

  private readonly scene: Scene;
  private readonly keptMost: number;

  /** @param goal what is looked for; null: every finding there is */
  constructor(
    readonly walker: Walker,
    private readonly visited: Visited,
    private readonly remembered: Remembered,
    private readonly goal: string | null,
  ) {
    this.scene = walker.scene;
    this.keptMost = Math.min(KEPT, visited.capacity * KEPT_PART);
  }

  /**
   * Takes every action from a state, stopping after each that has to be taken to know what it comes to.
   *
   * @param isLast whether nobody goes on from what is found now
   * @returns whether the goal was reached
   */
  *expand(state: number, isLast: boolean): Generator<void, boolean> {
    if (this.visited.isDropped(state)) return false;
    const { walker, scene, remembered } = this;
    const path = this.visited.pathTo(state);
    const kept = this.kept.get(state) ?? this.followed(path);
    this.kept.delete(state);
    // Where it is known what every call comes to nobody goes.
    let isThere = !kept;
    if (!kept) walker.goTo(path);
    const forms = kept ? kept.forms : walker.forms;
    if (forms) remembered.lookAt(forms[0]!);
    for (let action = 0; action < scene.actions.length; action++) {
      this.transitions++;
      const outcome = forms ? remembered.find(forms[0]!, action) : UNKNOWN;
      if (outcome === NOTHING) continue;
      if (outcome !== UNKNOWN) {
        if (this.comesTo(outcome, state, action, forms!, kept ?? walker.standing, isLast)) return true;
        continue;
      }
      if (!isThere) walker.goToKept(kept!, path);
      isThere = true;
      if (this.take(state, action, forms, isLast)) return true;
      yield;
    }
    return false;
  }

  /** A state that is not kept, where it is known what all the actions that lead there come to; null: it is not. */
  private followed(path: readonly number[]): Kept | null {
    const { trail, remembered } = this;
    let shared = 0;
    while (shared < trail.length && trail[shared]!.action === path[shared]) shared++;
    trail.length = shared;
    let from: Place | Kept = trail.at(-1) ?? this.walker.start;
    for (const action of path.slice(shared)) {
      const forms: readonly Form[] =
        from instanceof Kept ? from.forms : from.known.forms!.map(({ form }) => form);
      remembered.lookAt(forms[0]!);
      const outcome = remembered.find(forms[0]!, action);
      if (outcome === UNKNOWN || !remembered.leadsOn(outcome)) return null;
      from = new Kept(from, action, remembered.formsAfter(outcome, forms), null);
      trail.push(from);
    }
    return trail.at(-1) ?? null;
  }

  /** Takes an action from where the walker is; whether the goal was reached. */
  private take(state: number, action: number, forms: readonly Form[] | null, isLast: boolean): boolean {
    const { walker, visited } = this;
    const hasCome = walker.take(action);
    const { findings } = walker;
    if (findings.length > 0 && this.note(state, action, findings)) return true;
    const isEnd = isLast || findings.some(isFinal);
    if (hasCome && !isEnd && walker.hasChanged) {
      const { low, high } = walker.fingerprint();
      const { patches } = walker;
      const found = visited.add(low, high, state, action);
      if (forms && patches) this.remember(forms, action, patches, false);
      if (found >= 0) this.keep(found, action);
    } else if (forms) this.remember(forms, action, null, isEnd);
    if (hasCome) walker.back();
    return false;
  }

  /**
   * Remembers what an action has come to.
   *
   * @param patches in what the state has changed; null: in nothing, or nobody goes on from there (`isEnd`)
   */
  private remember(
    forms: readonly Form[],
    action: number,
    patches: readonly Patch[] | null,
    isEnd: boolean,
  ): void {
    const { walker, remembered } = this;
    if (walker.isUnderway) return;
    // Where something was added to matters to who goes on from there.
    const looked = isEnd || walker.added.length === 0 ? walker.looked : [...walker.looked, ...walker.added];
    remembered.note(forms, action, looked, walker.findings, patches);
  }

  /** An action comes to what it came to before; whether the goal was reached. */
  private comesTo(
    outcome: number,
    state: number,
    action: number,
    forms: readonly Form[],
    from: Place | Kept,
    isLast: boolean,
  ): boolean {
    const { remembered, visited, kept, at } = this;
    const findings = remembered.findings(outcome);
    if (findings.length > 0 && this.note(state, action, findings)) return true;
    if (isLast || !remembered.leadsOn(outcome)) return false;
    remembered.fingerprintAfter(outcome, forms, at);
    const found = visited.add(at.low, at.high, state, action);
    if (found >= 0 && kept.size < this.keptMost) {
      kept.set(found, new Kept(from, action, remembered.formsAfter(outcome, forms), null));
    }
    return false;
  }

  private keep(state: number, action: number): void {
    const { kept } = this;
    const place = kept.size < this.keptMost ? this.walker.keep(action) : null;
    if (place) kept.set(state, place);
  }

  /** The states with lower numbers that are kept, in the order in which they were found. */
  keptBelow(end: number): number[] {
    return [...this.kept.keys()].filter((state) => state < end);
  }

  /** Everything before a state has been gone on from, by whomever. */
  forget(before: number): void {
    for (const state of this.kept.keys()) {
      if (state >= before) return;
      this.kept.delete(state);
    }
  }

  /** Notes what has been found for the first time, of a goal what reaches it; whether there was such. */
  private note(state: number, action: number, findings: readonly Finding[]): boolean {
    const { hits, goal } = this;
    let reached = false;
    for (const finding of findings) {
      if (goal !== null && !reaches(finding, goal)) continue;
      reached = goal !== null;
      if (!hits.has(finding)) hits.set(finding, { finding, path: [...this.visited.pathTo(state), action] });
    }
    return reached;
  }
}

/** Whether nothing comes after it that is worth a look: locks are held for ever from then on. */
function isFinal(finding: Finding): boolean {
  return finding.startsWith('BUG_ON') || finding.startsWith('DEADLOCK');
}
