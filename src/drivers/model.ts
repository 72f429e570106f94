import type { Static, TSchema } from '@sinclair/typebox';
import type { DriverSchemas } from '../../schemas/drivers/model.ts';
import type { SavedLock } from '../../schemas/saved.ts';
import type { DriverApi, DriverTask, MdevDriver } from '../kernel/driver.ts';
import type { Errno } from '../kernel/errno.ts';
import type { DriverKernels } from '../kernel/generations/generation.ts';
import type { Lock } from '../kernel/lock.ts';
import type { Splat } from '../kernel/splats.ts';
import type { KernelStep } from '../kernel/task.ts';
import type { ListOf } from '../kernel/vfio/container.ts';

/** What a call of a model answers: an errno, or the fields of the answer. */
export type DriverAnswer = Errno | Record<string, unknown>;

/** Why a call cannot even be made: in words, or what there would be too many of. */
export type Broken = string | { readonly tooMany: string; readonly most: number };

/**
 * `file`: a call goes through the device file, EBADF without one. `guest`: it reaches the driver whatever its
 * device file does (an instruction KVM intercepts, the hardware itself, the test rig).
 */
type Way = 'file' | 'guest';

export const throughFile = (): Way => 'file';
export const throughGuest = (): Way => 'guest';

/** A call that only the devices of one model have. */
export interface DriverCall<D extends MdevDriver = MdevDriver, A = object> {
  way(args: A): Way;
  /** A rule about the arguments that no schema can say; null: it is kept. */
  check?(driver: D, args: A): Broken | null;
  run(driver: D, api: DriverApi, args: A): KernelStep<DriverAnswer>;
}

/** A part of a driver, with eras of its own. */
interface ModelPart {
  readonly type: keyof DriverKernels;
  readonly eras: Readonly<Record<string, object>>;
}

/** What all devices of a model share on a host. */
export interface ModelHost {
  /** Deferred work has time. */
  idle?(devices: Pick<DriverApi, 'forDevice'>): KernelStep<unknown>;
  /** Null where it is as on a fresh host. For models whose schemas have a `host`, as restore is. */
  save?(codec: HostCodec, list: ListOf): object | null;
  /** Of a fresh one, from a snapshot that has been checked; before the devices are there. */
  restore?(saved: never): void;
  /**
   * What can be restored only once the devices are there; called also where nothing was saved. It stops now and then.
   *
   * @returns what is wrong, or null
   */
  settle?(drivers: readonly never[], codec: HostCodec): Generator<void, WrongState | null>;
}

/** What a model needs to save and restore what is not its own. */
export interface HostCodec {
  saveLock(lock: Lock): SavedLock;
  /** @param shareable whether readers may hold it together */
  restoreLock(lock: Lock, saved: SavedLock, field: string, shareable: boolean): void;
  /** Refuses more pins than a machine may hold. */
  checkPins(count: number, field: string): void;
}

/** A call on the host that one model has: what happens to the hardware or the guests that its devices share. */
export interface HostCall<H = object, A = object> {
  /** A rule about the arguments that no schema can say; null: it is kept. */
  check?(host: H, args: A): Broken | null;
  run(host: H, task: DriverTask, args: A): KernelStep<DriverAnswer>;
}

