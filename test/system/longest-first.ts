import { relative } from 'node:path';
import { BaseSequencer, type TestSpecification } from 'vitest/node';
import { ROOT } from '../tiers.ts';

/** Files that take minutes, the longest first: one of them that begins last would run alone at the end. */
const LONGEST = [
  'test/fuzz/fuzz.test.ts',
  'test/e2e/a-hanging-orchestrator-harms-no-agent.test.ts',
  'test/integration/orchestrator/naughty-actions.test.ts',
  'test/e2e/an-acknowledged-write-survives-a-crash.test.ts',
  'test/e2e/the-quick-start-works.test.ts',
];

/** Starts the longest files first, because a fresh clone knows no durations. */
export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    const placeOf = ({ moduleId }: TestSpecification): number => {
      const place = LONGEST.indexOf(relative(ROOT, moduleId));
      return place < 0 ? LONGEST.length : place;
    };
    return sorted.toSorted((a, b) => placeOf(a) - placeOf(b));
  }
}
