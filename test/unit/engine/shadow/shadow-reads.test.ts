import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Comparison } from '../../../../src/domain/comparison.ts';
import { ConnectionError } from '../../../../src/domain/errors.ts';
import { SERVICE, writeOnce } from '../engine-parts.ts';
import { beginShadowReads as begin, replyOf } from './shadow-parts.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe('a racy pair', () => {
  test('is read again after 0.25, 1 and 5 s, the last time under a hold', async () => {
    const at = begin();
    at.whenAsked(() => writeOnce(at.lane));
    await at.offer();
    expect(at.asked.map(({ backend }) => backend)).toEqual(['orchestrator']);
    for (const [afterMs, reads] of [
      [250, 3],
      [1_000, 5],
      [5_000, 7],
    ] as const) {
      await at.pass(afterMs - 40);
      expect(at.asked).toHaveLength(reads - 2);
      await at.pass(60);
      expect(at.asked).toHaveLength(reads);
    }
    expect(at.asked.map(({ isHeld }) => isHeld)).toEqual([false, false, false, false, false, true, false]);
    expect(at.verdict()).toMatchObject({ verdict: 'match' });
  });

  test.each(['touches', 'loads'] as const)(
    'of a read that %s is read again once, under a hold',
    async (effect) => {
      const at = begin({ effect });
      at.whenAsked(() => writeOnce(at.lane));
      await at.offer();
      await at.pass(10_000);
      expect(at.asked.map(({ backend, isHeld }) => `${backend} ${isHeld}`)).toEqual([
        'orchestrator false',
        'legacy true',
        'orchestrator false',
      ]);
      expect(at.verdict()).toMatchObject({ verdict: 'match' });
    },
  );

  test('proves nothing if others gave this replica up, with its hold, meanwhile', async () => {
    const at = begin({ mayAct: () => false, isAlone: false });
    at.whenAsked(() => writeOnce(at.lane));
    at.answers.orchestrator = replyOf('y');
    await at.offer();
    for (const ms of [300, 1_100, 5_100]) await at.pass(ms);
    expect(at.verdict()).toMatchObject({ verdict: 'not_comparable', reason: 'racy' });
  });

  test('of a read that cuts is never read again', async () => {
    const at = begin({ effect: 'cuts' });
    at.whenAsked(() => writeOnce(at.lane));
    await at.offer();
    await at.pass(10_000);
    expect(at.asked).toHaveLength(1);
    expect(at.verdict()).toMatchObject({ verdict: 'not_comparable', reason: 'racy' });
  });
});

