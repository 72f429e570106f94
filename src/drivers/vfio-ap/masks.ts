/** A set of adapters or of domains, as the kernel's bitmaps with inverted bit numbers: walked upwards. */
export class ApMask {
  private readonly bits = new Set<number>();

  constructor(numbers: Iterable<number> = []) {
    for (const number of numbers) this.bits.add(number);
  }

  /** set_bit_inv. */
  set(number: number): void {
    this.bits.add(number);
  }
  /** clear_bit_inv. */
  clear(number: number): void {
    this.bits.delete(number);
  }
  /** test_bit_inv. */
  has(number: number): boolean {
    return this.bits.has(number);
  }
  get empty(): boolean {
    return this.bits.size === 0;
  }

  /** bitmap_and. */
  and(other: ApMask): ApMask {
    return new ApMask([...this.bits].filter((number) => other.has(number)));
  }
  /** bitmap_andnot. */
  andNot(other: ApMask): ApMask {
    return new ApMask([...this.bits].filter((number) => !other.has(number)));
  }
  /** bitmap_intersects. */
  intersects(other: ApMask): boolean {
    return !this.and(other).empty;
  }
  /** bitmap_equal. */
  equals(other: ApMask): boolean {
    return this.bits.size === other.bits.size && this.andNot(other).empty;
  }
  /** for_each_set_bit_inv. */
  list(): number[] {
    return [...this.bits].sort((a, b) => a - b);
  }
}

/** struct ap_matrix: adapters and domains; the queues are those of each adapter in each domain. */
export class ApMatrix {
  constructor(
    public apm: ApMask = new ApMask(),
    public aqm: ApMask = new ApMask(),
  ) {}

  /** The matrix that a list of queues spans. */
  static of(apqns: readonly number[]): ApMatrix {
    return new ApMatrix(new ApMask(apqns.map(adapterOf)), new ApMask(apqns.map(domainOf)));
  }

  has(apqn: number): boolean {
    return this.apm.has(adapterOf(apqn)) && this.aqm.has(domainOf(apqn));
  }
  equals(other: ApMatrix): boolean {
    return this.apm.equals(other.apm) && this.aqm.equals(other.aqm);
  }
  /** Its queues, ascending. */
  apqns(): number[] {
    const domains = this.aqm.list();
    return this.apm.list().flatMap((apid) => domains.map((apqi) => mkqid(apid, apqi)));
  }
}

/** A matrix of its own with the same bits. */
export function copy({ apm, aqm }: ApMatrix): ApMatrix {
  return new ApMatrix(new ApMask(apm.list()), new ApMask(aqm.list()));
}

/** AP_MKQID. */
export function mkqid(apid: number, apqi: number): number {
  return (apid << 8) | apqi;
}
/** AP_QID_CARD. */
export function adapterOf(apqn: number): number {
  return apqn >> 8;
}
/** AP_QID_QUEUE. */
export function domainOf(apqn: number): number {
  return apqn & 0xff;
}
