import { type TLiteral, type TObject, type TProperties, type TSchema, Type } from '@sinclair/typebox';
import { closedObject } from '../values.ts';

/** The thread's proposal, for a driver of any type: its dma_unmap is a BUG_ON(1). */
const AnyDriver = { bugOnInvalidation: Type.Optional(Type.Boolean()) };

/** A call that one model's devices have besides the kernel's: what its guest or its hardware does. */
export interface DriverCallSchema {
  /** What it does, for whoever has not read the driver. */
  readonly about: string;
  readonly args: TObject;
  /** Fields of its answer on success; absent where there is nothing to say. */
  readonly answer?: TProperties;
  /** Functions between user space (or a thread) and VFIO, innermost first, as a console shows them. */
  readonly stack?: readonly string[];
}

/** Everything of a driver model that clients see. */
export interface DriverSchemas {
  /** What create-device takes: an object whose `type` names the model. */
  readonly config: TSchema & { readonly properties: { readonly type: TLiteral<string> } };
  readonly calls: Readonly<Record<string, DriverCallSchema>>;
  /** What its devices do within any call, in the call's answer besides what all calls have. */
  readonly effects?: TProperties;
  /** Fields of its calls' answers that a trace's expectations have, besides those of the kernel's calls. */
  readonly expected?: TProperties;
  /** Fields of a device's state that a trace's expectations have, under `devices`. */
  readonly shown?: readonly string[];
  /** Fields that a trace's expectations have besides the devices: what else of the model is seen after each step. */
  readonly observed?: TProperties;
  /** What all its devices of a host share, as a snapshot has it. */
  readonly host?: TSchema;
  /** Calls on the host that the model brings along. */
  readonly hostCalls?: Readonly<Record<string, DriverCallSchema>>;
  /** What the driver remembers, as a snapshot has it; null where that is nothing. */
  readonly state: TSchema | null;
}

/** Arguments of a call; nothing but them. */
export const args = <T extends TProperties>(properties: T) => closedObject(properties);

/** Configuration of a model. */
export const config = <N extends string, T extends TProperties>(type: N, properties: T) =>
  Type.Object(
    { type: Type.Literal(type), ...properties, ...AnyDriver },
    { additionalProperties: false, title: `${type} driver` },
  );