describe('a lane that agents write to all the time', () => {
  test('is compared as legacy showed it, and its deliveries wait for that', async () => {
    const at = begin();
    at.write();
    await at.offerMarked();
    for (let write = 0; write < 3; write += 1) at.write();
    expect(at.asked).toEqual([]);
    expect(at.watermarks.mostOf(at.lane)).toBe(1);
    at.lane.deliveredUpTo(1);
    await at.pass(1);
    expect(at.asked).toEqual([{ backend: 'orchestrator', isHeld: false }]);
    expect(at.verdict()).toMatchObject({ verdict: 'match' });
    expect(at.watermarks.mostOf(at.lane)).toBe(Infinity);
  });

  test('is read again if deliveries passed its watermark', async () => {
    const at = begin();
    at.write();
    await at.offerMarked();
    at.write();
    at.watermarks.lift(at.lane);
    at.answers.orchestrator = replyOf('y');
    at.lane.deliveredUpTo(2);
    await at.pass(1);
    expect(at.verdict()).toBeUndefined();
    at.answers.legacy = replyOf('y');
    await at.pass(300);
    expect(at.verdict()).toMatchObject({ verdict: 'match' });
  });

  test('is compared when read again, at the watermark of that answer', async () => {
    const at = begin();
    at.whenAsked((backend) => backend === 'orchestrator' && at.write());
    await at.offer();
    at.lane.deliveredUpTo(1);
    await at.pass(300);
    expect(at.asked.map(({ backend }) => backend)).toEqual(['orchestrator', 'legacy', 'orchestrator']);
    expect(at.verdict()).toMatchObject({ verdict: 'match' });
  });

  test('does not count items that were removed after the answer', async () => {
    const asked: unknown[] = [];
    const at = begin({ removed: async (_service, _lane, upTo) => new Set(asked.push(upTo) > 0 ? [] : []) });
    at.write();
    await at.offerMarked();
    at.write();
    at.lane.deliveredUpTo(1);
    await at.pass(1);
    expect(asked).toEqual([1]);
  });

  test('is compared a second later if its first copy is under way', async () => {
    const at = begin({ seededCoverage: 0 });
    at.lane.sequenced(1);
    await at.offer();
    expect(at.verdict()).toBeUndefined();
    at.lane.seededUnder(1);
    await at.pass(1_100);
    expect(at.asked.map(({ backend }) => backend)).toEqual(['legacy', 'orchestrator']);
    expect(at.verdict()).toMatchObject({ verdict: 'match' });
  });

  test('is not comparable if it is not seeded a second later either', async () => {
    const at = begin({ seededCoverage: 0 });
    at.lane.sequenced(1);
    await at.offer();
    await at.pass(1_100);
    expect(at.asked).toEqual([]);
    expect(at.verdict()).toMatchObject({ verdict: 'not_comparable', reason: 'not_seeded' });
  });

  test('waits at a watermark for at most one second', async () => {
    const at = begin();
    at.write();
    await at.offerMarked();
    await at.pass(1_000);
    expect(at.watermarks.mostOf(at.lane)).toBe(Infinity);
  });

  test('gets no further watermark once the oldest is half a second old', async () => {
    const at = begin();
    at.write();
    await at.offerMarked();
    expect(at.watermarks.stopForRead(at.lane)).toBeDefined();
    await at.pass(600);
    expect(at.watermarks.stopForRead(at.lane)).toBeUndefined();
  });

  test('has no watermark with other replicas, which deliver too', async () => {
    const at = begin({ isAlone: false });
    await at.offer();
    expect(at.watermarks.stopForRead(at.lane)).toBeUndefined();
  });
});

describe('a difference', () => {
  test('counts when it survives a second look, with what was compared', async () => {
    const at = begin();
    at.answers.orchestrator = replyOf('y');
    await at.offer();
    expect(at.verdict()).toBeUndefined();
    await at.pass(300);
    expect(at.verdict()).toMatchObject({ verdict: 'mismatch' });
    expect(at.stored).toMatchObject([
      {
        judgedWith: { nowIso: '1970-01-01T00:00:00.000Z', clockOffsetSeconds: 0 },
        sample: { legacy: replyOf('x'), orchestrator: replyOf('y') },
      },
    ]);
  });

  test('that is gone at the second look does not count', async () => {
    const at = begin();
    at.answers.orchestrator = replyOf('y');
    await at.offer();
    at.answers.orchestrator = replyOf('x');
    await at.pass(300);
    expect(at.verdict()).toMatchObject({ verdict: 'match' });
    expect(at.stored).toEqual([]);
  });
});

describe('noise', () => {
  test('is measured by asking legacy again, if that has no side effect', async () => {
    const at = begin({ random: 0 });
    for (let read = 0; read < 5; read += 1) await at.offer();
    expect(at.asked.filter(({ backend }) => backend === 'legacy')).toHaveLength(5);
    expect(at.verdicts.report(SERVICE).actions['get_memories']).toMatchObject({ repeats: 5, noise: [] });
  });

  test('is not measured for a read with side effects on legacy', async () => {
    const at = begin({ random: 0, effect: 'touches' });
    await at.offer();
    expect(at.asked.map(({ backend }) => backend)).toEqual(['orchestrator']);
  });

  test('of the orchestrator excuses nothing, even if it answers the agents', async () => {
    const at = begin({ random: 0 });
    for (let read = 0; read < 20; read += 1) {
      at.answers.orchestrator = replyOf(`again ${read}`);
      await at.offer(replyOf(`another ${read}`), 'orchestrator');
      await at.pass(1_000);
    }
    expect(at.verdicts.report(SERVICE).actions['get_memories']).toMatchObject({ repeats: 20, noise: [] });
    expect(at.stored).toHaveLength(20);
  });

  test('of a legacy service whose answers always differ is set apart', async () => {
    const at = begin({ random: 0 });
    let said = 0;
    at.whenAsked(() => {
      said += 1;
      at.answers.legacy = replyOf(`${said}`);
      at.answers.orchestrator = replyOf(`o${said}`);
    });
    for (let read = 0; read < 20; read += 1) await at.offer(replyOf('first'));
    await at.pass(10_000);
    const { noise, repeats } = at.verdicts.report(SERVICE).actions['get_memories'] ?? {};
    expect(repeats).toBe(20);
    expect(noise).toMatchObject([{ place: 'value memories[].memory', noisy: 20, differing: 20 }]);
    const concluded = at.events.flatMap(({ name, event }) =>
      name === 'shadow:compared' ? [(event as { comparison: Comparison }).comparison.reason] : [],
    );
    expect(concluded).toContain('noise');
  });
});

