import { expect, test } from 'vitest';
import { compareLane, itemOf } from './final-check.ts';
import { Effects, markOf } from './legacy/effects.ts';
import { Violations } from './violations.ts';

type Written = number | 'same';

interface Case {
  readonly title: string;
  readonly legacy: readonly Written[];
  readonly orchestrator: readonly Written[];
  readonly lost?: readonly number[];
  /** Those that legacy has once more. */
  readonly left?: readonly number[];
  readonly forgotten?: readonly number[];
  readonly broken: readonly string[];
}

const CASES: readonly Case[] = [
  {
    title: 'accepts an item that was written again after its equal was lost',
    legacy: [15, 'same', 27],
    orchestrator: ['same', 12, 13, 15, 'same', 27],
    lost: [12, 13],
    broken: [],
  },
  {
    title: 'accepts equal items before and after those that were lost',
    legacy: ['same', 1, 4, 'same'],
    orchestrator: ['same', 1, 2, 'same', 3, 4, 'same'],
    lost: [2, 3],
    broken: [],
  },
  {
    title: 'finds numbered items in another order beside lost ones',
    legacy: [15, 'same', 27],
    orchestrator: [12, 27, 'same', 15],
    lost: [12],
    broken: ['I3'],
  },
  {
    title: 'finds equal items in another order beside lost ones',
    legacy: [15, 'same', 27],
    orchestrator: ['same', 12, 15, 27, 'same'],
    lost: [12],
    broken: ['I3'],
  },
  {
    title: 'takes the oldest of equal items for forgotten where none was lost',
    legacy: [2, 'same', 3],
    orchestrator: [1, 2, 'same', 3, 1],
    forgotten: [1],
    broken: [],
  },
  {
    title: 'finds the newest of equal items forgotten where none was lost',
    legacy: [1, 2, 3],
    orchestrator: [1, 2, 3, 1],
    forgotten: [1],
    broken: ['I3'],
  },
  {
    title: 'accepts the one that was lost of two equal items',
    legacy: [1, 2],
    orchestrator: [1, 2, 1],
    lost: [1],
    left: [1],
    broken: [],
  },
  {
    title: 'finds one more of two equal items than was lost',
    legacy: [1, 2],
    orchestrator: [1, 2, 1, 1],
    lost: [1],
    left: [1],
    broken: ['I4'],
  },
  {
    title: 'finds another order where none was lost',
    legacy: [1, 'same', 2],
    orchestrator: ['same', 1, 2],
    broken: ['I3'],
  },
];

function listOf(written: readonly Written[]) {
  return written.map((one) => itemOf({ text: one === 'same' ? 'the same' : markOf(one) }));
}

test.for(CASES)('the order of a lane: $title', ({ legacy, orchestrator, lost, left, forgotten, broken }) => {
  const effects = new Effects();
  if (lost !== undefined) effects.lose('o1', lost, left ?? []);
  for (const number of forgotten ?? []) effects.forgotten.add(number);
  const violations = new Violations();
  compareLane(
    { lane: 'jarvis-memory/o1', legacy: listOf(legacy), orchestrator: listOf(orchestrator), effects },
    violations,
  );
  expect(violations.all.map(({ invariant }) => invariant)).toEqual(broken);
});
