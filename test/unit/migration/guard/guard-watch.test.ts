import { expect, test } from 'vitest';
import { operationId, replicaId, type LaneKey } from '../../../../src/domain/ids.ts';
import { createEvents } from '../../../../src/migration/events.ts';
import { GUARD_LIMITS } from '../../../../src/migration/guard/guard-limits.ts';
import { GuardRecorder } from '../../../../src/migration/guard/guard-recorder.ts';
import { GuardWatch, type GuardWatchParts } from '../../../../src/migration/guard/guard-watch.ts';
import { LatchBoard } from '../../../../src/migration/guard/latch-board.ts';
import { eventually } from '../../../support/eventually.ts';
import { SERVICE } from '../engine-parts.ts';

/** A guard whose seconds pass at once, and what it asked of its database, in order. */
function createWatch() {
  const asked: string[] = [];
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
  const parts = {
    replica: replicaId('here'),
    services: [SERVICE],
    digestOf: () => 'one',
    limits: GUARD_LIMITS,
    isBinding: true,
    recorder,
    board: new LatchBoard(clock),
    latches: {
      state: async () => {
        asked.push('state');
        return { open: [], releasedAtMs: new Map(), troubled: new Map() };
      },
      trip: async (finding: object) => {
        asked.push('trip');
        const latch = { id: 1, service: SERVICE, finding, replica: replicaId('here') };
        return { latch: { ...latch, trippedAtMs: nowMs, coolDownUntilMs: nowMs }, isNew: true };
      },
    },
    minutes: {
      write: async () => void asked.push('minutes'),
      since: async () => [],
    },
    evidence: { add: async () => void asked.push('evidence') },
    alerts: { send: () => undefined },
    clock,
    emit: events.emit,
    firstCoolDownMs: 0,
    keepMinutesMs: 1,
  };
  return { asked, events, watch: new GuardWatch(parts as unknown as GuardWatchParts) };
}

test('a trip writes its latch first, and at once what it was tripped by', async () => {
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
