import type { Driver } from '../../schemas/drivers/index.ts';
import type { Generation } from '../kernel/generations/index.ts';
import { checkCall } from '../machine/table.ts';
import { sceneOf } from './alphabet.ts';
import type { Scene } from './scene.ts';
import type { Bounds } from './search.ts';

/** What is asked of the explorer. */
export interface ExploreRequest {
  readonly gen: Generation;
  readonly drivers: readonly Driver[];
  /** Null: every finding there is. */
  readonly goal: string | null;
  readonly pages: number;
  readonly mappings: number;
  readonly bounds: Bounds;
}

/** What is searched unless somebody says otherwise. */
export const DEFAULTS = { depth: 6, pages: 2, mappings: 3, seconds: 60, megabytes: 512 } as const;

/**
 * The scene of a request.
 *
 * @throws Refused for a driver that create-device refuses
 */
export function sceneOfRequest({ gen, drivers, pages, mappings }: ExploreRequest): Scene {
  for (const driver of drivers) checkCall({ call: 'create-device', driver });
  return sceneOf(gen, { drivers, pages, mappings });
}
