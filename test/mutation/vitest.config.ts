import { defineConfig } from 'vitest/config';

/** The tests that hold the kernel and the drivers: those that start no process and compile nothing. */
export default defineConfig({
  test: {
    include: [
      'test/{kernel,model,iommufd,refusals,exhaustive,drivers}/**/*.test.ts',
      'test/conformance/core.test.ts',
    ],
    pool: 'threads',
    testTimeout: 180_000,
  },
});
