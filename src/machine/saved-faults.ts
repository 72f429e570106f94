import type { SnapshotState } from '../../schemas/snapshot.ts';
import { canonical } from '../kernel/saved/canonical.ts';
import { checkDifferent, wrong } from '../kernel/saved/checks.ts';
import { checkFault, type FaultState, type Faults } from './faults.ts';

/** Every rule with its counts, in the order in which they strike. */
export function saveFaults(faults: Faults): SnapshotState['faults'] {
  return faults.list().map(({ rule, seen, struck, paused }) => ({
    rule: canonical(rule),
    seen,
    struck,
    ...(paused ? { paused: true as const } : {}),
  }));
}

/** Rules and counts of a machine that has none. */
export function restoreFaults(faults: Faults, state: SnapshotState, where: string): void {
  checkDifferent(
    state.faults.map(({ rule }) => rule.fault),
    `${where}/faults`,
  );
  faults.count = state.next.fault;
  for (const [i, fault] of state.faults.entries()) {
    try {
      checkFault(fault.rule);
    } catch (error) {
      throw wrong(`${where}/faults/${i}/rule`, `cannot be: ${(error as Error).message}`);
    }
    if (fault.struck > fault.seen) throw wrong(`${where}/faults/${i}/struck`, 'is more than seen');
    faults.restore({ ...fault, paused: fault.paused ?? false } as FaultState);
  }
}
