import { type Static, type TProperties, Type } from '@sinclair/typebox';
import { CallbackReturnFields } from './drivers/external.ts';
import { DRIVER_CALL_ARGS, DRIVER_CALL_TARGETS, Driver } from './drivers/index.ts';
import { synthetic } from './drivers/synthetic.ts';
import { FaultFields } from './faults.ts';
import {
  Address64,
  Base64,
  Byte,
  FlagWord,
  Id,
  Int32,
  MAP_FLAGS,
  PROT_FLAGS,
  UInt32,
  UNMAP_FLAGS,
} from './values.ts';

/** Pages of memory one call may touch, as bytes. */
export const MAX_TRANSFER = 16 * 1024 * 1024;

const Length = Type.Integer({
  minimum: 0,
  maximum: MAX_TRANSFER,
  description: `a number of bytes from 0 to ${MAX_TRANSFER}`,
});

const closed = { additionalProperties: false } as const;
const args = <T extends TProperties>(properties: T) => Type.Object(properties, closed);

/** Arguments of every call, without the id of the object it is made on: the one vocabulary of REST, batch, traces and journal. */
export const CALL_ARGS = {
  'create-process': args({ process: Type.Optional(Id) }),
  'add-memory-region': args({ start: Address64, size: Address64, prot: FlagWord(PROT_FLAGS) }),
  'set-memlock': args({
    bytes: Type.Union([...Address64.anyOf, Type.Literal('unlimited')], {
      description: 'a number of bytes (0x… or an integer from 0 to 2^53-1), or "unlimited"',
    }),
  }),
  'fill-memory': args({ vaddr: Address64, length: Length, byte: Byte }),
  'write-memory': args({ vaddr: Address64, data: Base64 }),
  'read-memory': args({ vaddr: Address64, length: Length }),

  'open-container': args({ container: Type.Optional(Id), process: Type.Optional(Id) }),
  'close-container': args({}),
  'set-iommu': args({
    type: Type.Union([Int32, Type.Literal('type1'), Type.Literal('type1v2'), Type.Literal('type1-nesting')], {
      description: '"type1", "type1v2", "type1-nesting", or a 32-bit signed integer',
    }),
  }),
  'check-extension': args({ extension: Int32 }),
  'iommu-info': args({}),
  'map-dma': args({ iova: Address64, vaddr: Address64, size: Address64, flags: FlagWord(MAP_FLAGS) }),
  'unmap-dma': args({
    iova: Address64,
    size: Address64,
    flags: Type.Optional(FlagWord(UNMAP_FLAGS)),
    pageSize: Type.Optional(Address64),
  }),
  'dirty-start': args({}),
  'dirty-stop': args({}),
  'dirty-get': args({ iova: Address64, size: Address64, pageSize: Address64 }),
  'dirty-flags': args({ flags: UInt32 }),

  'create-device': args({
    device: Type.Optional(Id),
    kind: Type.Optional(
      Type.Union([Type.Literal('mdev'), Type.Literal('vfio-pci')], { description: '"mdev" or "vfio-pci"' }),
    ),
    driver: Type.Optional(Driver),
  }),
  'remove-device': args({}),
  'open-group': args({}),
  'close-group': args({}),
  'set-container': args({ container: Id }),
  'unset-container': args({}),
  'group-status': args({}),
  'open-device': args({}),
  'close-device': args({}),
  'pin-pages': args({ iova: Address64, npage: Int32, prot: FlagWord(PROT_FLAGS) }),
  'unpin-pages': args({ iova: Address64, npage: Int32 }),
  'dma-rw': args({
    iova: Address64,
    write: Type.Boolean(),
    length: Type.Optional(Length),
    data: Type.Optional(Base64),
    fill: Type.Optional(Byte),
  }),
  'set-driver': args({ driver: synthetic.config }),
  'resume-callbacks': args({}),
  'complete-callback': args(CallbackReturnFields),
  ...DRIVER_CALL_ARGS,

  sleep: args({
    milliseconds: Type.Integer({ minimum: 0, maximum: 60_000, description: 'an integer from 0 to 60000' }),
  }),
  'set-parameters': args({
    dmaEntryLimit: Type.Optional(
      Type.Integer({ minimum: 0, maximum: 2 ** 22, description: 'an integer from 0 to 4194304' }),
    ),
    panicOnWarn: Type.Optional(Type.Boolean()),
    panicOnOops: Type.Optional(Type.Boolean()),
    warnOnPinnedUnmap: Type.Optional(Type.Boolean()),
  }),
  'add-fault': args(FaultFields),
  'remove-fault': args({}),
} as const;

export type CallName = keyof typeof CALL_ARGS;

/** What a call is made on; its id is an argument of the same name. */
export type CallTarget = 'host' | 'process' | 'container' | 'device' | 'fault';

/** The object each call is made on. */
export const CALL_TARGETS = {
  'create-process': 'host',
  'add-memory-region': 'process',
  'set-memlock': 'process',
  'fill-memory': 'process',
  'write-memory': 'process',
  'read-memory': 'process',
  'open-container': 'host',
  'close-container': 'container',
  'set-iommu': 'container',
  'check-extension': 'container',
  'iommu-info': 'container',
  'map-dma': 'container',
  'unmap-dma': 'container',
  'dirty-start': 'container',
  'dirty-stop': 'container',
  'dirty-get': 'container',
  'dirty-flags': 'container',
  'create-device': 'host',
  'remove-device': 'device',
  'open-group': 'device',
  'close-group': 'device',
  'set-container': 'device',
  'unset-container': 'device',
  'group-status': 'device',
  'open-device': 'device',
  'close-device': 'device',
  'pin-pages': 'device',
  'unpin-pages': 'device',
  'dma-rw': 'device',
  'set-driver': 'device',
  'resume-callbacks': 'device',
  'complete-callback': 'device',
  ...DRIVER_CALL_TARGETS,
  sleep: 'host',
  'set-parameters': 'host',
  'add-fault': 'host',
  'remove-fault': 'fault',
} as const satisfies Readonly<Record<CallName, CallTarget>>;

/** The arguments of call N as validated. */
export type CallArgs<N extends CallName> = Static<(typeof CALL_ARGS)[N]>;

/** A call with its name and, where it has one, the id of its object. */
export type CallObject = { call: string; [argument: string]: unknown };
