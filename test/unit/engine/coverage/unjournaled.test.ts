import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Unjournaled } from '../../../../src/engine/coverage/unjournaled.ts';
import { Coverage } from '../../../../src/engine/ports/service-runtime.ts';
import { fakeClock, SERVICE, serviceWith } from '../engine-parts.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function createUnjournaled() {
  const clock = fakeClock();
  const service = serviceWith({ deadlineMs: 100 });
  const unjournaled = new Unjournaled({
    coverage: new Map([[SERVICE, new Coverage()]]),
    clock,
    probed: async () => undefined,
  });
  let hasEnded = false;
  const wait = (ms: number): void => void unjournaled.ended(ms).then(() => (hasEnded = true));
  return { clock, service, unjournaled, wait, hasEnded: () => hasEnded };
}

test('a stop waits until an unjournaled write of unknown outcome can have no effect', async () => {
  const { clock, service, unjournaled, wait, hasEnded } = createUnjournaled();
  unjournaled.begin(service)('unknown');
  wait(1_000);
  for (let ms = 0; ms < 80; ms += 20) await clock.pass(20);
  expect(hasEnded()).toBe(false);
  for (let ms = 0; ms < 80; ms += 20) await clock.pass(20);
  expect(hasEnded()).toBe(true);
});

test('a stop waits a limited time for a service that is unavailable', async () => {
  const { clock, service, unjournaled, wait, hasEnded } = createUnjournaled();
  unjournaled.begin(service);
  wait(40);
  for (let ms = 0; ms < 100; ms += 20) await clock.pass(20);
  expect(hasEnded()).toBe(true);
});

test('a stop does not wait where every unjournaled write has ended', async () => {
  const { clock, service, unjournaled, wait, hasEnded } = createUnjournaled();
  unjournaled.begin(service)('certain');
  wait(1_000);
  await clock.pass(0);
  expect(hasEnded()).toBe(true);
});
