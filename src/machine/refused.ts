/** A request that is wrong before any kernel sees it: an HTTP status and words, no errno. */
export class Refused extends Error {
  constructor(
    /** HTTP status: 400, 404, 409, 413, 429 or 503. */
    readonly status: number,
    /** Short name; ends the problem's `type`. */
    readonly slug: string,
    readonly title: string,
    /** Which value broke which rule. */
    detail: string,
  ) {
    super(detail);
  }

  static badRequest(detail: string): Refused {
    return new Refused(400, 'invalid-request', 'Malformed request', detail);
  }
  static notFound(what: string, id: string): Refused {
    return new Refused(404, 'not-found', 'No such resource', `there is no ${what} "${id}"`);
  }
  static tooMany(what: string, limit: number): Refused {
    return new Refused(
      429,
      'too-many',
      'Too many resources',
      `there are ${limit} ${what} already, which is the limit`,
    );
  }
  static tooLarge(detail: string): Refused {
    return new Refused(413, 'too-large', 'Too large', detail);
  }
}
