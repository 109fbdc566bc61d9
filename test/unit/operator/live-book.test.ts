import { expect, test } from 'vitest';
import { operationId, serviceName, type LaneKey } from '../../../src/domain/ids.ts';
import { KEPT_SAMPLES, LiveBook } from '../../../src/operator/live-book.ts';

const SERVICE = serviceName('session-memory');
const OF_OPERATION = { operationId: operationId('o'), service: SERVICE, action: 'get_context' };

function read(book: LiveBook, backend: 'legacy' | 'orchestrator'): void {
  const { listener } = book;
  listener('operation:decided', {
    ...OF_OPERATION,
    decision: { primary: backend, dualWrite: true, shadowRead: false, reason: 'flag_on' },
  });
  listener('operation:replied', {
    ...OF_OPERATION,
    kind: 'read',
    backend,
    status: 'answered',
    durationMs: 12,
    primaryMs: 10,
  });
}

test('a sample holds exactly what happened since the one before', () => {
  const book = new LiveBook([SERVICE]);
  read(book, 'orchestrator');
  read(book, 'legacy');
  book.listener('delivery:applied', {
    ...OF_OPERATION,
    lane: 'session-memory/a' as LaneKey,
    sequence: 1,
    result: 'applied',
    lagMs: 40,
  });
  book.turn(1_000);
  book.turn(3_000);
  const [first, second] = book.samplesOf(SERVICE) ?? [];
  expect(first).toMatchObject({
    atMs: 1_000,
    reads: { legacy: 1, orchestrator: 1 },
    reasons: { flag_on: 2 },
    lagMs: 40,
  });
  expect(first?.addedP95).toBeGreaterThan(1.7);
  expect(second).toMatchObject({
    atMs: 3_000,
    reads: { legacy: 0, orchestrator: 0 },
    reasons: {},
    lagMs: null,
  });
});

test('it keeps 15 minutes, and notifies watchers until they leave', () => {
  const book = new LiveBook([SERVICE]);
  let told = 0;
  const leave = book.watch(() => (told += 1));
  for (let turn = 0; turn < KEPT_SAMPLES + 10; turn += 1) book.turn(turn);
  leave();
  book.turn(KEPT_SAMPLES + 10);
  expect(book.samplesOf(SERVICE)).toHaveLength(KEPT_SAMPLES);
  expect(book.samplesOf(SERVICE)?.at(0)?.atMs).toBe(11);
  expect(told).toBe(KEPT_SAMPLES + 10);
  expect(book.samplesOf(serviceName('nobody'))).toBeUndefined();
});

test('events of unknown services are ignored', () => {
  const book = new LiveBook([]);
  expect(() => read(book, 'legacy')).not.toThrow();
});
