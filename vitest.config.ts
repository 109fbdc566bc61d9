import { defineConfig } from 'vitest/config';
import { LongestFirst } from './test/system/longest-first.ts';
import { groupsOf, OWN_PACKAGES, testFiles, type Groups } from './test/tiers.ts';

// `npm run coverage`: Node itself loads what is tested, so that V8's counts are of the source, and each worker reports them.
const isCounted = process.env['NODE_V8_COVERAGE'] !== undefined;

// Another order may be asked for on the command line: `npm run test:system -- --times N` shuffles.
const isShuffled = process.argv.some((argument) => argument.startsWith('--sequence.shuffle'));

const GROUPS = groupsOf(testFiles());

/** @param cases which cases of a table the project runs, see test/support/tier.ts */
const project = (name: keyof Groups, cases: 'quick' | 'rest' | 'all', more = {}) => ({
  extends: true as const,
  test: {
    name,
    include: [...GROUPS[name]],
    env: { CROSSFADE_TEST_CASES: cases },
    ...more,
  },
});

export default defineConfig({
  test: {
    exclude: OWN_PACKAGES,
    globalSetup: ['test/support/shared-postgres.ts', 'test/support/compile-cache.ts'],
    ...(isCounted && {
      experimental: { viteModuleRunner: false },
      setupFiles: ['test/coverage/setup.ts'],
    }),
    // Files start real processes; the machines that run this have two cores.
    maxWorkers: 2,
    ...(!isShuffled && { sequence: { sequencer: LongestFirst } }),
    // A test that waits fails by what it waits for, which says what is missing; these limits come after that.
    testTimeout: 120_000,
    hookTimeout: 180_000,
    // `npm test` is the first two, `npm run test:system` the others; a file that is named runs in each of its projects.
    projects: [
      project('unit', 'quick', { pool: isCounted ? 'forks' : 'threads', isolate: false }),
      project('quick', 'quick'),
      project('rest', 'rest'),
      project('system', 'all'),
    ],
  },
});
