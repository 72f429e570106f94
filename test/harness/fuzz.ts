/** How long a property may run, unless FC_TIME (milliseconds) says otherwise. */
const TIME_LIMIT_MS = 4000;

/**
 * fast-check parameters for a property that runs as long as it may: FC_SEED and FC_PATH (both are in the
 * report of a failure) run it again, FC_TIME makes it longer. Prints the seed.
 */
export function fuzz(name: string, timeLimitMs: number = TIME_LIMIT_MS) {
  const { FC_SEED, FC_PATH, FC_TIME } = process.env;
  const seed = FC_SEED === undefined ? (Date.now() ^ (Math.random() * 2 ** 31)) | 0 : Number(FC_SEED);
  const limit = FC_TIME === undefined ? timeLimitMs : Number(FC_TIME);
  console.log(`${name}: FC_SEED=${seed}`);
  return {
    seed,
    ...(FC_PATH === undefined ? {} : { path: FC_PATH }),
    numRuns: 1_000_000,
    interruptAfterTimeLimit: limit,
    markInterruptAsFailure: false,
  };
}
