import { expect, test } from 'vitest';
import { CoreRig } from '../harness/core-rig.ts';

test.each(['mtty', 'mdpy', 'mbochs'])(
  'samples: %s is never called, and nobody can pin beside it alone',
  (type) => {
    const rig = new CoreRig('6.1', { s: { type } });
    rig.map(0x10000, 0x10000);
    expect(rig.errno('pin-pages', { device: 's', iova: 0x10000, npage: 1, prot: 3 })).toBe('EINVAL');
    expect(rig.host.machine.container('c0').view!.devices).toEqual([]);
    rig.attach('d', { type: 'synthetic', onDmaUnmap: 'unpin-range' });
    rig.do('pin-pages', { device: 'd', iova: 0x10000, npage: 1, prot: 3 });
    expect(rig.unmap(0x10000, 0x10000).body.invalidations).toEqual([
      { device: 'd', iova: '0x10000', length: '0x10000' },
    ]);
    for (const call of ['close-device', 'unset-container', 'close-group']) rig.do(call, { device: 's' });
    expect(rig.reply('remove-device', { device: 's' }).status).toBe(200);
  },
);

test('story 8: a driver that pins nothing: the unmap makes no callback at all', () => {
  const rig = new CoreRig('6.1', { s: { type: 'mtty' }, gpu: { type: 'gvt-g', variant: 'callback' } });
  rig.map(0x10000, 0x10000);
  expect(rig.unmap(0x10000, 0x10000).body).toEqual({ size: '0x10000', invalidations: [] });
});
