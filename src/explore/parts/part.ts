import type { CallObject } from '../../../schemas/calls.ts';
import type { Driver } from '../../../schemas/drivers/index.ts';
import type { Generation } from '../../kernel/generations/index.ts';
import type { Pages } from '../pages.ts';
import type { Action } from '../scene.ts';

/** A device of a scene. */
export interface Actor {
  readonly device: string;
  /** Its place among the devices, from 0. */
  readonly number: number;
  readonly driver: Driver;
  readonly gen: Generation;
  readonly pages: Pages;
}

/** What a driver model brings into a scene. */
export interface Part {
  /** 4 KiB pages of the ranges that its calls need to tell apart; 1 unless said otherwise. */
  readonly rangeSize?: number;
  /** Its configuration in a scene, where that is not all left to the client. */
  configure?(driver: Driver, number: number): Driver;
  /** Calls that must have been made before anything, once for all its devices: memory, mappings. */
  prepare?(actor: Actor): CallObject[];
  /** What happens to one of its devices besides open and close. */
  actions(actor: Actor): Action[];
  /** Whether its devices are the same to the kernel whatever they are called. */
  readonly areAlike?: boolean;
}
