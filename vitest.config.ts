import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    pool: 'threads',
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
