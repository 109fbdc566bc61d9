import deepEqual from 'fast-deep-equal';
import jsonPatch from 'fast-json-patch';
import microdiff from 'microdiff';
import type { ComparisonRule } from '../../src/domain/comparison.ts';
import { compareReplies, type Judgement } from '../../src/engine/compare/compare-replies.ts';
import {
  alteredPairs,
  defectivePairs,
  identicalPairs,
  timestampPairs,
  TIMESTAMP_RULES,
  TWENTY_RULES,
  type BenchPair,
} from './compare-replies.ts';

export interface Contender {
  readonly name: string;
  readonly pairs: readonly BenchPair[];
  readonly run: (pair: BenchPair) => unknown;
}

/** Contenders that are given the same pairs, or as good as the same. */
export interface Case {
  readonly name: string;
  readonly contenders: readonly Contender[];
}

const parsed = (text: string): unknown => JSON.parse(text);
const crossfade =
  (rules: readonly ComparisonRule[]) =>
  ({ legacy, orchestrator }: BenchPair): Judgement =>
    compareReplies({ legacy, orchestrator, rules });
/** With the shapes, digests and likely causes of what differs: made when somebody looks, for the few differences that are kept. */
const described = (rules: readonly ComparisonRule[]) => {
  const judge = crossfade(rules);
  return (pair: BenchPair): unknown => judge(pair).comparison.differences;
};

/** Every contender gets texts and parses them itself: a proxy has nothing else in its hands. */
function others(pairs: readonly BenchPair[]): Contender[] {
  return [
    {
      name: 'fast-json-patch',
      pairs,
      run: ({ legacy, orchestrator }) =>
        jsonPatch.compare(parsed(legacy) as object, parsed(orchestrator) as object),
    },
    {
      name: 'microdiff',
      pairs,
      run: ({ legacy, orchestrator }) => microdiff(parsed(legacy) as object, parsed(orchestrator) as object),
    },
  ];
}

export async function cases(): Promise<Case[]> {
  const [same, timestamps, altered, defective] = await Promise.all([
    identicalPairs(),
    timestampPairs(),
    alteredPairs(),
    defectivePairs(),
  ]);
  // It would end at the first timestamp: it gets replies without a difference, and looks at all of them.
  const equal: Contender = {
    name: 'fast-deep-equal',
    pairs: same,
    run: ({ legacy, orchestrator }) => deepEqual(parsed(legacy), parsed(orchestrator)),
  };
  const ours = (pairs: readonly BenchPair[]): Contender[] => [
    { name: 'crossfade', pairs, run: crossfade(TWENTY_RULES) },
    { name: 'crossfade, described', pairs, run: described(TWENTY_RULES) },
  ];
  return [
    {
      name: 'ignored timestamps',
      contenders: [
        { name: 'crossfade', pairs: timestamps, run: crossfade(TIMESTAMP_RULES) },
        equal,
        ...others(timestamps),
      ],
    },
    {
      name: 'three altered texts',
      contenders: [...ours(altered), ...others(altered)],
    },
    {
      name: 'three defects, own clocks',
      contenders: [...ours(defective), ...others(defective)],
    },
  ];
}
