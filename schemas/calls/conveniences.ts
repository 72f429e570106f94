import { Type } from '@sinclair/typebox';
import { Guest, Id } from '../values.ts';
import { call } from './entry.ts';

const Attached = { container: Type.String(), device: Type.String(), group: Type.String() };

/** Calls that are made of others. */
export const conveniences = {
  attach: call({
    about:
      'The usual way to get a device into a container: open-group, set-container, set-iommu type1v2 unless one is set, open-device. All of them, or none.',
    on: 'container',
    args: { device: Id, guest: Type.Optional(Guest) },
    answer: Attached,
    of: ['open-group', 'set-container', 'set-iommu', 'open-device'],
  }),
  detach: call({
    about: 'The way back: close-device, unset-container, close-group. It stops at the first that is refused.',
    on: 'container',
    args: { device: Id },
    answer: Attached,
    of: ['close-device', 'unset-container', 'close-group'],
  }),
};
