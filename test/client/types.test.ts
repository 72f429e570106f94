import { describe, expectTypeOf, test } from 'vitest';
import type {
  Address,
  CallAnswer,
  CallInput,
  ContainerHandle,
  DeviceHandle,
  VfioHostClient,
} from '../../src/client/index.ts';

describe('the types of calls', () => {
  test('an address is a bigint, a string or a number', () => {
    expectTypeOf<CallInput<'map-dma'>['iova']>().toEqualTypeOf<Address>();
    expectTypeOf<NonNullable<CallInput<'unmap-dma'>['pageSize']>>().toEqualTypeOf<Address>();
    expectTypeOf<CallInput<'set-memlock'>['bytes']>().toEqualTypeOf<Address>();
  });

  test('nothing else is a bigint', () => {
    expectTypeOf<CallInput<'pin-pages'>['npage']>().toEqualTypeOf<number>();
    expectTypeOf<CallInput<'write-memory'>['data']>().toEqualTypeOf<string>();
    expectTypeOf<CallInput<'add-fault'>['nth']>().toEqualTypeOf<number | undefined>();
  });

  test('flags are names or a number', () => {
    expectTypeOf<CallInput<'map-dma'>['flags']>().toEqualTypeOf<number | ('read' | 'write' | 'vaddr')[]>();
  });

  test('a method takes its call’s arguments', () => {
    expectTypeOf<ContainerHandle['mapDma']>().parameter(0).toEqualTypeOf<CallInput<'map-dma'>>();
    expectTypeOf<DeviceHandle['pinPages']>().parameter(0).toEqualTypeOf<CallInput<'pin-pages'>>();
    expectTypeOf<Parameters<VfioHostClient['openContainer']>[0]>().toEqualTypeOf<
      CallInput<'open-container'> | undefined
    >();
  });

  test('an answer is what its schema says', () => {
    expectTypeOf<CallAnswer<'map-dma'>['iova']>().toEqualTypeOf<string>();
    expectTypeOf<CallAnswer<'pin-pages'>['pages']>().toEqualTypeOf<{ iova: string; pfn: string }[]>();
    expectTypeOf<CallAnswer<'ccw-run-work'>['ran']>().toEqualTypeOf<boolean>();
    expectTypeOf<CallAnswer<'set-iommu'>>().not.toHaveProperty('iova');
    expectTypeOf<ContainerHandle['unmapDma']>().returns.resolves.toEqualTypeOf<CallAnswer<'unmap-dma'>>();
  });

  test('an object has the calls that are made on it, and no other', () => {
    expectTypeOf<ContainerHandle>().toHaveProperty('mapDma');
    expectTypeOf<ContainerHandle>().not.toHaveProperty('pinPages');
    expectTypeOf<VfioHostClient>().not.toHaveProperty('mapDma');
  });
});
