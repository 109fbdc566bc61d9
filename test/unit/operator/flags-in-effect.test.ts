import { expect, test } from 'vitest';
import { serviceName } from '../../../src/domain/ids.ts';
import type { InterlockFacts } from '../../../src/engine/guard/interlock-facts.ts';
import { judgeFlags, NOTHING_GRANTED } from '../../../src/engine/guard/judge-flags.ts';
import type { InterlockWord } from '../../../src/engine/guard/reason.ts';
import { flagsInEffect } from '../../../src/operator/flags-in-effect.ts';
import { ADVICE } from '../../../src/operator/report/next-step.ts';
import { toldInterlocks } from '../../../src/operator/told-interlocks.ts';
import { actionWith, fineFacts } from '../engine/guard/facts.ts';

const service = serviceName('session-memory');

const QUIET = { service, coverage: 7, isKilled: false, isHeld: false, shadowDroppedFor: [] };

function readCutover(more: Partial<InterlockFacts>) {
  const facts = fineFacts(more);
  const verdict = judgeFlags(facts, NOTHING_GRANTED);
  return flagsInEffect({ ...QUIET, asked: facts.asked, verdict })['read-cutover'];
}

const ASKED = { ...fineFacts().asked, 'read-cutover': 1 };

test('on a new installation each reason shows its value, its need and the next step', () => {
  const { interlocks = [], ...status } = readCutover({
    asked: ASKED,
    lanes: { total: 12, unseeded: 12, isBackfillListed: false, unwell: 0, flipped: 0 },
    reconciledAgoSeconds: null,
    actions: { get_context: actionWith(0) },
  });
  expect(status).toMatchObject({ asked: 1, in_effect: 0, reason: 'interlock' });
  expect(interlocks.map(({ word, says, command }) => ({ word, says, command }))).toEqual([
    {
      word: 'backfill_not_finished',
      says: 'Backfilled lanes: 0, needed ≥ 12',
      command: 'crossfade backfill --service session-memory --person NAME --reason TEXT',
    },
    {
      word: 'never_reconciled',
      says: 'Time since the last full reconciliation: never, needed < 24 h',
      command: 'crossfade reconcile --full --service session-memory --person NAME --reason TEXT',
    },
  ]);
});

test('a permitted flag is not active while no action has its evidence', () => {
  const actions = { get_context: actionWith(12), search: actionWith(0) };
  expect(readCutover({ asked: ASKED, actions })).toMatchObject({
    in_effect: 0,
    reason: 'interlock',
    held_actions: ['get_context', 'search'],
  });
});

test('a verdict from before a change of the flag does not lower it', () => {
  const { asked } = fineFacts({ mode: 'warn' });
  const verdict = judgeFlags(
    fineFacts({ mode: 'warn', asked: { ...asked, 'read-cutover': 0 } }),
    NOTHING_GRANTED,
  );
  expect(flagsInEffect({ ...QUIET, asked, verdict })['read-cutover']).toEqual({
    asked: 50,
    in_effect: 50,
    reason: 'on',
  });
});

test('actions with a lower share than others are named', () => {
  const actions = { get_context: actionWith(3_000), search: actionWith(0) };
  const status = readCutover({ asked: ASKED, actions });
  expect(status).toMatchObject({ in_effect: 1, reason: 'on', held_actions: ['search'] });
  expect(readCutover({ asked: ASKED, actions, mode: 'warn' }).held_actions).toBeUndefined();
  expect(
    readCutover({ asked: ASKED, actions: { get_context: actionWith(3_000) } }).held_actions,
  ).toBeUndefined();
});

const NUMBERS = { have: 12, need: 3_000 };