/** A driver that a client can give to an mdev: all that the house knows of it is here and in its schemas. */
export interface DriverModel {
  /** The `type` of its configuration. */
  readonly type: string;
  readonly schemas: DriverSchemas;
  /** Its eras by the kernel each was read from; a kernel in between has the one before it. */
  readonly eras: Readonly<Record<string, unknown>>;
  /** Parts of the driver that a comparison of kernels can exchange alone: an era has their fields as well. */
  readonly parts?: readonly ModelPart[];
  /** What all its devices of a host share (the hardware, say), where there is something; made once a host. */
  newHost?(era: unknown): ModelHost;
  /**
   * The driver of a device.
   *
   * @param id the device's
   * @param host what newHost made
   * @returns the errno of the mdev's create, where the driver refuses
   */
  create(config: object, era: unknown, id: string, host: unknown): MdevDriver | Errno;
  readonly calls: Readonly<Record<string, DriverCall>>;
  readonly hostCalls?: Readonly<Record<string, HostCall>>;
  /** What recordings show after each step besides the devices: fields of an expectation. */
  observe?(host: unknown): Readonly<Record<string, unknown>>;
  /** The warnings of its driver's own code, as one era has them; ids are different over all models. */
  splats?(era: unknown): readonly Splat[];
  /** Fields of `state` that can be worked out from the rest: a snapshot leaves them out. */
  readonly derived?: readonly string[];
  /**
   * What the schema of a saved state cannot say; stops now and then.
   *
   * @returns what is wrong, or null
   */
  checkState?(driver: MdevDriver, state: object): Generator<void, WrongState | null>;
  /** How many pins a saved state says that its driver believes in: it may walk them one by one. */
  pinsOf?(state: object): { readonly field: string; readonly count: number };
}

/** A model as its folder writes it: with the types of its schemas, its driver and its eras. */
export interface Model<
  S extends DriverSchemas,
  D extends MdevDriver = MdevDriver,
  E = null,
  H extends ModelHost | undefined = undefined,
> {
  readonly type: Static<S['config']['properties']['type']>;
  readonly schemas: S;
  readonly eras: Readonly<Record<string, E>>;
  readonly parts?: readonly ModelPart[];
  newHost?(era: E): NonNullable<H>;
  create(config: Static<S['config']>, era: E, id: string, host: H): D | Errno;
  readonly calls: {
    readonly [N in keyof S['calls'] & string]: DriverCall<D, Static<S['calls'][N]['args']>>;
  };
  readonly hostCalls?: {
    readonly [N in keyof S['hostCalls'] & string]: HostCall<
      H,
      NonNullable<S['hostCalls']>[N] extends { args: infer A extends TSchema } ? Static<A> : never
    >;
  };
  observe?(host: H): Readonly<Record<string, unknown>>;
  splats?(era: E): readonly Splat[];
  readonly derived?: readonly string[];
  checkState?(driver: D, state: StateOf<S>): Generator<void, WrongState | null>;
  pinsOf?(state: StateOf<S>): { readonly field: string; readonly count: number };
}

type StateOf<S extends DriverSchemas> = S['state'] extends TSchema ? Static<S['state']> : object;

/** A path below a saved state, and the rule that the value there breaks. */
export interface WrongState {
  readonly field: string;
  readonly rule: string;
}

/** For a model that is the same on every kernel. */
export const ONE_ERA: Readonly<Record<string, null>> = { '0': null };

/**
 * The era that a kernel has: of those read, the newest that is not newer. A model that is of no driver of the
 * kernel's tree has one.
 */
export function eraOf<E>(
  { type, eras }: { type: string; eras: Readonly<Record<string, E>> },
  drivers: DriverKernels,
): E {
  const version = Object.entries(drivers).find(([model]) => model === type)?.[1] ?? '0';
  const known = Object.keys(eras).filter((from) => !isBefore(version, from));
  if (known.length === 0) throw new Error(`${type} has no era for Linux ${version}`);
  return eras[known.reduce((newest, from) => (isBefore(newest, from) ? from : newest))]!;
}

/** Items of a saved state's list that are looked at in one go. */
export const AT_ONCE = 256;

/** Checks that a list of a saved state is in ascending order of these keys. */
export function* notAscending(
  field: string,
  keys: Iterable<bigint | number>,
): Generator<void, WrongState | null> {
  let last: bigint | number | null = null;
  let i = 0;
  for (const key of keys) {
    if (last !== null && key <= last) {
      return { field: `${field}/${i}`, rule: 'must come after the one before it' };
    }
    last = key;
    if (++i % AT_ONCE === 0) yield;
  }
  return null;
}

/** Whether release a is older than b. */
function isBefore(a: string, b: string): boolean {
  const [major = 0, minor = 0] = a.split('.').map(Number);
  const [otherMajor = 0, otherMinor = 0] = b.split('.').map(Number);
  return major < otherMajor || (major === otherMajor && minor < otherMinor);
}
