import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // Their packages are installed by `npm run test:adapters` and `npm run test:unleash`.
    exclude: ['test/adapters/**', 'test/unleash/**'],
    // Real servers are started per file; the machines that run this have two cores.
    maxWorkers: 2,
    // A hang is found soon enough; a machine that is four times slower than ours must not be taken for one.
    testTimeout: 120_000,
    hookTimeout: 180_000,
  },
});
