/** What the operation request block of a START says, as far as the driver and the channel look at it. */
export interface Orb {
  /** Channel program address: guest-physical, 32 bits. */
  readonly cpa: number;
  /** Format of the CCWs. */
  readonly fmt: 0 | 1;
  /** The program may be prefetched; vfio-ccw does so anyway. */
  readonly pfch: boolean;
  /** A CCW with the suspend flag suspends the program (otherwise it is a program check). */
  readonly spnd: boolean;
  /** IDAWs are of format 2 (64 bits), not of format 1. */
  readonly c64: boolean;
  /** IDAWs of format 2 are for 2 KiB each, not 4. */
  readonly i2k: boolean;
  /** Transport mode. */
  readonly b: boolean;
}

/** What a START has that says nothing else. */
export const DEFAULT_ORB: Omit<Orb, 'cpa'> = {
  fmt: 1,
  pfch: true,
  spnd: true,
  c64: true,
  i2k: false,
  b: false,
};

/** Whether IDAWs are for 2 KiB (idal_is_2k). */
export function idalIs2k({ c64, i2k }: Orb): boolean {
  return !c64 || i2k;
}
