import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { ConnectionError } from '../../../../src/domain/errors.ts';
import type { ServiceDefinition } from '../../../../src/domain/service-definition.ts';
import type { LegacyBackend } from '../../../../src/engine/ports/ports.ts';
import { Settler } from '../../../../src/engine/writes/settle.ts';
import { jarvisMemory } from '../../../../src/services/jarvis-memory.ts';
import { fakeClock, laneNamed, recorder, SERVICE, serviceWith, outcomeRecorderOf } from '../engine-parts.ts';

const DEADLINE_MS = 1_000;
const PROBE_MS = 10;

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** A settler before a service that answers every probe after 10 ms, while it answers. */
function createSettler(definition: ServiceDefinition = jarvisMemory) {
  const clock = fakeClock();
  const { emit } = recorder();
  const legacyFacts = { isSilent: false, probes: 0 };
  const legacy: LegacyBackend = {
    async send({ deadlineAtMs }) {
      const isSilent = legacyFacts.isSilent;
      await clock.sleep(isSilent ? deadlineAtMs - clock.now() : PROBE_MS);
      if (isSilent) throw new ConnectionError('silent', { effect: 'unknown' });
      legacyFacts.probes += 1;
      return { body: Buffer.from('{}') };
    },
    load: () => ({ inFlight: 0, queued: 0, isConnected: true, breaker: 'closed' }),
  };
  const service = serviceWith({ definition, legacy, deadlineMs: DEADLINE_MS });
  const copiedAtMs: number[] = [];
  const copies = { add: () => void copiedAtMs.push(clock.now()), wake: () => undefined };
  const reasons: string[] = [];
  const journalFacts = { marked: Promise.resolve() };
  const journal = {
    markDirty: async (_lane: string, reason: string) => {
      reasons.push(reason);
      await journalFacts.marked;
    },
  };
  const settler = new Settler({
    journal,
    outcomeRecorder: outcomeRecorderOf(clock),
    copies,
    clock,
    emit,
  });
  return { clock, settler, service, legacyFacts, journalFacts, copiedAtMs, reasons, lane: laneNamed('ann') };
}

test('the service gets no other write until the second probe is answered', async () => {
  const { clock, settler, service, lane, legacyFacts } = createSettler();
  legacyFacts.isSilent = true;
  settler.settle(lane, service);
  expect(settler.isShut(SERVICE)).toBe(true);
  const early = settler.gate(SERVICE, clock.now() + 100);
  const refused = expect(early).rejects.toMatchObject({ effect: 'not_applied', reason: 'unsettled' });
  await clock.pass(100);
  await refused;
  const late = settler.gate(SERVICE, clock.now() + 60_000);
  legacyFacts.isSilent = false;
  await clock.pass(900);
  // The last silent probe ends, then its pause; only then come two answers.
  expect(settler.isShut(SERVICE)).toBe(true);
  await clock.pass(200);
  for (let probe = 0; probe < 2; probe += 1) await clock.pass(PROBE_MS);
  await late;
  expect(legacyFacts.probes).toBe(2);
  expect(settler.isShut(SERVICE)).toBe(false);
});

test('after a broken connection the lane is copied one deadline after the send', async () => {
  const { clock, settler, service, lane, copiedAtMs } = createSettler();
  settler.settle(lane, service, clock.now());
  for (let ms = 0; ms < DEADLINE_MS - 1; ms += 1) await clock.pass(1);
  expect(copiedAtMs).toEqual([]);
  // Until then a copy for another reason must not read either.
  expect(lane.isSettling).toBe(true);
  await clock.pass(1);
  expect(copiedAtMs).toEqual([DEADLINE_MS]);
  expect(lane.isSettling).toBe(false);
});

test('on a server that is not serial, only the state after 60 s counts', async () => {
  const { clock, settler, service, lane, copiedAtMs } = createSettler({ ...jarvisMemory, isSerial: false });
  settler.settle(lane, service);
  for (let second = 0; second < 59; second += 1) await clock.pass(1_000);
  expect(copiedAtMs).toEqual([]);
  expect(lane.isSettling).toBe(true);
  await clock.pass(1_000);
  expect(copiedAtMs.length).toBeGreaterThan(0);
  expect(lane.isSettling).toBe(false);
});

test('a lane is copied again 60 s after its last unknown outcome', async () => {
  const { clock, settler, service, lane, copiedAtMs } = createSettler();
  settler.settle(lane, service);
  await clock.pass(50_000);
  settler.settle(lane, service);
  await clock.pass(10_000);
  const before = copiedAtMs.length;
  expect(lane.closesAtMs).toBe(110_000);
  await clock.pass(49_999);
  expect(copiedAtMs).toHaveLength(before);
  await clock.pass(1);
  expect(copiedAtMs.at(-1)).toBe(110_000);
});

test('an outcome that has become known needs no copy', async () => {
  const { clock, settler, service, lane, copiedAtMs } = createSettler();
  const settling = settler.settle(lane, service);
  settling.end();
  expect(lane.isSettling).toBe(false);
  await clock.pass(DEADLINE_MS);
  await clock.pass(DEADLINE_MS);
  expect(copiedAtMs).toEqual([]);
});

test('a late effect needs another copy, or stays unknown without one', async () => {
  const { settler, service, lane, reasons } = createSettler();
  settler.settle(lane, service);
  settler.settleAnew(lane, { ...service, access: { jsonFile: async () => '{}' } }, 0);
  settler.settleAnew(lane, service, 0);
  await vi.advanceTimersByTimeAsync(0);
  expect(reasons).toEqual(['unknown_outcome', 'took_effect_late', 'unknown_outcome']);
  expect(lane.isSettling).toBe(true);
});

test('a lane is copied again only after the journal knows that it is dirty', async () => {
  const { settler, lane, journalFacts, copiedAtMs } = createSettler();
  let mark = (): void => undefined;
  journalFacts.marked = new Promise<void>((resolve) => (mark = resolve));
  settler.copyAnew(lane, 'delivery_altered');
  await vi.advanceTimersByTimeAsync(0);
  // A mark that is stored after the copy would leave the lane dirty forever.
  expect(copiedAtMs).toEqual([]);
  mark();
  await vi.advanceTimersByTimeAsync(0);
  expect(copiedAtMs).toHaveLength(1);
});

test('a repeated recovery does not move the last copy of a lane', async () => {
  const { clock, settler, service, lane, copiedAtMs } = createSettler();
  settler.settle(lane, service);
  await clock.pass(30_000);
  settler.closeFound(lane);
  await clock.pass(30_000);
  expect(copiedAtMs.at(-1)).toBe(60_000);
});
