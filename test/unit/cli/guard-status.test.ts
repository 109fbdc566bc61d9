import { describe, expect, test } from 'vitest';
import type { WatchedService } from '../../../src/operator/api/guard.ts';
import { toldGuard } from '../../../src/cli/guard-status.ts';
import { serviceName } from '../../../src/domain/ids.ts';
import type { Finding } from '../../../src/engine/ports/finding.ts';

const SERVICE = serviceName('session-memory');
const NUMBERS = { hits: 16, of: 18, lower_bound: 0.4334, limit: 0.001 };

function found(detail: string, lowerBound: number, action?: string): Finding {
  return {
    service: SERVICE,
    trigger: 'inconsistency',
    steps: ['reads_to_legacy'],
    detail,
    numbers: { ...NUMBERS, lower_bound: lowerBound },
    ...(action !== undefined && { action }),
  };
}

const SIX = [undefined, 'get_context'].flatMap((action) => [
  found('1m', 0.4334, action),
  found('15m', 0.2, action),
  found('6h', 0.1, action),
]);

const LATCHED: WatchedService = {
  held_by: 'inconsistency',
  findings: SIX,
  latch: {
    id: 1,
    tripped_at: '2026-11-21T22:50:46.728Z',
    cool_down_until: '2026-11-21T23:05:46.728Z',
    finding: found('1m', 0.166),
  },
  triggers: [
    { trigger: 'inconsistency', detail: '1m', numbers: { ...NUMBERS, least_hits: 5 }, reached: 1 },
    { trigger: 'latency', numbers: { found: 0, limit: 3 }, reached: 0 },
  ],
};

describe('the guard of a service in words', () => {
  test('one cause is one finding, however many windows and actions it shows in', () => {
    const lines = toldGuard(SERVICE, LATCHED).split('\n');
    expect(lines.filter((line) => line.includes('found now'))).toEqual([
      '  found now: inconsistency of get_context: 16 of 18 differ (88.9 %; lower bound 43.3 %, limit 0.1 %) (1m, 15m, 6h) → reads to legacy',
    ]);
  });

  test('the status shows what blocks reads, since when, and how to release them', () => {
    expect(toldGuard(SERVICE, LATCHED)).toMatch(
      /^session-memory {2}READS HELD ON LEGACY by inconsistency\n.*tripped 2026-11-21T22:50:46.728Z.*\n.*Can be released after 2026-11-21T23:05:46.728Z with: crossfade guard release session-memory --person NAME/,
    );
  });

  test('another cause is a separate finding', () => {
    const lost: Finding = {
      service: SERVICE,
      trigger: 'lost',
      steps: ['alert', 'hold_ramp'],
      numbers: { lanes: 1 },
    };
    const told = toldGuard(SERVICE, { ...LATCHED, findings: [...SIX, lost] });
    expect(told.match(/found now/g)).toHaveLength(2);
    expect(told).toContain('found now: lost: 1 lane → alert, hold ramp');
  });

  test('a signal from outside is found without counts', () => {
    const signal: Finding = {
      service: SERVICE,
      trigger: 'external',
      steps: ['reads_to_legacy'],
      detail: 'agents repeat themselves',
      numbers: {},
    };
    expect(toldGuard(SERVICE, { held_by: null, findings: [signal], triggers: [] })).toContain(
      '  found now: external (agents repeat themselves) → reads to legacy\n',
    );
  });

  test('without counts there is no percentage', () => {
    const told = toldGuard(SERVICE, {
      held_by: null,
      findings: [],
      triggers: [{ trigger: 'inconsistency', numbers: {}, reached: 0 }],
    });
    expect(told).toMatch(
      /^session-memory {2}reads are not held\n.*\n {2}inconsistency +0 % +answers that differ +nothing$/,
    );
  });

  test('a rate above its limit says why it does not trip yet', () => {
    const numbers = { hits: 2, of: 10, lower_bound: 0.021, limit: 0.01, least_hits: 5 };
    const told = toldGuard(SERVICE, {
      held_by: null,
      findings: [],
      triggers: [{ trigger: 'errors', numbers, reached: 0.4 }],
    });
    expect(told).toContain('2 of 10 failed (20 %; lower bound 2.1 %, limit 1 %); needs at least 5 to trip');
  });

  test('a trigger that blocks increases is marked', () => {
    const triggers = [{ trigger: 'not_compared', numbers: { found: 0, limit: 1 }, reached: 0 }] as const;
    expect(toldGuard(SERVICE, { held_by: null, findings: [], triggers })).toContain(
      'moved reads that are no longer compared (blocks further increases)  0 of 1',
    );
  });

  test('an active trigger says that a release is refused without --even-so', () => {
    expect(toldGuard(SERVICE, LATCHED)).toContain('the release is refused without --even-so');
    const past = { ...LATCHED, findings: SIX.filter(({ detail }) => detail !== '1m') };
    expect(toldGuard(SERVICE, past)).not.toContain('--even-so');
  });
});
