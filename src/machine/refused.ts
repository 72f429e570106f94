/** Why a request is refused, as a front decides what it answers. */
export type RefusalKind =
  | 'invalid'
  | 'unauthorized'
  | 'forbidden'
  | 'not-found'
  | 'conflict'
  | 'too-large'
  | 'misdirected'
  | 'too-many'
  | 'abandoned';

/** Every refusal by its short name, with its kind. */
const REFUSALS = {
  'invalid-request': 'invalid',
  'missing-token': 'unauthorized',
  'foreign-origin': 'forbidden',
  'secrets-need-token': 'forbidden',
  'no-real-memory': 'forbidden',
  'not-found': 'not-found',
  'other-container': 'conflict',
  'calls-under-way': 'conflict',
  'real-memory': 'conflict',
  'too-large': 'too-large',
  'unknown-host': 'misdirected',
  'too-many': 'too-many',
  abandoned: 'abandoned',
} as const satisfies Record<string, RefusalKind>;

/** Short name of a refusal. */
export type RefusalSlug = keyof typeof REFUSALS;

/** Longest words of a refusal, characters: they may name what somebody sent. */
const DETAIL_MAX = 2000;

/** A request that is wrong before any kernel sees it: no errno, but words that say which value broke which rule. */
export class Refused extends Error {
  constructor(
    readonly slug: RefusalSlug,
    /** Which value broke which rule. */
    detail: string,
  ) {
    super(detail.length > DETAIL_MAX ? `${detail.slice(0, DETAIL_MAX)}…` : detail);
  }

  get kind(): RefusalKind {
    return REFUSALS[this.slug];
  }

  /** The same refusal with what it is about in front of its words. */
  within(where: string): Refused {
    return new Refused(this.slug, `${where}: ${this.message}`);
  }

  static badRequest(detail: string): Refused {
    return new Refused('invalid-request', detail);
  }
  static notFound(what: string, id: string): Refused {
    return new Refused('not-found', `there is no ${what} "${id}"`);
  }
  static tooMany(what: string, limit: number): Refused {
    return new Refused('too-many', `there are ${limit} ${what} already, which is the limit`);
  }
  static tooLarge(detail: string): Refused {
    return new Refused('too-large', detail);
  }
}
