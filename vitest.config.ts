import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // Their packages are installed by `npm run test:adapters` and `npm run test:unleash`.
    exclude: ['test/adapters/**', 'test/unleash/**'],
    globalSetup: ['test/support/shared-postgres.ts', 'test/support/compile-cache.ts'],
    // Files start real processes; the machines that run this have two cores.
    maxWorkers: 2,
    // A test that waits fails by what it waits for, which says what is missing; these limits come after that.
    testTimeout: 120_000,
    hookTimeout: 180_000,
  },
});
