import { describe, expect, test } from 'vitest';
import type { ServiceFlag } from '../../../../src/domain/flags.ts';
import type { InterlockFacts } from '../../../../src/engine/guard/interlock-facts.ts';
import { judgeFlags, NOTHING_GRANTED, type Granted } from '../../../../src/engine/guard/judge-flags.ts';
import { actionWith, fineFacts } from './facts.ts';
import { NOTHING_FOUND } from '../../../../src/engine/ports/finding.ts';

const asked = (flags: Partial<Record<ServiceFlag, number>>): InterlockFacts['asked'] => ({
  ...fineFacts().asked,
  ...flags,
});

const RAISED: Granted = {
  flags: { 'dual-write': 100, 'shadow-read': 100, 'read-cutover': 50 },
  actions: { get_context: 50 },
};

const words = (facts: InterlockFacts, flag: ServiceFlag, granted = NOTHING_GRANTED): string[] =>
  judgeFlags(facts, granted).flags[flag].reasons.map(({ word }) => word);

test('without a reason against it, everything requested is active', () => {
  const { flags, actions } = judgeFlags(fineFacts(), NOTHING_GRANTED);
  for (const { asked: percent, inEffect, reasons } of Object.values(flags)) {
    expect(inEffect).toBe(percent);
    expect(reasons).toEqual([]);
  }
  expect(actions['get_context']).toEqual({ asked: 50, inEffect: 50, permitted: 50, reasons: [] });
});

const FULL = { run: 4, lanes: 10_000, items: 50_000, notComparable: 0 };
const FOUND = { ...NOTHING_FOUND, full: FULL };

/** Just past each limit, and at it. */
const TO_RAISE_READS: readonly [string, Partial<InterlockFacts>, Partial<InterlockFacts>][] = [
  ['latched', { latch: 'inconsistency' }, {}],
  ['kill_switch', { isKilled: true }, {}],
  ['ramp_held', { isRampHeld: true }, {}],
  ['not_covered_everywhere', { coverage: { number: 7, replicas: 2, acting: 1 } }, {}],
  [
    'backfill_not_finished',
    { lanes: { total: 10_000, unseeded: 4, isBackfillListed: true, unwell: 3, flipped: 0 } },
    { lanes: { total: 10_000, unseeded: 3, isBackfillListed: true, unwell: 3, flipped: 0 } },
  ],
  [
    'backfill_not_finished',
    { lanes: { total: 0, unseeded: 0, isBackfillListed: false, unwell: 0, flipped: 0 } },
    {},
  ],
  [
    'too_many_unwell_lanes',
    { lanes: { total: 10_000, unseeded: 0, isBackfillListed: true, unwell: 11, flipped: 0 } },
    { lanes: { total: 10_000, unseeded: 0, isBackfillListed: true, unwell: 10, flipped: 0 } },
  ],
  [
    'too_many_unwell_lanes',
    { lanes: { total: 5, unseeded: 0, isBackfillListed: true, unwell: 4, flipped: 0 } },
    { lanes: { total: 5, unseeded: 0, isBackfillListed: true, unwell: 3, flipped: 0 } },
  ],
  ['deliveries_behind', { oldestDeliverySeconds: 5 }, { oldestDeliverySeconds: 4.9 }],
  [
    'unclassified_actions',
    { unclassified: { requests: 1, isAccepted: false } },
    { unclassified: { requests: 1, isAccepted: true } },
  ],
  ['never_reconciled', { reconciledAgoSeconds: null }, {}],
  ['reconciliation_too_old', { reconciledAgoSeconds: 86_400 }, { reconciledAgoSeconds: 86_399 }],
  ['lanes_differ', { stores: { ...FOUND, lanes: 1, run: 4 } }, { stores: FOUND }],
  [
    'too_many_lanes_not_compared',
    { stores: { ...FOUND, full: { ...FULL, notComparable: 11 } } },
    { stores: { ...FOUND, full: { ...FULL, notComparable: 10 } } },
  ],
  ['too_slow', { addedP95Ms: 50 }, { addedP95Ms: 20 }],
];

