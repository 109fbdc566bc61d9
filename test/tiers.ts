import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** `npm test` runs the quick tier, `npm run test:system` the system tier. Every test file is in exactly one. */
export type Tier = 'quick' | 'system';

export const ROOT = join(import.meta.dirname, '..');

/** Folders whose tests are quick unless they are listed below; the tests of every other folder are in the system tier. */
const QUICK_FOLDERS = ['test/unit/', 'test/integration/', 'test/accept/'];

/** Tests of quick folders that take longer than `npm test` may. */
export const SYSTEM_FILES: readonly string[] = [
  'test/unit/engine/guard/windows-simulation.test.ts',
  'test/integration/backup-targets.test.ts',
  'test/integration/backends/embedding-line.test.ts',
  'test/integration/backup.test.ts',
  'test/integration/frontends/zmq-hand-over.test.ts',
  'test/integration/guard/latch-in-every-replica.test.ts',
  'test/integration/large-comparisons.test.ts',
  'test/integration/orchestrator/adversaries.test.ts',
  'test/integration/orchestrator/cache-hammer.test.ts',
  'test/integration/orchestrator/embeddings-models.test.ts',
  'test/integration/orchestrator/keys-command.test.ts',
  'test/integration/orchestrator/process.test.ts',
  'test/integration/orchestrator/upkeep.test.ts',
  'test/integration/sandbox/session-lifetime.test.ts',
  'test/integration/storage/full-disk.test.ts',
  'test/integration/storage/pglite-folder.test.ts',
];

/** Tests of other folders that every commit needs. */
export const QUICK_FILES: readonly string[] = [
  'test/bench/verdict-judge.test.ts',
  'test/chaos/judge.test.ts',
  'test/e2e/an-acknowledged-write-survives-a-crash.test.ts',
  'test/e2e/every-stage-keeps-its-promise.test.ts',
  'test/e2e/replies-are-relayed-byte-for-byte.test.ts',
  'test/e2e/the-desk-requires-a-token.test.ts',
  'test/sim/final-check.test.ts',
  'test/sim/journal-contract.test.ts',
  'test/sim/late-check.test.ts',
  'test/sim/simulation.test.ts',
];

/** Tests with packages of their own: `npm run test:adapters` and `npm run test:unleash` run them. */
export const OWN_PACKAGES = ['test/adapters/**', 'test/unleash/**'];

/** What a quick file imports to leave a part of its cases to the system tier. */
const REPEATS = /\b(?:DATABASES|casesOfTier)\b/;

export function tierOf(file: string): Tier {
  if (QUICK_FILES.includes(file)) return 'quick';
  if (SYSTEM_FILES.includes(file)) return 'system';
  const isAtTop = /^test\/[^/]+$/.test(file);
  return isAtTop || QUICK_FOLDERS.some((folder) => file.startsWith(folder)) ? 'quick' : 'system';
}

/** Every test file, as a path from the root. */
export function testFiles(): readonly string[] {
  return globSync('test/**/*.test.ts', { cwd: ROOT, exclude: OWN_PACKAGES }).toSorted();
}

/** Whether the system tier runs the file once more, for the cases that the quick tier leaves out. */
function isRepeated(file: string): boolean {
  return tierOf(file) === 'quick' && REPEATS.test(readFileSync(join(ROOT, file), 'utf8'));
}

/** A unit test starts nothing: many of them share one thread and the code that it has loaded. */
const isUnit = (file: string): boolean => /^test\/(?:unit\/|[^/]+$)/.test(file);

export interface Groups {
  /** Quick tests that start nothing. */
  readonly unit: readonly string[];
  /** The other quick tests. */
  readonly quick: readonly string[];
  /** Quick tests, once more for the cases that the quick tier leaves out. */
  readonly rest: readonly string[];
  readonly system: readonly string[];
}

/** The test files by the vitest project that runs them. */
export function groupsOf(files: readonly string[]): Groups {
  const quick = files.filter((file) => tierOf(file) === 'quick');
  return {
    unit: quick.filter(isUnit),
    quick: quick.filter((file) => !isUnit(file)),
    rest: quick.filter(isRepeated),
    system: files.filter((file) => tierOf(file) === 'system'),
  };
}
