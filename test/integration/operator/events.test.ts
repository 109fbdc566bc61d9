import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { serviceName } from '../../../src/domain/ids.ts';
import { createStatistics } from '../../../src/operator/statistics.ts';
import {
  DIFFERENCE,
  LANE,
  OF_OPERATION,
  OPERATION,
  OperatorServer,
  QUIET_WORLD,
  SERVICE,
} from './operator-server.ts';

const server = new OperatorServer();

beforeAll(() => server.start());
afterAll(() => server.stop());
beforeEach(() => server.reset());

describe('the counted events', () => {
  beforeAll(() => {
    const { emit } = server.events;
    for (let ms = 1; ms <= 1_000; ms += 1) {
      emit('backend:called', {
        ...OF_OPERATION,
        backend: 'legacy',
        purpose: 'live',
        startedAtMs: 0,
        durationMs: ms,
        result: 'answered',
      });
    }
    emit('backend:called', {
      ...OF_OPERATION,
      backend: 'legacy',
      purpose: 'probe',
      startedAtMs: 0,
      durationMs: 9_999,
      result: 'answered',
    });
    emit('backend:called', {
      ...OF_OPERATION,
      backend: 'legacy',
      purpose: 'live',
      startedAtMs: 0,
      durationMs: 4_500,
      result: 'timeout',
    });
    emit('operation:replied', {
      ...OF_OPERATION,
      kind: 'read',
      backend: 'legacy',
      status: 'answered',
      durationMs: 5.5,
      primaryMs: 5,
    });
    emit('operation:replied', {
      ...OF_OPERATION,
      kind: 'read',
      status: 'timeout',
      durationMs: 4_500,
      primaryMs: 0,
    });
    emit('operation:refused', { service: SERVICE, problem: 'lone_surrogate' });
    emit('read:fell_back', { ...OF_OPERATION, reason: 'behind' });
    emit('shadow:dropped', { ...OF_OPERATION, reason: 'queue_full' });
    for (const outcome of ['applied', 'applied', 'unknown'] as const) {
      emit('write:answered', { ...OF_OPERATION, lane: LANE, sequence: 1, outcome });
    }
    emit('write:journaled', { ...OF_OPERATION, lane: LANE, sequence: 1, durationMs: 2 });
    emit('delivery:applied', { ...OF_OPERATION, lane: LANE, sequence: 1, result: 'applied', lagMs: 40 });
    emit('delivery:dead_letter', {
      ...OF_OPERATION,
      lane: LANE,
      sequence: 2,
      code: 'validation_error',
      reason: 'x',
    });
    emit('lane:copied', {
      service: SERVICE,
      lane: LANE,
      items: 9,
      written: 7,
      deleted: 1,
      forgotten: 3,
      durationMs: 1,
      heldMs: 1,
    });
    emit('lane:stopped', { service: SERVICE, lane: LANE, reason: 'lost_items', lost: 2 });
    emit('coverage:began', { service: SERVICE, number: 8 });
    const compared = { ...OF_OPERATION, lane: LANE, primary: 'legacy', durationMs: 3 } as const;
    for (let time = 0; time < 3; time += 1) {
      const comparison = { verdict: 'match', differences: [], suppressed: 0 } as const;
      const isRepeat = time === 2;
      emit('shadow:compared', {
        ...compared,
        comparison: isRepeat ? { ...comparison, isRepeat } : comparison,
      });
    }
    emit('shadow:compared', { ...compared, comparison: DIFFERENCE.comparison });
    emit('shadow:compared', {
      ...compared,
      comparison: { verdict: 'not_comparable', differences: [], suppressed: 0, reason: 'racy' },
    });
  });

  test('are in the status', async () => {
    expect(await server.service()).toMatchObject({
      comparisons: { match: 3, mismatch: 1, not_comparable: 1 },
      not_comparable_by: { racy: 1 },
      proofs: 3,
      no_proof_by: { racy: 1, repeat: 1 },
      mismatch_rate: 0.25,
      reads_by: { legacy: 1, orchestrator: 0 },
      writes: { applied: 2, refused: 0, unknown: 1, not_applied: 0 },
      fallbacks: { behind: 1 },
      shadow_dropped: { queue_full: 1 },
      bad_input: { lone_surrogate: 1 },
      forgotten: 3,
      lost: 2,
      copied_lanes: 1,
      added_ms: { count: 1 },
    });
  });

  test('quantiles of 1 to 1000 ms are within 10 %, without probes and timeouts', async () => {
    const { legacy } = (await server.service()).latency_ms;
    expect(legacy.count).toBe(1_000);
    const isWithin = (value: number | null, exact: number): boolean =>
      value !== null && Math.abs(value - exact) <= exact * 0.1;
    expect(isWithin(legacy.p50, 500)).toBe(true);
    expect(isWithin(legacy.p95, 950)).toBe(true);
    expect(isWithin(legacy.p99, 990)).toBe(true);
    expect(isWithin(legacy.p50, 600), 'the check can fail').toBe(false);
  });

  test.each([
    'crossfade_operations_total{service="session-memory",action="get_context",kind="read",status="answered"} 1',
    'crossfade_operations_total{service="session-memory",action="get_context",kind="read",status="timeout"} 1',
    'crossfade_operation_duration_seconds_count{service="session-memory",action="get_context",kind="read"} 2',
    'crossfade_added_duration_seconds_bucket{service="session-memory",kind="read",le="0.00025"} 0',
    'crossfade_added_duration_seconds_bucket{service="session-memory",kind="read",le="0.0005"} 1',
    'crossfade_backend_calls_total{service="session-memory",backend="legacy",purpose="live",result="timeout"} 1',
    'crossfade_journal_commit_duration_seconds_sum{service="session-memory"} 0.002',
    'crossfade_writes_total{service="session-memory",outcome="applied"} 2',
    'crossfade_deliveries_total{service="session-memory",result="applied"} 1',
    'crossfade_delivery_lag_seconds_sum{service="session-memory"} 0.04',
    'crossfade_dead_letters_total{service="session-memory",code="validation_error"} 1',
    'crossfade_lanes_copied_total{service="session-memory"} 1',
    'crossfade_items_written_total{service="session-memory"} 7',
    'crossfade_items_forgotten_total{service="session-memory"} 3',
    'crossfade_items_lost_total{service="session-memory"} 2',
    'crossfade_comparisons_total{service="session-memory",action="get_context",verdict="match"} 3',
    'crossfade_differences_total{service="session-memory",action="get_context",class="value"} 1',
    'crossfade_not_comparable_total{service="session-memory",reason="racy"} 1',
    'crossfade_shadow_reads_dropped_total{service="session-memory",reason="queue_full"} 1',
    'crossfade_reads_fell_back_total{service="session-memory",reason="behind"} 1',
    'crossfade_bad_input_total{service="session-memory",problem="lone_surrogate"} 1',
    'crossfade_coverage_number{service="session-memory"} 8',
    'crossfade_pending_deliveries 4',
    'crossfade_copies_waiting 5',
    'crossfade_shadow_reads_waiting 6',
    'crossfade_lanes{service="session-memory",condition="clean"} 6',
    'crossfade_lanes{service="session-memory",condition="dirty"} 2',
    'crossfade_seeded_lanes{service="session-memory"} 7',
  ])('are in the metrics: %s', async (line) => {
    const { status: code, type, body } = await server.ask('/metrics');
    expect(code).toBe(200);
    expect(type).toContain('text/plain');
    expect(body.split('\n')).toContain(line);
  });

  test('scraping twice counts nothing twice', async () => {
    const [first, second] = [(await server.ask('/metrics')).body, (await server.ask('/metrics')).body];
    const counters = (text: string): string[] => text.split('\n').filter((line) => line.includes('_total'));
    expect(counters(first).length).toBeGreaterThan(15);
    expect(counters(second)).toEqual(counters(first));
  });

  test('no metric names an owner or the machine', async () => {
    const { body } = await server.ask('/metrics');
    expect(body).not.toContain('owner-4711');
    expect(body).not.toContain(OPERATION);
    expect(body).not.toContain('target_info');
    expect(body).toContain('session-memory');
  });

  test('counters are still shown while a database is away', async () => {
    server.world = { ...QUIET_WORLD, isDatabaseAway: true };
    const { status: code, body } = await server.ask('/metrics');
    expect(code).toBe(200);
    expect(body).toContain('crossfade_operations_total');
    expect(body).toContain('crossfade_resident_memory_bytes');
    expect(body).not.toContain('crossfade_pending_deliveries');
    expect(body).not.toContain('crossfade_lanes{');
  });
});

test('events of an unknown service are ignored', () => {
  const statistics = createStatistics([]);
  const unknown = serviceName('unknown');
  statistics.listener('operation:refused', { service: unknown, problem: 'empty' });
  expect(statistics.of(unknown).badInput).toEqual({});
});