describe('read-cutover is not raised', () => {
  test.each(TO_RAISE_READS)('while %s', (word, unsafe, safe) => {
    const { flags, actions } = judgeFlags(fineFacts(unsafe), NOTHING_GRANTED);
    expect(flags['read-cutover'].reasons.map((reason) => reason.word)).toEqual([word]);
    expect(flags['read-cutover'].inEffect).toBe(0);
    expect(actions['get_context']?.inEffect).toBe(0);
    expect(words(fineFacts(safe), 'read-cutover')).toEqual([]);
  });

  test('without coverage', () => {
    const facts = fineFacts({ coverage: { number: 0, replicas: 1, acting: 1 } });
    expect(words(facts, 'read-cutover')).toEqual(['not_covered']);
    expect(words(facts, 'shadow-read')).toEqual(['not_covered']);
  });

  test('and all reasons are given at once, with their numbers', () => {
    const facts = fineFacts({ oldestDeliverySeconds: 60, addedP95Ms: 75 });
    expect(judgeFlags(facts, NOTHING_GRANTED).flags['read-cutover'].reasons).toEqual([
      { word: 'deliveries_behind', have: 60, need: 5 },
      { word: 'too_slow', have: 75, need: 50 },
    ]);
  });
});

describe('a share that was granted', () => {
  test.each([
    ['deliveries are behind', { oldestDeliverySeconds: 60 }],
    ['the last reconciliation is 47 h old', { reconciledAgoSeconds: 47 * 3_600 }],
    ['its evidence begins anew', { actions: { get_context: actionWith(0) } }],
    ['a replica does not act on the coverage yet', { coverage: { number: 7, replicas: 2, acting: 1 } }],
  ])('stays while %s', (_name, facts) => {
    const verdict = judgeFlags(fineFacts(facts), RAISED);
    expect(verdict.flags['read-cutover']).toMatchObject({ inEffect: 50, reasons: [] });
    expect(verdict.actions['get_context']?.inEffect).toBe(50);
  });

  test('is not raised further, and not lowered', () => {
    const facts = fineFacts({ asked: asked({ 'read-cutover': 80 }), oldestDeliverySeconds: 60 });
    expect(judgeFlags(facts, RAISED).flags['read-cutover']).toMatchObject({ asked: 80, inEffect: 50 });
  });

  test('falls with its flag', () => {
    const facts = fineFacts({ asked: asked({ 'read-cutover': 10 }), oldestDeliverySeconds: 60 });
    expect(judgeFlags(facts, RAISED).flags['read-cutover']).toMatchObject({ inEffect: 10, reasons: [] });
  });

  test.each([
    ['a latch is set', { latch: 'errors' }, 'latched'],
    ['the kill switch is on', { isKilled: true }, 'kill_switch'],
    ['the last reconciliation is 48 h old', { reconciledAgoSeconds: 48 * 3_600 }, 'reconciliation_too_old'],
  ])('goes back when %s', (_name, facts, word) => {
    const verdict = judgeFlags(fineFacts(facts), RAISED);
    expect(verdict.flags['read-cutover'].inEffect).toBe(0);
    expect(verdict.flags['read-cutover'].reasons.map((reason) => reason.word)).toEqual([word]);
    expect(verdict.actions['get_context']?.inEffect).toBe(0);
  });
});

describe('an action moves', () => {
  test.each([
    ['too_few_comparisons', actionWith(2_999), actionWith(3_000)],
    ['too_few_without_error', actionWith(3_000, { errors: 2_701 }), actionWith(3_000, { errors: 2_700 })],
    ['mismatch_rate_not_proven', actionWith(4_700, { mismatches: 1 }), actionWith(4_750, { mismatches: 1 })],
  ])('not while %s, and no other action waits for it', (word, unproven, proven) => {
    const { actions } = judgeFlags(
      fineFacts({ actions: { unproven, proven, get_context: actionWith(3_000) } }),
      NOTHING_GRANTED,
    );
    expect(actions['unproven']?.reasons.map((reason) => reason.word)).toContain(word);
    expect(actions['unproven']?.inEffect).toBe(0);
    expect(actions['proven']).toEqual({ asked: 50, inEffect: 50, permitted: 50, reasons: [] });
    expect(actions['get_context']?.inEffect).toBe(50);
  });

  test.each([
    ['begins anew', actionWith(0), 'too_few_comparisons'],
    ['turns bad', actionWith(100_000, { mismatches: 500 }), 'mismatch_rate_not_proven'],
  ])('no further while its evidence %s, and stays where it is', (_name, get_context, word) => {
    const facts = fineFacts({ asked: asked({ 'read-cutover': 100 }), actions: { get_context } });
    const { flags, actions } = judgeFlags(facts, RAISED);
    expect(flags['read-cutover']).toMatchObject({ inEffect: 100, reasons: [] });
    expect(actions['get_context']).toMatchObject({ asked: 100, inEffect: 50, permitted: 50 });
    expect(actions['get_context']?.reasons.map((reason) => reason.word)).toContain(word);
  });

  test('without evidence if a person accepts it by name', () => {
    const actions = { get_context: actionWith(0, { isAccepted: true }) };
    expect(judgeFlags(fineFacts({ actions }), NOTHING_GRANTED).actions['get_context']?.inEffect).toBe(50);
  });
});

