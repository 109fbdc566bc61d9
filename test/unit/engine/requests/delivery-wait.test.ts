import { expect, test } from 'vitest';
import type { Backend } from '../../../../src/domain/backend.ts';
import { laneKeyOf, operationId } from '../../../../src/domain/ids.ts';
import { DeliveryWait } from '../../../../src/engine/requests/read.ts';
import { ownerNamed, SERVICE } from '../engine-parts.ts';

const ACTION = 'get_memories';

function waitUnderTest() {
  let nowMs = 0;
  const wait = new DeliveryWait({ now: () => nowMs, wallMs: () => nowMs, sleep: async () => undefined });
  const lane = laneKeyOf(SERVICE, ownerNamed('ann'));
  return {
    ms: () => wait.of(SERVICE, ACTION),
    msOfCopy: () => wait.ofCopy(SERVICE, ACTION),
    copied: (durationMs: number) => {
      const facts = { items: 1, written: 1, deleted: 0, forgotten: 0, heldMs: 1 };
      for (let i = 0; i < 20; i += 1)
        wait.listener('lane:copied', { service: SERVICE, lane, durationMs, ...facts });
      nowMs += 1_000;
    },
    pass: (ms: number) => (nowMs += ms),
    delivered: (durationMs: number, times = 300) => {
      for (let i = 0; i < times; i += 1)
        wait.listener('delivery:awaited', { service: SERVICE, lane, durationMs });
      nowMs += 1_000;
    },
    answered: (backend: Backend, durationMs: number, times = 300) => {
      const facts = { service: SERVICE, action: ACTION, operationId: operationId('o'), startedAtMs: 0 };
      for (let i = 0; i < times; i += 1)
        wait.listener('backend:called', {
          ...facts,
          backend,
          durationMs,
          purpose: 'live',
          result: 'answered',
        });
      nowMs += 1_000;
    },
  };
}

test('before anything is measured, a read waits 25 ms for its delivery', () => {
  expect(waitUnderTest().ms()).toBe(25);
});

test('a read waits a quarter longer than recent deliveries took', () => {
  const { ms, delivered } = waitUnderTest();
  delivered(8);
  expect(ms()).toBe(10);
  delivered(12);
  expect(ms()).toBe(15);
});

test('the wait keeps reads within 25 ms of the 99th percentile on legacy', () => {
  const { ms, delivered, answered } = waitUnderTest();
  delivered(100, 20);
  delivered(1, 236);
  answered('legacy', 2, 250);
  answered('legacy', 40, 6);
  answered('orchestrator', 5);
  // 40 ms of legacy and 25 more, less the 5 ms that the answer takes.
  expect(ms()).toBe(60);
});

test('a read does not wait if even the fastest deliveries take too long', () => {
  const { ms, delivered } = waitUnderTest();
  delivered(400);
  expect(ms()).toBe(0);
  delivered(10);
  expect(ms()).toBe(12.5);
});

test('durations of legacy from 15 minutes ago allow no longer wait', () => {
  const { ms, pass, answered } = waitUnderTest();
  answered('legacy', 2, 250);
  answered('legacy', 90, 6);
  expect(ms()).toBeGreaterThan(100);
  pass(16 * 60_000);
  expect(ms()).toBe(25);
});

test('failed calls and probes do not count', () => {
  const wait = new DeliveryWait({ now: () => 0, wallMs: () => 0, sleep: async () => undefined });
  const facts = {
    service: SERVICE,
    action: ACTION,
    startedAtMs: 0,
    durationMs: 900,
    backend: 'legacy',
  } as const;
  for (let i = 0; i < 300; i += 1) {
    wait.listener('backend:called', { ...facts, purpose: 'live', result: 'timeout' });
    wait.listener('backend:called', { ...facts, purpose: 'probe', result: 'answered' });
  }
  expect(wait.of(SERVICE, ACTION)).toBe(25);
});

test('a read of a new lane waits as long as copies take, within the limit', () => {
  const { msOfCopy, copied, delivered } = waitUnderTest();
  delivered(2);
  expect(msOfCopy()).toBe(25);
  copied(12);
  expect(msOfCopy()).toBe(15);
  for (let i = 0; i < 20; i += 1) copied(80);
  expect(msOfCopy()).toBe(0);
});
