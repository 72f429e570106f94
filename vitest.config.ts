import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** The files that take minutes or tens of seconds, longest first: begun last, one of them is all that runs for minutes. */
const LONGEST = [
  'test/conformance/http.test.ts',
  'test/trace/trace.test.ts',
  'test/newcomer/first-hour.test.ts',
  'test/snapshot/recordings.test.ts',
  'test/conformance/core.test.ts',
  'test/run/command.test.ts',
  'test/process/main.test.ts',
];

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification) => {
      const at = LONGEST.findIndex((file) => moduleId.endsWith(file));
      return at < 0 ? LONGEST.length : at;
    };
    return (await super.sort(files)).sort((a, b) => rank(a) - rank(b));
  }
}

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    pool: 'threads',
    // Every core: the default leaves one of them free, which is half of a machine with two.
    maxWorkers: '100%',
    sequence: { sequencer: LongestFirst },
    globals: false,
    testTimeout: 180_000,
    // A service is built before each test: on a busy machine that takes its time too.
    hookTimeout: 180_000,
    coverage: {
      provider: 'v8',
      include: ['src/**/*.ts', 'routes/**/*.ts', 'schemas/**/*.ts'],
      reporter: ['text', 'html', 'lcov'],
    },
  },
});