test.each<[InterlockWord, string, string]>([
  ['too_few_comparisons', 'Comparisons: 12, needed ≥ 3,000', 'about 3 days'],
  ['legacy_does_not_answer', 'Legacy does not answer a probe', 'Check the service'],
  ['deliveries_behind', 'Oldest write not delivered: 12 s, needed < 50 min', 'the orchestrator keeps up'],
])('%s says: %s', (word, says, next) => {
  const of = { service, action: 'get_context', confidence: { days: 2.5, mismatches: 0 } };
  const [told] = toldInterlocks([{ word, ...NUMBERS }], of);
  expect(told).toMatchObject({ word, ...NUMBERS, says });
  expect(told?.next).toContain(next);
});

test('a reason of missing evidence names the action to accept', () => {
  const of = { service, action: 'get_context', confidence: { days: null, mismatches: 0 } };
  expect(toldInterlocks([{ word: 'too_few_comparisons', ...NUMBERS }], of)[0]?.command).toBe(
    'crossfade guard accept session-memory action:get_context --person NAME --reason TEXT',
  );
  expect(toldInterlocks([{ word: 'never_reconciled', need: 1 }], of)[0]?.command).toContain('reconcile');
});

const WAITING: Readonly<Record<string, readonly [next: string, command: string | null]>> = {
  too_few_comparisons: [
    'Find and remove the cause of 2 mismatches. Then wait',
    'crossfade differences session-memory',
  ],
  mismatch_rate_not_proven: ['cause of 2 mismatches', 'crossfade differences session-memory'],
  too_few_without_error: ['cause of 2 mismatches', 'crossfade differences session-memory'],
};

test.each(Object.entries(WAITING))(
  '%s with mismatches advises to remove their cause',
  (word, [next, command]) => {
    const of = { service, action: 'get_context', confidence: { days: 3, mismatches: 2 } };
    const [told] = toldInterlocks([{ word: word as InterlockWord, ...NUMBERS }], of);
    expect(told?.next).toContain(next);
    expect(told?.next).not.toContain('override');
    expect(told?.command).toBe(command);
  },
);

/** Criteria of the daily report, which the status does not judge. */
const OF_THE_DAY: ReadonlySet<string> = new Set([
  'mismatches_of_the_day',
  'not_comparable_of_the_day',
  'proxy_errors_of_the_day',
  'orchestrator_errors_of_the_day',
  'dead_letter_lanes',
  'lost_items',
  'reads_slower_than_legacy',
]);

test('no advice in the status repeats the command of the status', () => {
  const words = Object.keys(ADVICE).filter((word) => !OF_THE_DAY.has(word)) as InterlockWord[];
  expect(words.length).toBeGreaterThan(20);
  const told = toldInterlocks(
    words.map((word) => ({ word, ...NUMBERS })),
    { service },
  );
  expect(told.filter(({ command }) => command === 'crossfade status')).toEqual([]);
});

test.each<[InterlockWord, string | null]>([
  ['ramp_held', 'crossfade guard status --service session-memory'],
  ['too_many_unwell_lanes', 'crossfade lanes list session-memory --unwell'],
  ['latched', 'crossfade guard release session-memory --person NAME --reason TEXT'],
  ['lanes_differ', 'crossfade runs list'],
  ['backfill_not_finished', 'crossfade backfill --service session-memory --person NAME --reason TEXT'],
  ['not_covered', null],
  ['too_slow', null],
])('%s advises the command %s', (word, command) => {
  expect(toldInterlocks([{ word, ...NUMBERS }], { service })[0]?.command).toBe(command);
});

test('dropped shadow reads are not active, with the reason', () => {
  const { asked } = fineFacts();
  const dropping = { ...QUIET, asked, shadowDroppedFor: ['latency', 'errors'] as const };
  expect(flagsInEffect(dropping)['shadow-read']).toEqual({
    asked: 100,
    in_effect: 0,
    reason: 'shadow_load_dropped',
    dropped_for: ['latency', 'errors'],
  });
  expect(flagsInEffect({ ...dropping, coverage: 0 })['shadow-read'].reason).toBe('not_covered');
  expect(flagsInEffect({ ...QUIET, asked })['shadow-read']).toMatchObject({ in_effect: 100, reason: 'on' });
});
