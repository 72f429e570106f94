import type { SubchannelState } from '../../../schemas/drivers/vfio-ccw.ts';
import {
  type Ccw,
  COMMAND_NOP,
  COMMAND_SENSE,
  COMMAND_SENSE_ID,
  COMMAND_TIC,
  FLAG_COMMAND_CHAINING,
  FLAG_DATA_CHAINING,
  FLAG_MIDA,
  FLAG_SUPPRESS_LENGTH,
  FLAG_SUSPEND,
} from './ccw.ts';

/** Function control, activity control and status control of a subchannel status word, as the kernel has them. */
const FCTL_CLEAR = 0x1;
const FCTL_HALT = 0x2;
const FCTL_START = 0x4;
const ACTL_SUSPENDED = 0x01;
const ACTL_DEVICE_ACTIVE = 0x02;
const ACTL_SUBCHANNEL_ACTIVE = 0x04;
const ACTL_START_PENDING = 0x20;
const STCTL_STATUS_PENDING = 0x01;
const STCTL_SECONDARY = 0x02;
const STCTL_PRIMARY = 0x04;
const STCTL_ALERT = 0x10;

const CHANNEL_END = 0x08;
const DEVICE_END = 0x04;
const UNIT_CHECK = 0x02;
const PROGRAM_CHECK = 0x20;

/** The only path. */
const PATH = 0x80;
/** CCWs that a channel executes before it counts as one that never ends. */
const CCWS_MAX = 4096;
const SENSE_SIZE = 32;
const SENSE_ID_SIZE = 256;

/** Condition code of an instruction: 0 done, 1 status pending, 2 busy, 3 not operational. */
export type ConditionCode = 0 | 1 | 2 | 3;

/** A subchannel status word, as far as it matters. */
export interface Scsw {
  fctl: number;
  actl: number;
  stctl: number;
  deviceStatus: number;
  subchannelStatus: number;
  /** Residual count, bytes. */
  count: number;
  /** Deferred condition code. */
  cc: number;
}

const IDLE: Readonly<Scsw> = {
  fctl: 0,
  actl: 0,
  stctl: 0,
  deviceStatus: 0,
  subchannelStatus: 0,
  count: 0,
  cc: 0,
};

/** A channel program as the hardware gets it: translated, of format 1. */
export interface HardwareProgram {
  /** The CCW at a place; null where there is none. */
  at(segment: number, index: number): Ccw | null;
  /** The place a TIC leads to. */
  target(cda: number): { readonly segment: number; readonly index: number } | null;
}

/**
 * A subchannel with its device, as the recordings had them: the channel subsystem of QEMU 7.2, which runs a
 * program within SSCH, and a device that knows no command but NOP, SENSE and SENSE ID. A program stays where a CCW
 * has the suspend flag.
 */
export class Subchannel {
  /** PMCW, enabled. */
  enabled: boolean;
  /** Logical path mask as the kernel keeps it: paths that were found not operational are gone for good. */
  lpm = PATH;
  /** Whether the kernel is taking it away (SCH_TODO_UNREG); `done` once it has begun. */
  unregistering: 'no' | 'scheduled' | 'done' = 'no';
  scsw: Scsw = { ...IDLE };

  constructor(
    /** Its number in the channel subsystem, from 0. */
    public number: number,
    enabled: boolean,
  ) {
    this.enabled = enabled;
  }

  /** As `0.0.0000`. */
  get name(): string {
    return `0.0.${this.number.toString(16).padStart(4, '0')}`;
  }

  /** Whether a function is in progress. */
  get busy(): boolean {
    return this.scsw.fctl !== 0;
  }

  get statusPending(): boolean {
    return (this.scsw.stctl & STCTL_STATUS_PENDING) !== 0;
  }

  /** START SUBCHANNEL. */
  ssch(program: HardwareProgram, suspendAllowed: boolean, lpm: number): ConditionCode {
    if (!this.enabled) return 3;
    if (this.statusPending) return 1;
    if (this.busy) return 2;
    this.scsw = { ...IDLE, fctl: FCTL_START };
    if ((lpm & PATH) === 0) {
      // Deferred condition code 3: no path (finding 3 of the recordings).
      Object.assign(this.scsw, {
        actl: ACTL_START_PENDING,
        stctl: STCTL_ALERT | STCTL_STATUS_PENDING,
        cc: 3,
      });
      return 0;
    }
    Object.assign(this.scsw, execute(program, suspendAllowed));
    return 0;
  }

  /** HALT SUBCHANNEL. */
  hsch(): ConditionCode {
    if (!this.enabled) return 3;
    if (this.statusPending) return 1;
    const { fctl, actl } = this.scsw;
    if (fctl & (FCTL_HALT | FCTL_CLEAR)) return 2;
    const suspended = (actl & ACTL_SUSPENDED) !== 0;
    const deviceStatus = suspended ? 0 : DEVICE_END;
    this.scsw = {
      ...IDLE,
      fctl: FCTL_HALT,
      actl: actl & ACTL_SUSPENDED,
      stctl: STCTL_STATUS_PENDING,
      deviceStatus,
    };
    return 0;
  }

  /** CLEAR SUBCHANNEL. */
  csch(): ConditionCode {
    if (!this.enabled) return 3;
    this.scsw = { ...IDLE, fctl: FCTL_CLEAR, stctl: STCTL_STATUS_PENDING };
    return 0;
  }

