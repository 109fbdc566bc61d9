import type { Status } from '../../../../src/operator/api/status.ts';
import { expect, test } from 'vitest';
import { statusSections } from '../../../../src/operator/views/status.ts';
import { sectionText } from '../../../../src/operator/views/terminal.ts';
import { statusWith } from '../../../support/desk/status.ts';

const FLAG = { asked: 0, in_effect: 0, reason: 'off' };
const NOTHING_COMPARED = { match: 0, mismatch: 0, not_comparable: 0 };
const QUANTILES = { p50: 1, p95: 2, p99: 3, count: 4 };

const textOf = (status: Status): string => statusSections(status).map(sectionText).join('\n\n');

/** The words after a label. */
function factOf(label: string, status: Status): string | undefined {
  const line = textOf(status)
    .split('\n')
    .find((one) => one.startsWith(`  ${label}  `));
  return line?.slice(label.length + 2).trim();
}

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
    reverse: null,
    unknown_outcomes: { open: 1, readable: true },
    lost_items: 1,
    unmapped_writes: {},
    lanes: {
      total: 1,
      flipped: 0,
      seeded: 1,
      dirty: 0,
      copying: 0,
      stopped: 0,
      excepted: 0,
      differs: 0,
      legacy_differs: 0,
    },
    lag: { writes: 1, lanes: 1, oldest_seconds: 2 },
    ab: {},
    ...service,
  };
  const proxy = { flags: { fresh: true, kill_switch: false } };
  return statusWith({ proxy, readiness: {}, services: [shown] });
}

test('one lane, one write and one comparison are printed in the singular', () => {
  const status = statusOf({});
  expect(factOf('lanes', status)).toBe('1 (1 seeded)');
  expect(factOf('deliveries waiting', status)).toBe('1');
  expect(factOf('replication lag', status)).toBe('2 s (1 write to deliver, in 1 lane)');
  expect(textOf(status)).toMatch(/\n {4}own answers +1 +1 +0 +0\n/);
});

test('what waits for a person is shown with the command that lists it', () => {
  const waiting = statusOf({
    dead_letters: 2,
    lost_items: 0,
    unknown_outcomes: { open: 1, readable: false },
  });
  expect(factOf('dead letters', waiting)).toBe('2 (crossfade dead-letters list --service session-memory)');
  expect(factOf('unknown outcomes', waiting)).toMatch(/^1 \(a person must decide, .*; crossfade unknown/);
  expect(factOf('lost items', waiting)).toBe('0');
  expect(factOf('halted writes to legacy', waiting)).toBeUndefined();
});

test('a backend without reads shows no latency', () => {
  const status = statusOf({ reads_by: { legacy: 0, orchestrator: 2 } });
  expect(factOf('reads by legacy', status)).toBe('0');
  expect(factOf('reads by the orchestrator', status)).toBe('2 (p99 3 ms)');
});

test('a requested stage that is not active is shown with every reason', () => {
  const blocked = { asked: 5, in_effect: 0 };
  const interlocks = [
    { word: 'never_reconciled', says: 'Reconciliation: never', next: 'Reconcile.', command: null },
    { word: 'backfill_not_finished', says: 'Lanes: 0', next: 'Backfill.', command: 'crossfade backfill' },
  ];
  const held = {
    requested_stage: 'write_cutover',
    flags: {
      'read-cutover': { ...blocked, reason: 'interlock', interlocks },
      'write-cutover': { ...blocked, reason: 'not_covered' },
    },
  };
  const shown = statusOf(held);
  expect(factOf('stage', shown)).toBe('shadow read (interlocks: enforce)');
  expect(factOf('requested stage', shown)).toBe(
    'write cutover (read-cutover: interlock: never reconciled and 1 more; write-cutover: dual writes are off)',
  );
  expect(textOf(shown)).toContain(
    [
      '    What blocks read-cutover',
      '      never_reconciled  Reconciliation: never',
      '      backfill_not_finished  Lanes: 0',
      '      → Reconcile.',
      '      → Backfill. crossfade backfill',
    ].join('\n'),
  );
  expect(factOf('requested stage', statusOf({}))).toBeUndefined();
});

const CURRENT = { writes: 0, lanes: 0, oldest_seconds: null };

test.each([
  [0, 0, 'none'],
  [1, 0, 'none (open: 1 unknown outcome)'],
  [0, 2, 'none (open: 2 lost items)'],
  [2, 1, 'none (open: 2 unknown outcomes and 1 lost item)'],
])('the lag names %i unknown outcomes and %i lost items', (open, lost, words) => {
  const shown = statusOf({
    lag: CURRENT,
    unknown_outcomes: { open, readable: true },
    lost_items: lost,
  });
  expect(factOf('replication lag', shown)).toBe(words);
});

test('writes that no lane can hold are counted, and the lag names them', () => {
  const counted = { unmapped_writes: { applied: 2, unknown: 1 } };
  const nothing = { lag: CURRENT, unknown_outcomes: { open: 0, readable: true }, lost_items: 0 };
  const shown = statusOf({ ...nothing, ...counted });
  expect(factOf('replication lag', shown)).toBe('none (open: 3 writes that no lane can hold)');
  expect(factOf('writes only on legacy', shown)).toMatch(/^3 \(no lane can hold the owner/);
});

test('differing, excepted and stopped lanes are counted, with the command to list them', () => {
  const lanes = {
    total: 9,
    flipped: 0,
    seeded: 9,
    dirty: 0,
    copying: 0,
    stopped: 1,
    excepted: 1,
    differs: 2,
    legacy_differs: 0,
  };
  const unwell = statusOf({ lanes });
  expect(factOf('lanes', unwell)).toBe('9 (9 seeded, 1 stopped, 1 excepted, 2 differs)');
  expect(factOf('lanes that need attention', unwell)).toBe('crossfade lanes list session-memory --unwell');
  expect(factOf('lanes that need attention', statusOf({}))).toBeUndefined();
});

test('reads that gave no proof are listed apart from the proofs', () => {
  expect(textOf(statusOf({ no_proof_by: { racy: 3, repeat: 1 } }))).toContain(
    '\n    4 reads gave no proof: 3 lane changed meanwhile, 1 repeats within 15 minutes.\n',
  );
});

test('what an operator must know first is above the services, in the words of the desk', () => {
  const held = statusOf({ guard: { held_by: 'database_lost', findings: [] } });
  expect(textOf(held).split('\n').slice(0, 4)).toEqual([
    'Look at this first',
    '  ▲ The reads of session-memory are held on legacy: database lost.',
    '  Agents are safe: legacy answers every read and has every acknowledged write.',
    '  See why: crossfade guard status --service session-memory',
  ]);
  expect(textOf(held)).toContain('session-memory\n  ▲ Reads are held on legacy by database lost\n');
  expect(textOf(statusOf({ lost_items: 0 }))).toMatch(/^session-memory\n/);
});

test('a part that is not ready is named with its reason', () => {
  const status = { ...statusOf({}), readiness: { flags: { ok: false, reason: 'no answer' } } };
  expect(textOf(status)).toContain('  ▲ flags is not ready: no answer\n');
});
