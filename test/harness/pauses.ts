/** Pauses wherever it may; the test goes on by hand. */
export const ALWAYS = { begin() {}, isDue: () => true, later() {} };
