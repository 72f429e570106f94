import { GENERATIONS, type Generation } from '../../src/kernel/generations/index.ts';

/** The kernels whose containers type1 provides. */
export const TYPE1_GENERATIONS: readonly Generation[] = GENERATIONS.filter(
  ({ containerOf }) => containerOf === 'type1',
);

/** Their versions. */
export const TYPE1_VERSIONS: readonly string[] = TYPE1_GENERATIONS.map(({ version }) => version);
