import type { CallObject } from '../../schemas/calls.ts';
import type { Generation } from '../kernel/generations/index.ts';

/** When an action can be taken at all: while a callback of its device is held, or waits for the outside. */
type When = 'held' | 'outside';

/** A call that may be made at any point, or only while a callback is under way. */
export interface Action {
  readonly call: CallObject;
  readonly when?: When;
}

/** What is explored: a machine as it is to begin with, and what may happen to it. */
export interface Scene {
  readonly gen: Generation;
  /** Calls that lead to where the search begins. None of them may be refused. */
  readonly setup: readonly CallObject[];
  readonly actions: readonly Action[];
  /** Every device; and those that are alike in all but their names. */
  readonly devices: readonly string[];
  readonly alike: readonly (readonly string[])[];
  /** Mappings that there may be at once, those of the setup not counted. */
  readonly mappings: number;
  /** Calls that may be under way at once. */
  readonly underway: number;
  /** Whether it matters which number each file of a process has. */
  readonly isAboutFiles: boolean;
}
