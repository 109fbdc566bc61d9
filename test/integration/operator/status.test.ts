import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { ServiceFlag } from '../../../src/domain/flags.ts';
import type { Stage } from '../../../src/domain/stage.ts';
import { OperatorServer, QUIET_WORLD, SERVICE, type World } from './operator-server.ts';

const server = new OperatorServer();

beforeAll(() => server.start());
afterAll(() => server.stop());
beforeEach(() => server.reset());

describe('GET /v1/status', () => {
  test('shows the proxy, the backlog and the lanes', async () => {
    const { proxy, backlog, services } = await server.status();
    expect(proxy).toMatchObject({
      version: '0.1.0',
      journal: 'pglite',
      encrypted: true,
      flags: { source: 'file', fresh: false, last_error: 'unleash answered 401' },
    });
    expect(proxy.memory_rss_mb).toBeGreaterThan(10);
    expect(Math.abs(Date.parse(proxy.started_at) - Date.now())).toBeLessThan(60_000);
    expect(backlog).toEqual({ deliveries: 4, copies: 5, listings: 0, shadow_reads: 6 });
    expect(services[0]).toMatchObject({
      service: SERVICE,
      interlocks: 'enforce',
      lanes: { total: 10, seeded: 7, dirty: 2, copying: 1, stopped: 1, excepted: 1 },
      dead_letters: 3,
      lost_items: 5,
      pending: 0,
      lane_percentage: 2.5,
      lag: { writes: 8, lanes: 3, oldest_seconds: 12.3 },
      legacy_only: [{ action: 'get_context', reason: 'it lives in the process' }],
      passthrough: [{ action: 'stats', reason: 'about the process' }],
      not_flippable: [
        {
          action: 'embed',
          reason: 'the definition has no asPrimary for it, so that only legacy can answer it',
        },
      ],
      unmapped: [{ what: 'embeddings', reason: 'made anew' }],
      after_flip: ['embed: legacy does not get the vector'],
    });
  });

  test('rates and quantiles are null, and not 0, before any data', async () => {
    const { mismatch_rate, latency_ms } = await server.service();
    expect(mismatch_rate).toBeNull();
    expect(latency_ms.orchestrator).toEqual({ p50: null, p95: null, p99: null, count: 0 });
  });

  test.each<[string, Partial<World>, ServiceFlag, { in_effect: number; reason: string }]>([
    ['nothing asked', {}, 'dual-write', { in_effect: 0, reason: 'off' }],
    [
      'asked, not begun',
      { percentages: { 'dual-write': 100 } },
      'dual-write',
      { in_effect: 0, reason: 'beginning' },
    ],
    [
      'begun',
      { percentages: { 'dual-write': 100 }, coverage: 2 },
      'dual-write',
      { in_effect: 100, reason: 'on' },
    ],
    ['not ended yet', { coverage: 2 }, 'dual-write', { in_effect: 100, reason: 'ending' }],
    [
      'not covered',
      { percentages: { 'shadow-read': 30 } },
      'shadow-read',
      { in_effect: 0, reason: 'not_covered' },
    ],
    [
      'covered',
      { percentages: { 'shadow-read': 30 }, coverage: 2 },
      'shadow-read',
      { in_effect: 30, reason: 'on' },
    ],
    [
      'reads moved',
      { percentages: { 'read-cutover': 20 }, coverage: 2 },
      'read-cutover',
      { in_effect: 20, reason: 'on' },
    ],
    [
      'killed',
      { percentages: { 'read-cutover': 20 }, coverage: 2, isKilled: true },
      'read-cutover',
      { in_effect: 0, reason: 'kill_switch' },
    ],
    [
      'killed spares shadow reads',
      { percentages: { 'shadow-read': 30 }, coverage: 2, isKilled: true },
      'shadow-read',
      { in_effect: 30, reason: 'on' },
    ],
    [
      'on',
      { percentages: { 'write-cutover': 50 }, coverage: 2 },
      'write-cutover',
      { in_effect: 50, reason: 'on' },
    ],
    [
      'a request for a person',
      { percentages: { 'legacy-read-only': 100 }, coverage: 2 },
      'legacy-read-only',
      { in_effect: 0, reason: 'waits_for_person' },
    ],
    [
      'what a person has recorded, whatever the flag says',
      { coverage: 2, writes: 'read_only' },
      'legacy-read-only',
      { in_effect: 100, reason: 'on' },
    ],
  ])('%s: %j shows %s as %j', async (_name, changes, flag, expected) => {
    server.world = { ...QUIET_WORLD, ...changes };
    const { flags } = await server.service();
    expect(flags[flag]).toEqual({ asked: changes.percentages?.[flag] ?? 0, ...expected });
  });

  const CUT_OVER = { 'dual-write': 100, 'shadow-read': 10, 'read-cutover': 5 };
  test.each<readonly [string, Partial<World>, stage: Stage, requested: Stage]>([
    ['covered', { percentages: CUT_OVER, coverage: 2 }, 'read_cutover', 'read_cutover'],
    ['beginning', { percentages: CUT_OVER }, 'off', 'read_cutover'],
    ['ending', { coverage: 2 }, 'dual_write', 'off'],
    ['killed', { percentages: CUT_OVER, coverage: 2, isKilled: true }, 'shadow_read', 'read_cutover'],
    [
      'not available',
      { percentages: { ...CUT_OVER, 'legacy-read-only': 100 }, coverage: 2 },
      'read_cutover',
      'legacy_read_only',
    ],
  ])('%s: the active stage is shown with the requested one', async (...row) => {
    const [, changes, stage, requested] = row;
    server.world = { ...QUIET_WORLD, ...changes };
    expect(await server.service()).toMatchObject({ stage, requested_stage: requested });
  });

  test('a database that is away is reported, and not shown as zeros', async () => {
    server.world = { ...QUIET_WORLD, isDatabaseAway: true };
    const answer = await server.ask('/v1/status');
    expect(answer.status).toBe(503);
    expect(JSON.parse(answer.body)).toEqual({
      error: 'storage_error',
      message: 'the database does not answer',
    });
  });
});
