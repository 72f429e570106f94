import { Type } from '@sinclair/typebox';
import { Guest, Id } from '../values.ts';
import { call } from './entry.ts';

const Attached = { container: Type.String(), device: Type.String(), group: Type.String() };

/** Calls that are made of others. */
export const conveniences = {
  attach: call({
    on: 'container',
    args: { device: Id, guest: Type.Optional(Guest) },
    answer: Attached,
    of: ['open-group', 'set-container', 'set-iommu', 'open-device'],
  }),
  detach: call({
    on: 'container',
    args: { device: Id },
    answer: Attached,
    of: ['close-device', 'unset-container', 'close-group'],
  }),
};