describe('a backend whose circuit breaker is open', () => {
  const refuseTimes = (times: number) => {
    let left = times;
    return (backend: string): void => {
      if (backend !== 'orchestrator' || (left -= 1) < 0) return;
      throw new ConnectionError('is not called', { effect: 'not_applied', reason: 'breaker_open' });
    };
  };

  test('is asked a second later, and its read makes one pair', async () => {
    const at = begin({ effect: 'loads' });
    at.whenAsked(refuseTimes(3));
    await at.offer();
    expect(at.verdict()).toBeUndefined();
    for (const _ of [1, 2, 3]) await at.pass(1_010);
    expect(at.verdict()).toMatchObject({ verdict: 'match' });
    expect(at.asked.map(({ backend }) => backend)).toEqual(Array(4).fill('orchestrator'));
    expect(at.events.filter(({ name }) => name === 'shadow:paired')).toMatchObject([
      { event: { orchestrator: { isFailure: false } } },
    ]);
  });

  test('proves nothing after five seconds without success', async () => {
    const at = begin();
    at.whenAsked(refuseTimes(100));
    await at.offer();
    for (let second = 0; second < 5; second += 1) {
      expect(at.verdict()).toBeUndefined();
      await at.pass(1_010);
    }
    expect(at.verdict()).toMatchObject({ verdict: 'not_comparable', reason: 'shadow_error' });
    expect(at.events.filter(({ name }) => name === 'shadow:paired')).toMatchObject([
      { event: { orchestrator: { isFailure: true } } },
    ]);
  });

  test('delays no read that would repeat a side effect on legacy', async () => {
    const at = begin({ effect: 'loads' });
    at.answers.orchestrator = replyOf('y');
    await at.offer();
    at.whenAsked(refuseTimes(1));
    await at.pass(300);
    expect(at.verdict()).toMatchObject({ verdict: 'not_comparable', reason: 'shadow_error' });
    await at.pass(10_000);
    expect(at.asked.filter(({ backend }) => backend === 'legacy')).toHaveLength(1);
  });
});

describe('an item that only the orchestrator shows', () => {
  const emptyLegacy = JSON.stringify({ status: 'ok', memories: [] });

  test.each(['forgotten', 'lost'] as const)(
    'is no difference if its whole lane says it was %s',
    async (goneBy) => {
      const at = begin({ effect: 'loads', goneBy });
      at.answers.legacy = emptyLegacy;
      await at.offer();
      await at.pass(10_000);
      expect(at.explained).toHaveLength(1);
      expect(at.verdict()).toMatchObject({ verdict: 'not_comparable', reason: goneBy, differences: [] });
      expect(at.stored).toEqual([]);
    },
  );

  test('is a difference if its lane explains nothing', async () => {
    const at = begin({ effect: 'loads' });
    at.answers.legacy = emptyLegacy;
    await at.offer();
    await at.pass(10_000);
    expect(at.verdict()).toMatchObject({ verdict: 'mismatch' });
  });

  test('is not explained next to an item that only legacy shows', async () => {
    const at = begin({ effect: 'loads', goneBy: 'forgotten' });
    at.answers.orchestrator = emptyLegacy;
    await at.offer();
    await at.pass(10_000);
    expect(at.explained).toEqual([]);
    expect(at.verdict()).toMatchObject({ verdict: 'mismatch' });
  });
});
