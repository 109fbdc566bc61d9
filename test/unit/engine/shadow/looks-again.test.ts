import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Comparison } from '../../../../src/domain/comparison.ts';
import { LOOK_AGAIN_MS } from '../../../../src/engine/compare/look-again.ts';
import { stateOf, writeOnce } from '../engine-parts.ts';
import { beginShadowReads } from './shadow-parts.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

type Facts = Parameters<typeof beginShadowReads>[0];

const LEGACY = JSON.stringify({ status: 'ok', memories: [{ memory: 'x', tag: 't' }] });
const MATCH = LEGACY;
const OTHER_TEXT = LEGACY.replace('"x"', '"y"');
const OTHER_TAG = LEGACY.replace('"t"', '"u"');
const OTHER_BOTH = OTHER_TEXT.replace('"t"', '"u"');

/** What the orchestrator shows at each look; the lane moves at those of which `racy` is said. The last one goes on. */
async function look(answers: readonly string[], facts?: Facts) {
  const at = beginShadowReads(facts);
  at.answers.legacy = LEGACY;
  at.whenAsked((backend) => {
    // Legacy is asked first; at the first look it was the agent who asked it.
    const before = at.asked.filter((one) => one.backend === 'orchestrator').length;
    const looks = backend === 'legacy' ? before + 1 : before;
    const shown = answers[Math.min(looks, answers.length) - 1] ?? MATCH;
    if (shown === 'racy') writeOnce(at.lane);
    if (backend === 'orchestrator') at.answers.orchestrator = shown === 'racy' ? OTHER_TEXT : shown;
  });
  await at.offer();
  for (const ms of LOOK_AGAIN_MS) await at.pass(ms + 50);
  const looks = at.asked.filter(({ backend }) => backend === 'orchestrator');
  const held = at.asked.filter(({ backend, isHeld }) => backend === 'legacy' && isHeld);
  return { ...at, looks: looks.length, heldLooks: held.length };
}

const placesOf = (comparison: Comparison | undefined) => comparison?.differences.map(({ path }) => path);

describe('a difference that a look at a racy pair shows first', () => {
  test('does not count when the next look shows none', async () => {
    const { looks, verdict } = await look(['racy', OTHER_TEXT, MATCH]);
    expect(looks).toBe(3);
    expect(verdict()).toMatchObject({ verdict: 'match' });
  });

  test('counts when the next look shows it too', async () => {
    const { looks, verdict } = await look(['racy', OTHER_TEXT, OTHER_TEXT]);
    expect(looks).toBe(3);
    expect(verdict()).toMatchObject({ verdict: 'mismatch' });
  });

  test('under the hold is looked at twice, and counts only if both show it', async () => {
    const gone = await look(['racy', 'racy', 'racy', OTHER_TEXT, MATCH]);
    expect([gone.looks, gone.heldLooks]).toEqual([5, 2]);
    expect(gone.verdict()).toMatchObject({ verdict: 'match' });
    const moved = await look(['racy', 'racy', 'racy', OTHER_TEXT, OTHER_TAG]);
    expect(moved.verdict()).toMatchObject({ verdict: 'not_comparable', reason: 'racy' });
    const grown = await look(['racy', 'racy', 'racy', OTHER_TEXT, OTHER_BOTH]);
    expect(placesOf(grown.verdict())).toEqual(['memories[].memory']);
    const stays = await look(['racy', 'racy', 'racy', OTHER_TEXT]);
    expect([stays.looks, stays.heldLooks]).toEqual([5, 2]);
    expect(stays.verdict()).toMatchObject({ verdict: 'mismatch' });
  });

  test.each(['touches', 'loads'] as const)(
    'in a read that %s, which must not be asked a third time, is left to the lane',
    async (effect) => {
      const { looks, verdict, doubted, lane } = await look(['racy', OTHER_TEXT], { effect });
      expect(looks).toBe(2);
      expect(verdict()).toMatchObject({ verdict: 'not_comparable', reason: 'racy' });
      expect(doubted).toEqual([lane.key]);
    },
  );
});

describe('a difference', () => {
  test('at another path than before is looked at again', async () => {
    const { looks, verdict } = await look([OTHER_TEXT, OTHER_TAG, OTHER_TAG]);
    expect(looks).toBe(3);
    expect(placesOf(verdict())).toEqual(['memories[].tag']);
  });

  test('with other values at the same path is the same', async () => {
    const { looks, verdict } = await look([OTHER_TEXT, OTHER_TEXT.replace('"y"', '"z"')]);
    expect(looks).toBe(2);
    expect(verdict()).toMatchObject({ verdict: 'mismatch' });
  });

  test('of a read that touches counts at its second look', async () => {
    const { looks, verdict } = await look([OTHER_TEXT], { effect: 'touches' });
    expect(looks).toBe(2);
    expect(verdict()).toMatchObject({ verdict: 'mismatch' });
  });

  test('of a read that cuts, which must not be repeated, counts at its only look', async () => {
    const { looks, verdict } = await look([OTHER_TEXT], { effect: 'cuts' });
    expect(looks).toBe(1);
    expect(verdict()).toMatchObject({ verdict: 'mismatch' });
  });

  test('with other replicas is proven by one look under the hold after earlier ones', async () => {
    const { looks, heldLooks, verdict } = await look([OTHER_TEXT], { isAlone: false });
    expect([looks, heldLooks]).toEqual([4, 1]);
    expect(verdict()).toMatchObject({ verdict: 'mismatch' });
  });

  test('that cannot be looked at again, because too many wait, proves nothing', async () => {
    const at = beginShadowReads({ queueSize: 1 });
    at.answers.orchestrator = OTHER_TEXT;
    await at.offer(LEGACY);
    await at.offer(LEGACY);
    const verdicts = at.events.flatMap(({ name, event }) =>
      name === 'shadow:compared' ? [(event as { comparison: Comparison }).comparison] : [],
    );
    expect(verdicts).toMatchObject([{ verdict: 'not_comparable', reason: 'racy' }]);
  });
});

describe('a read that shows again what was proven lately', () => {
  const repeats = (at: ReturnType<typeof beginShadowReads>) =>
    at.events.flatMap(({ name, event }) =>
      name === 'shadow:compared' ? [(event as { comparison: Comparison }).comparison.isRepeat ?? false] : [],
    );

  test('is no further evidence until the lane has changed', async () => {
    const at = beginShadowReads();
    await at.offer();
    await at.offer();
    at.lane.adopt(stateOf(at.lane, { sequence: 1, deliveredSequence: 1, seededCoverage: 1 }));
    await at.offer();
    await at.offer();
    expect(repeats(at)).toEqual([false, true, false, true]);
  });

  test('is evidence if it shows a difference', async () => {
    const at = beginShadowReads();
    at.answers.orchestrator = OTHER_TEXT;
    for (let read = 0; read < 2; read += 1) {
      await at.offer(LEGACY);
      at.answers.legacy = LEGACY;
      await at.pass(300);
    }
    expect(repeats(at)).toEqual([false, false]);
    expect(at.stored).toHaveLength(2);
  });
});