describe('the mode', () => {
  const unsafe = { oldestDeliverySeconds: 60, actions: { get_context: actionWith(0) } };

  test('warn keeps everything requested active and lists every reason', () => {
    const { flags, actions } = judgeFlags(fineFacts({ ...unsafe, mode: 'warn' }), NOTHING_GRANTED);
    expect(flags['read-cutover']).toMatchObject({ inEffect: 50, permitted: 0 });
    expect(flags['read-cutover'].reasons).toHaveLength(1);
    expect(actions['get_context']?.inEffect).toBe(50);
    expect(actions['get_context']?.reasons.map(({ word }) => word)).toContain('too_few_comparisons');
  });

  test('off lists nothing', () => {
    const { flags, actions } = judgeFlags(fineFacts({ ...unsafe, mode: 'off' }), NOTHING_GRANTED);
    expect(flags['read-cutover']).toEqual({ asked: 50, inEffect: 50, permitted: 0, reasons: [] });
    expect(actions['get_context']).toEqual({ asked: 50, inEffect: 50, permitted: 0, reasons: [] });
  });

  test.each(['warn', 'off'] as const)('from %s to enforce only earned values stay active', (mode) => {
    // 20 % were raised on evidence; 50 % were asked for while nobody looked.
    const earned: Granted = { flags: { ...RAISED.flags, 'read-cutover': 20 }, actions: { get_context: 20 } };
    const before = judgeFlags(fineFacts({ ...unsafe, mode }), earned);
    expect(before.actions['get_context']?.inEffect).toBe(50);
    const granted: Granted = {
      flags: {
        'dual-write': 100,
        'shadow-read': 100,
        'read-cutover': before.flags['read-cutover'].permitted,
      },
      actions: { get_context: before.actions['get_context']?.permitted ?? 0 },
    };
    const { flags, actions } = judgeFlags(fineFacts(unsafe), granted);
    expect(flags['read-cutover'].inEffect).toBe(20);
    expect(actions['get_context']?.inEffect).toBe(20);
    expect(actions['get_context']?.reasons.map(({ word }) => word)).toContain('too_few_comparisons');
  });

  test.each(['enforce', 'warn', 'off'] as const)('%s: a latch always applies', (mode) => {
    const verdict = judgeFlags(fineFacts({ mode, latch: 'errors' }), RAISED);
    expect(verdict.flags['read-cutover']).toMatchObject({
      inEffect: 0,
      reasons: [{ word: 'latched', of: 'errors' }],
    });
    expect(verdict.actions['get_context']?.inEffect).toBe(0);
    expect(verdict.flags['dual-write'].inEffect).toBe(100);
    expect(verdict.flags['shadow-read'].inEffect).toBe(100);
  });
});

describe('dual-write', () => {
  test.each([
    [{ legacy: false, orchestrator: true }, 'legacy_does_not_answer'],
    [{ legacy: true, orchestrator: false }, 'orchestrator_does_not_answer'],
  ])('begins only when both backends answer: %j', (answers, word) => {
    expect(words(fineFacts({ answers }), 'dual-write')).toEqual([word]);
    expect(words(fineFacts({ answers }), 'dual-write', RAISED)).toEqual([]);
  });
});

