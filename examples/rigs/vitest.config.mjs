// Only because a folder above has tests of its own: vitest would take its configuration.
export default { test: { include: ['*.test.mjs'], testTimeout: 60_000 } };
