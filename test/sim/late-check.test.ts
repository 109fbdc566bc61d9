import { expect, test } from 'vitest';
import type { Comparison, DifferenceClass } from '../../src/domain/comparison.ts';
import type { LaneKey, OperationId, ReplicaId } from '../../src/domain/ids.ts';
import type { Outcome } from '../../src/domain/outcome.ts';
import { newLane, settleOutcome, type LaneRow } from './lane-row.ts';
import { isLateEffect } from './late-check.ts';
import { Effects } from './legacy/effects.ts';

const COPY_BEGAN_MS = 100;

interface Written {
  readonly number: number;
  readonly outcome: Outcome;
  readonly recordedMs?: number;
}

interface Case {
  readonly title: string;
  readonly writes?: readonly Written[];
  readonly executedMs: readonly number[];
  readonly closed?: number;
  readonly settled?: number;
  readonly found?: readonly DifferenceClass[];
  readonly isLate: boolean;
}

const CASES: readonly Case[] = [
  { title: 'an unknown write that legacy stored after the copy', executedMs: [200], isLate: true },
  { title: 'an unknown write that legacy had before the copy', executedMs: [50], isLate: false },
  { title: 'an unknown write that legacy never stored', executedMs: [], isLate: false },
  { title: 'an unknown write after its last copy', executedMs: [200], closed: 1, isLate: false },
  { title: 'an unknown write that no copy has looked for', executedMs: [200], settled: 0, isLate: false },
  {
    title: 'an applied write',
    writes: [{ number: 7, outcome: 'applied' }],
    executedMs: [200],
    isLate: false,
  },
  {
    title: 'an unknown write whose repeat was applied after the copy',
    writes: [
      { number: 7, outcome: 'unknown' },
      { number: 7, outcome: 'applied', recordedMs: 210 },
    ],
    executedMs: [200],
    isLate: false,
  },
  {
    title: 'one late write, of two missing items',
    executedMs: [200],
    found: ['missing_in_orchestrator', 'missing_in_orchestrator'],
    isLate: false,
  },
  {
    title: 'a late write, beside an item that only the orchestrator has',
    executedMs: [200, 210],
    found: ['missing_in_orchestrator', 'extra_in_orchestrator'],
    isLate: false,
  },
];

function laneOf(writes: readonly Written[]): LaneRow {
  const lane = newLane('session-memory/o0' as LaneKey, 1);
  for (const [index, { number, outcome, recordedMs = 60 }] of writes.entries()) {
    const sequence = index + 1;
    lane.writes.set(sequence, {
      laneId: 1,
      lane: lane.key,
      sequence,
      operationId: `op-${sequence}` as OperationId,
      action: 'add_interaction',
      acceptedAtMs: 0,
      request: JSON.stringify({ number }),
      atMs: 0,
      coverage: 1,
      replica: 'r0' as ReplicaId,
      journaledAtMs: 0,
    });
    settleOutcome(lane, { sequence, outcome }, recordedMs);
  }
  return lane;
}

function missing(found: readonly DifferenceClass[]): Comparison {
  const differences = found.map((kind) => ({
    path: 'whole_lane[]',
    class: kind,
    legacy: 'item#1',
    orchestrator: 'absent',
  }));
  return { verdict: 'mismatch', differences, suppressed: 0 };
}

test.for(CASES)(
  'a difference is judged by $title',
  ({ writes, executedMs, closed = 0, settled = 1, found, isLate }) => {
    const lane = laneOf(writes ?? [{ number: 7, outcome: 'unknown' }]);
    lane.settledSequence = settled;
    lane.closedSequence = closed;
    const effects = new Effects();
    for (const atMs of executedMs) {
      effects.stored.add(7);
      effects.executions.push({ number: 7, owner: 'o0', action: 'add_interaction', atMs });
    }
    const comparison = missing(found ?? ['missing_in_orchestrator']);
    expect(isLateEffect(comparison, { lane, effects, copyBeganMs: COPY_BEGAN_MS })).toBe(isLate);
  },
);
