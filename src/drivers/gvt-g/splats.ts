import type { Splat } from '../../kernel/splats.ts';

const KVMGT = { file: 'drivers/gpu/drm/i915/gvt/kvmgt.c', module: 'kvmgt' } as const;

/** 6.0 to 6.5. */
export const REMOVED_WHILE_OPEN: Splat = {
  id: 'G2',
  kind: 'WARN_ON_ONCE',
  function: 'intel_vgpu_remove',
  condition: 'vgpu->attached',
  ...KVMGT,
  line: 1507,
  effect: 'the device is not unregistered',
  reachedBy: '`remove-device` of an open vGPU, up to 6.5',
};

/** Up to 5.19. */
export const UNPINNED_NOTHING: Splat = {
  id: 'G5',
  kind: 'WARN_ON',
  function: 'gvt_unpin_guest_page',
  condition: 'ret != 1',
  ...KVMGT,
  line: 166,
  effect: 'the next page is unpinned',
  reachedBy: 'an unpin that finds its page gone, up to 5.19',
};
