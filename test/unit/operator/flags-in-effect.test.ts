import { expect, test } from 'vitest';
import { serviceName } from '../../../src/domain/ids.ts';
import type { InterlockFacts } from '../../../src/engine/guard/interlock-facts.ts';
import { judgeFlags, NOTHING_GRANTED } from '../../../src/engine/guard/judge-flags.ts';
import type { InterlockWord } from '../../../src/engine/guard/reason.ts';
import { flagsInEffect } from '../../../src/operator/flags-in-effect.ts';
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
    lanes: { total: 12, unseeded: 12, isBackfillListed: false, unwell: 0 },
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

test('a permitted flag is not in effect while no action has its evidence', () => {
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
  const of = { service, action: 'get_context', confidence: { days: 2.5 } };
  const [told] = toldInterlocks([{ word, ...NUMBERS }], of);
  expect(told).toMatchObject({ word, ...NUMBERS, says });
  expect(told?.next).toContain(next);
});

test('a reason of missing evidence names the action to accept', () => {
  const of = { service, action: 'get_context', confidence: { days: null } };
  expect(toldInterlocks([{ word: 'too_few_comparisons', ...NUMBERS }], of)[0]?.command).toBe(
    'crossfade guard accept session-memory action:get_context --person NAME --reason TEXT',
  );
  expect(toldInterlocks([{ word: 'never_reconciled', need: 1 }], of)[0]?.command).toContain('reconcile');
});

test('dropped shadow reads are not in effect, with the reason', () => {
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