  /** CANCEL SUBCHANNEL: takes back a start that has not begun, or is suspended; there is no interrupt. */
  xsch(): ConditionCode {
    if (!this.enabled) return 3;
    if (this.statusPending) return 1;
    const { fctl, actl } = this.scsw;
    if (fctl !== FCTL_START || (actl & (ACTL_SUSPENDED | ACTL_START_PENDING)) === 0) return 2;
    this.scsw = { ...IDLE };
    return 0;
  }

  /** MODIFY SUBCHANNEL, which enables or disables it. */
  msch(enabled: boolean): ConditionCode {
    if (this.statusPending) return 1;
    if (this.busy) return 2;
    this.enabled = enabled;
    return 0;
  }

  /** TEST SUBCHANNEL: the status, which is pending no more. */
  tsch(): Scsw {
    const { scsw } = this;
    if (this.statusPending) this.scsw = { ...IDLE };
    return scsw;
  }

  /** Whether nothing of it tells that it was ever used. */
  isAsNew(enabledAtProbe: boolean): boolean {
    const { enabled, lpm, unregistering, busy, statusPending } = this;
    return enabled === enabledAtProbe && lpm === PATH && unregistering === 'no' && !busy && !statusPending;
  }

  save(): SubchannelState {
    const { number, enabled, lpm, unregistering, scsw } = this;
    return { number, enabled, lpm, unregistering, scsw: { ...scsw } };
  }

  restore({ number, enabled, lpm, unregistering, scsw }: SubchannelState): void {
    Object.assign(this, { number, enabled, lpm, unregistering, scsw: { ...scsw } });
  }

  /** The program that is suspended or does not end is resumed and ends well. */
  finish(): void {
    if (this.busy && !this.statusPending) Object.assign(this.scsw, DONE);
  }
}

/** How a status word shows the end of a program. */
type Outcome = Pick<Scsw, 'actl' | 'stctl' | 'deviceStatus' | 'subchannelStatus' | 'count'>;

const ENDED = STCTL_PRIMARY | STCTL_SECONDARY | STCTL_STATUS_PENDING;
const DONE: Outcome = {
  actl: 0,
  stctl: ENDED,
  deviceStatus: CHANNEL_END | DEVICE_END,
  subchannelStatus: 0,
  count: 0,
};
const CHECK: Outcome = {
  actl: 0,
  stctl: ENDED | STCTL_ALERT,
  deviceStatus: 0,
  subchannelStatus: PROGRAM_CHECK,
  count: 0,
};
/** The device knows no such command. */
const REJECT: Outcome = { ...CHECK, deviceStatus: UNIT_CHECK, subchannelStatus: 0 };
const SUSPENDED: Outcome = { ...DONE, actl: ACTL_SUSPENDED, stctl: 0, deviceStatus: 0 };
/** A program that goes round. */
const ACTIVE: Outcome = { ...SUSPENDED, actl: ACTL_SUBCHANNEL_ACTIVE | ACTL_DEVICE_ACTIVE };

/** Executes a program as far as it goes. */
function execute(program: HardwareProgram, suspendAllowed: boolean): Outcome {
  let place: { segment: number; index: number } | null = { segment: 0, index: 0 };
  let afterTic = false;
  for (let executed = 0; executed < CCWS_MAX; executed++) {
    const ccw: Ccw | null = place && program.at(place.segment, place.index);
    if (!place || !ccw || isInvalid(ccw)) return CHECK;
    if (ccw.flags & FLAG_SUSPEND) return suspendAllowed ? SUSPENDED : CHECK;
    if (ccw.command === COMMAND_TIC) {
      if (afterTic || ccw.flags !== 0 || ccw.count !== 0) return CHECK;
      place = program.target(ccw.cda);
      afterTic = true;
      continue;
    }
    afterTic = false;
    const outcome = command(ccw);
    if (outcome.stctl !== ENDED || (ccw.flags & FLAG_COMMAND_CHAINING) === 0) return outcome;
    place = { segment: place.segment, index: place.index + 1 };
  }
  return ACTIVE;
}

/** Executes one command. */
function command({ command, flags, count }: Ccw): Outcome {
  if (command === COMMAND_NOP) return DONE;
  if (command !== COMMAND_SENSE && command !== COMMAND_SENSE_ID) return REJECT;
  const size = command === COMMAND_SENSE ? SENSE_SIZE : SENSE_ID_SIZE;
  const checksLength = (flags & FLAG_SUPPRESS_LENGTH) === 0 || (flags & FLAG_DATA_CHAINING) !== 0;
  if (checksLength && count !== size) return CHECK;
  return { ...DONE, count: count - Math.min(count, size) };
}

/** What is a program check whatever the command does. */
function isInvalid({ command, flags }: Ccw): boolean {
  const low = command & 0x0f;
  if (low === 0 || (low === COMMAND_TIC && command !== COMMAND_TIC)) return true;
  return (flags & FLAG_MIDA) !== 0;
}

/** scsw_is_solicited: whether it tells of something the driver has asked for. */
export function isSolicited({ cc, stctl }: Scsw): boolean {
  return cc !== 0 || stctl !== (STCTL_STATUS_PENDING | STCTL_ALERT);
}

/** Whether nothing more comes of it. */
export function isFinal({ actl }: Scsw): boolean {
  return (actl & (ACTL_DEVICE_ACTIVE | ACTL_SUBCHANNEL_ACTIVE)) === 0;
}