describe('the flags of writes', () => {
  const all = { 'read-cutover': 100, 'write-cutover': 10, 'legacy-read-only': 100 };
  const { writes, ends } = fineFacts();

  test('are active when everything is proven', () => {
    const { flags } = judgeFlags(fineFacts({ asked: asked(all) }), NOTHING_GRANTED);
    expect(flags['write-cutover']).toMatchObject({ asked: 10, inEffect: 10, reasons: [] });
    expect(flags['legacy-read-only']).toMatchObject({ asked: 100, inEffect: 100, reasons: [] });
  });

  const WRITES: readonly [string, Partial<InterlockFacts>][] = [
    ['not_covered', { coverage: { number: 0, replicas: 2, acting: 0 } }],
    ['latched', { latch: 'errors' }],
    ['kill_switch', { isKilled: true }],
    ['ramp_held', { isRampHeld: true }],
    ['versions_differ', { versions: 2 }],
    ['reads_not_all_moved', { asked: asked({ ...all, 'read-cutover': 99 }) }],
    ['too_few_comparisons', { writes: { ...writes, comparableSinceFull: 2_999 } }],
    ['soaking', { writes: { ...writes, fullForSeconds: 86_399 } }],
    ['soaking', { writes: { ...writes, fullForSeconds: null, soakSeconds: 0 } }],
    ['reverse_delivery_not_proven', { writes: { ...writes, isReverseProven: false } }],
    ['rollback_list_not_accepted', { writes: { ...writes, openRollbacks: 1 } }],
    ['never_reconciled', { reconciledAgoSeconds: null }],
    ['reconciliation_too_old', { reconciledAgoSeconds: 48 * 3_600 }],
  ];
  test.each(WRITES)('write-cutover waits while %s', (word, changed) => {
    const facts = fineFacts({ asked: asked(all), ...changed });
    expect(words(facts, 'write-cutover')).toEqual([word]);
    expect(judgeFlags(facts, NOTHING_GRANTED).flags['write-cutover'].inEffect).toBe(0);
  });

  const ENDS: readonly [string, Partial<InterlockFacts['ends']>][] = [
    ['lanes_not_flipped', { lanesNotFlipped: 1 }],
    ['reverse_backlog', { reverseBacklog: 1 }],
    ['writers_bypass_the_proxy', { bypassedAgoSeconds: 86_399 }],
    ['writers_bypass_the_proxy', { bypassedAgoSeconds: 86_400, bypassFreeSeconds: 86_401 }],
  ];
  test.each(ENDS)('legacy-read-only waits while %s', (word, changed) => {
    const facts = fineFacts({ asked: asked(all), ends: { ...ends, ...changed } });
    expect(words(facts, 'legacy-read-only')).toEqual([word]);
    expect(judgeFlags(facts, NOTHING_GRANTED).flags['legacy-read-only'].inEffect).toBe(0);
  });

  test('a writer that bypassed the proxy long ago blocks nothing', () => {
    const facts = fineFacts({ asked: asked(all), ends: { ...ends, bypassedAgoSeconds: 86_400 } });
    expect(words(facts, 'legacy-read-only')).toEqual([]);
  });

  const MOVED: Granted = { flags: { ...RAISED.flags, 'write-cutover': 10 }, actions: {} };
  test.each([
    ['latched', { latch: 'errors' }],
    ['kill_switch', { isKilled: true }],
    ['reconciliation_too_old', { reconciledAgoSeconds: 48 * 3_600 }],
  ])('a granted write-cutover stops further flips when %s', (word, changed) => {
    const facts = fineFacts({ asked: asked(all), ...changed });
    expect(words(facts, 'write-cutover', MOVED)).toEqual([word]);
  });

  test('a granted write-cutover stays while its proof grows old', () => {
    const facts = fineFacts({ asked: asked(all), writes: { ...writes, isReverseProven: false } });
    expect(judgeFlags(facts, MOVED).flags['write-cutover']).toMatchObject({ inEffect: 10, reasons: [] });
  });

  test('need no proof of the way back for the lane that goes first', () => {
    const first = { ...writes, isReverseProven: false, isFirstLaneNamed: true };
    expect(words(fineFacts({ asked: asked(all), writes: first }), 'write-cutover')).toEqual([]);
  });
});
