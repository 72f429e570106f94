/** Goes through work that stops now and then: how often it did, and what it came to. */
export function through<T>(work: Generator<void, T>): { stops: number; value: T } {
  for (let stops = 0; ; stops++) {
    const { done, value } = work.next();
    if (done) return { stops, value };
  }
}
