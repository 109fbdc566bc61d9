import { expect, test } from 'vitest';
import { type LaneKey, operationId, replicaId, type ServiceName } from '../../../../src/domain/ids.ts';
import { createEvents } from '../../../../src/engine/ports/events.ts';
import { GUARD_LIMITS } from '../../../../src/engine/guard/triggers.ts';
import { GuardRecorder } from '../../../../src/engine/guard/guard-recorder.ts';
import { GuardWatch, type GuardWatchParts } from '../../../../src/engine/guard/guard-watch.ts';
import type { Latch } from '../../../../src/engine/ports/finding.ts';
import { Latches } from '../../../../src/engine/guard/latches.ts';
import { eventually } from '../../../support/eventually.ts';
import { SERVICE } from '../engine-parts.ts';

/** Notes what held the service's reads after each answer of the database. */
class WatchedBoard extends Latches {
  readonly causes: (string | undefined)[] = [];

  override adopt(...answer: Parameters<Latches['adopt']>): boolean {
    const isAdopted = super.adopt(...answer);
    this.causes.push(this.holdOf(SERVICE)?.cause);
    return isAdopted;
  }
}

/** A guard whose seconds pass at once, and what it asked of its database, in order. */
function createWatch() {
  const asked: string[] = [];
  const open: Latch[] = [];
  const released = new Map<ServiceName, number>();
  /** When the answer to the next question comes. */
  let arrives: Promise<void> = Promise.resolve();
  let nowMs = 1_000_000;
  const clock = {
    now: () => nowMs,
    wallMs: () => nowMs,
    sleep: async (ms: number) => {
      await new Promise(setImmediate);
      nowMs += ms;
    },
  };
  const events = createEvents();
  const recorder = new GuardRecorder(clock, () => undefined);
  events.subscribe(recorder.listener);
  const board = new WatchedBoard(clock);
  const parts: GuardWatchParts = {
    replica: replicaId('here'),
    services: [SERVICE],
    digestOf: () => 'one',
    limits: GUARD_LIMITS,
    isBinding: true,
    recorder,
    board,
    latches: {
      state: async () => {
        asked.push('state');
        const [seen, arrived] = [[...open], arrives];
        arrives = Promise.resolve();
        await arrived;
        return { open: seen, releasedAtMs: new Map(released), troubled: new Map() };
      },
      trip: async (finding) => {
        asked.push('trip');
        const latch = { id: 1, service: SERVICE, finding, replica: replicaId('here') };
        const tripped: Latch = { ...latch, trippedAtMs: nowMs, coolDownUntilMs: nowMs };
        open.push(tripped);
        return { latch: tripped, isNew: true, flippedLanes: 0 };
      },
      release: async () => {
        released.set(SERVICE, nowMs);
        return { result: 'released', latch: open.pop() ?? expect.fail() };
      },
    },
    minutes: {
      write: async () => void asked.push('minutes'),
      since: async () => [],
      prune: async () => undefined,
    },
    evidence: { add: async () => void asked.push('evidence'), of: async () => new Map() },
    alerts: { send: () => undefined },
    clock,
    emit: events.emit,
    firstCoolDownMs: 0,
    keepMinutesMs: 1,
  };
  const watch = new GuardWatch(parts);
  /** The next question's answer, given at once, arrives when the returned function is called. */
  const delayAnswer = (): (() => void) => {
    const { promise, resolve } = Promise.withResolvers<void>();
    arrives = promise;
    return resolve;
  };
  return { asked, board, events, delayAnswer, watch };
}

const questions = (asked: readonly string[]): number => asked.filter((what) => what === 'state').length;

test('a trip stores its latch first, and then the minutes that caused it', async () => {
  const { asked, events, watch } = createWatch();
  await watch.start();
  for (let at = 0; at < 5; at += 1)
    events.emit('shadow:compared', {
      operationId: operationId('o-1'),
      service: SERVICE,
      action: 'get_memories',
      lane: `${SERVICE}/ann` as LaneKey,
      primary: 'legacy',
      comparison: { verdict: 'mismatch', differences: [], suppressed: 0 },
      durationMs: 1,
    });
  await eventually('the minutes are written', () => asked.includes('minutes'));
  await watch.stop();
  // One look at the latches at the start, one behind the trip: otherwise minutes wait for the fifth second.
  expect(asked.slice(0, 5)).toEqual(['state', 'trip', 'state', 'minutes', 'evidence']);
});

test('a latch is not removed by an answer to an older query', async () => {
  const { asked, board, delayAnswer, watch } = createWatch();
  await watch.start();
  const letThrough = delayAnswer();
  const before = questions(asked);
  await eventually('the latches are asked for', () => questions(asked) > before);
  await watch.signal(SERVICE, 'agents complain');
  expect(board.holdOf(SERVICE)).toMatchObject({ cause: 'external', latch: { id: 1 } });
  board.causes.length = 0;
  letThrough();
  await eventually('two answers have come', () => board.causes.length > 1);
  await watch.stop();
  expect(new Set(board.causes)).toEqual(new Set(['external']));
});

test('a released latch is not set again by an answer to an older query', async () => {
  const { asked, board, delayAnswer, watch } = createWatch();
  await watch.start();
  await watch.signal(SERVICE, 'agents complain');
  const letThrough = delayAnswer();
  const before = questions(asked);
  await eventually('the latches are asked for', () => questions(asked) > before);
  await watch.release(SERVICE, { person: 'ann', reason: 'repaired' });
  board.causes.length = 0;
  letThrough();
  await eventually('two answers have come', () => board.causes.length > 1);
  await watch.stop();
  expect(new Set(board.causes)).toEqual(new Set([undefined]));
});
