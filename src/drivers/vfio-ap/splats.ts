import type { Splat } from '../../kernel/splats.ts';

const FILE = 'drivers/s390/crypto/vfio_ap_ops.c';

/** What a warning says in every kernel. */
type Warning = Omit<Splat, 'id' | 'file' | 'line' | 'module'>;

const INJECTED = 'a response that `ap-inject` chooses';

/** The warnings of vfio_ap: what each says, and what the driver does next. A condition in words is a `switch`'s. */
const WARNINGS = {
  A1: {
    kind: 'WARN_ON_ONCE',
    function: 'vfio_ap_wait_for_irqclear',
    condition: 'TAPQ answered not available, deconfigured, checkstopped or an unknown code',
    effect: 'the driver no longer waits for the interrupt bit to clear',
    reachedBy: INJECTED,
  },
  A2: {
    kind: 'WARN_ON_ONCE',
    function: 'vfio_ap_wait_for_irqclear',
    condition: 'the interrupt bit is still set after 5 TAPQ',
    effect: 'the driver goes on as if it were clear',
    reachedBy: INJECTED,
  },
  A3: {
    kind: 'WARN_ON',
    function: 'vfio_ap_free_aqic_resources',
    condition: '!(q->matrix_mdev && q->matrix_mdev->kvm)',
    effect: 'the interruption subclass stays registered',
    reachedBy: 'a reset of a queue after its guest has gone',
  },
  A4: {
    kind: 'WARN_ON',
    function: 'vfio_ap_free_aqic_resources',
    condition: '!q->matrix_mdev',
    effect: 'the pin stays',
    reachedBy: 'a reset of a queue after its mdev has gone',
  },
  A5: {
    kind: 'WARN_ON_ONCE',
    function: 'vfio_ap_irq_disable',
    condition: 'AQIC (disable) answered that the queue is not operational',
    effect: 'the pin is released all the same',
    reachedBy: INJECTED,
  },
  A6: {
    kind: 'WARN_ON_ONCE',
    function: 'vfio_ap_irq_disable',
    condition: 'AQIC (disable) answered busy or reset in progress 6 times',
    effect: 'the pin is released all the same',
    reachedBy: INJECTED,
  },
  A7: {
    kind: 'WARN_ON',
    function: 'vfio_ap_mdev_reset_queue',
    condition: 'ZAPQ answered an unknown code',
    effect: 'EIO; the pin stays',
    reachedBy: INJECTED,
  },
  A8: {
    kind: 'WARN_ON_ONCE',
    function: 'vfio_ap_mdev_reset_queue',
    condition: 'status.irq_enabled',
    effect: 'EBUSY; the pin is released',
    reachedBy: INJECTED,
  },
  A9: {
    kind: 'WARN_ON_ONCE',
    function: 'vfio_ap_mdev_reset_queue',
    condition: 'retry2 <= 0',
    effect: 'the reset counts as done',
    reachedBy: INJECTED,
  },
  A10: {
    kind: 'PR_WARN',
    function: 'vfio_ap_irq_enable',
    condition: 'AQIC (enable) answered neither normal nor otherwise changed',
    effect: 'interrupts are disabled; the new pin leaks',
    reachedBy: INJECTED,
  },
  A11: {
    kind: 'WARN_ON',
    function: 'apq_reset_check',
    condition: 'TAPQ answered an unknown code',
    effect: 'the reset counts as done, the pin stays',
    reachedBy: INJECTED,
  },
} as const satisfies Record<string, Warning>;

export type ApWarning = keyof typeof WARNINGS;
export type ApSplats = Partial<Record<ApWarning, Splat>>;

/** The warnings of one kernel's driver, by line. */
export function apSplats(
  lines: Partial<Record<ApWarning, number>>,
  conditions: Partial<Record<ApWarning, string>> = {},
): ApSplats {
  const ids = Object.keys(lines) as ApWarning[];
  return Object.fromEntries(
    ids.map((id) => {
      const { [id]: condition = WARNINGS[id].condition } = conditions;
      return [id, { ...WARNINGS[id], id, condition, file: FILE, line: lines[id]!, module: 'vfio_ap' }];
    }),
  );
}
