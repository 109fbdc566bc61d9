import type { Status } from '../../../src/operator/api/status.ts';
import { expect, test } from 'vitest';
import { toldAll } from '../../../src/cli/status.ts';
import { statusWith } from '../../support/desk/status.ts';

const FLAG = { asked: 0, in_effect: 0, reason: 'off' };
const NOTHING_COMPARED = { match: 0, mismatch: 0, not_comparable: 0 };
const QUANTILES = { p50: 1, p95: 2, p99: 3, count: 4 };

function statusOf(service: object): Status {
  const shown = {
    service: 'session-memory',
    stage: 'shadow_read',
    requested_stage: 'shadow_read',
    interlocks: 'enforce',
    flags: { 'read-cutover': FLAG },
    comparisons: { match: 1, mismatch: 0, not_comparable: 0 },
    lane_comparisons: NOTHING_COMPARED,
    lane_percentage: 1,
    not_comparable_by: {},
    no_proof_by: {},
    proofs: 1,
    fallbacks: {},
    shadow_dropped: {},
    latency_ms: { legacy: QUANTILES, orchestrator: QUANTILES },
    reads_by: { legacy: 1, orchestrator: 0 },
    pending: 1,
    dead_letters: 1,
    unknown_outcomes: { open: 1, readable: true },
    lost_items: 1,
    unmapped_writes: {},
    lanes: { total: 1, seeded: 1, dirty: 0, copying: 0, stopped: 0, excepted: 0, differs: 0 },
    lag: { writes: 1, lanes: 1, oldest_seconds: 2 },
    ab: {},
    ...service,
  };
  const proxy = { flags: { fresh: true } };
  return statusWith({ proxy, services: [shown] });
}

test('one lane, one write and one comparison are printed in the singular', () => {
  const lines = toldAll(statusOf({})).split('\n');
  expect(lines.slice(1, 5)).toEqual([
    '  1 lane, 1 seeded, 0 dirty, 0 stopped; 1 delivery waits',
    '  lag: the orchestrator lacks 1 write of 1 lane, the oldest for 2 s',
    '  1 dead letter, 1 unknown outcome, 1 lost item',
    '  1 comparison, 0 mismatches, 1 proof',
  ]);
});

test('a backend without reads shows no latency', () => {
  expect(toldAll(statusOf({}))).toContain('  reads: 1 by legacy (p99 3 ms), 0 by the orchestrator\n');
  const both = statusOf({ reads_by: { legacy: 0, orchestrator: 2 } });
  expect(toldAll(both)).toContain('  reads: 0 by legacy, 2 by the orchestrator (p99 3 ms)\n');
});

test('a requested stage that is not active is shown with every reason', () => {
  const blocked = { asked: 5, in_effect: 0 };
  const interlocks = [
    { word: 'never_reconciled', says: 'Reconciliation: never', next: 'Reconcile.', command: null },
    { word: 'backfill_not_finished', says: 'Lanes: 0', next: 'Backfill.', command: null },
  ];
  const held = {
    requested_stage: 'write_cutover',
    flags: {
      'read-cutover': { ...blocked, reason: 'interlock', interlocks },
      'write-cutover': { ...blocked, reason: 'not_available' },
    },
  };
  const [title, requested] = toldAll(statusOf(held)).split('\n');
  expect(title).toBe('session-memory  stage shadow_read, interlocks enforce');
  expect(requested).toBe(
    '  requested stage write_cutover (read-cutover: interlock: never reconciled and 1 more; write-cutover: not available yet)',
  );
  expect(toldAll(statusOf({}))).not.toContain('requested stage');
});

const CURRENT = { writes: 0, lanes: 0, oldest_seconds: null };

test.each([
  [0, 0, 'none, the orchestrator has every applied write'],
  [1, 0, 'no applied write waits, but these are open: 1 unknown outcome'],
  [0, 2, 'no applied write waits, but these are open: 2 lost items'],
  [2, 1, 'no applied write waits, but these are open: 2 unknown outcomes and 1 lost item'],
])('the lag names %i unknown outcomes and %i lost items', (open, lost, words) => {
  const shown = statusOf({
    lag: CURRENT,
    unknown_outcomes: { open, readable: true },
    lost_items: lost,
  });
  expect(toldAll(shown)).toContain(`  lag: ${words}\n`);
});

test('writes that no lane can hold are counted, and the lag names them', () => {
  const counted = { unmapped_writes: { applied: 2, unknown: 1 } };
  const nothing = { lag: CURRENT, unknown_outcomes: { open: 0, readable: true }, lost_items: 0 };
  const shown = toldAll(statusOf({ ...nothing, ...counted }));
  expect(shown).toContain('no applied write waits, but these are open: 3 writes that no lane can hold\n');
  expect(shown).toContain('  3 writes only on legacy since the start, because no lane can hold the owner');
});

test('differing, excepted and stopped lanes are counted, with the command to list them', () => {
  const lanes = { total: 9, seeded: 9, dirty: 0, copying: 0, stopped: 1, excepted: 1, differs: 2 };
  expect(toldAll(statusOf({ lanes }))).toContain(
    '  2 lanes differ, 1 lane with items that the orchestrator refused, 1 stopped lane: crossfade lanes list session-memory --unwell\n',
  );
  expect(toldAll(statusOf({}))).not.toContain('--unwell');
});

test('reads that gave no proof are listed apart from the proofs', () => {
  const shown = toldAll(statusOf({ no_proof_by: { racy: 3, repeat: 1 } }));
  expect(shown).toContain(
    '  1 comparison, 0 mismatches, 1 proof\n  4 reads gave no proof: 3 lane changed meanwhile, 1 repeats within 15 minutes\n',
  );
});
