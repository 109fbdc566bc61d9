import { describe, expect, test } from 'vitest';
import type { WatchedService } from '../../../../src/operator/api/guard.ts';
import { serviceName } from '../../../../src/domain/ids.ts';
import type { Finding } from '../../../../src/engine/ports/finding.ts';
import { guardSection, releasedWords } from '../../../../src/operator/views/guard.ts';
import { sectionText } from '../../../../src/operator/views/terminal.ts';
import { countedWords } from '../../../../src/operator/words.ts';

const SERVICE = serviceName('session-memory');
const NUMBERS = { hits: 16, of: 18, lower_bound: 0.4334, limit: 0.001 };

const guardText = (watched: WatchedService): string => sectionText(guardSection(SERVICE, watched));

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
    const lines = guardText(LATCHED).split('\n');
    expect(lines.filter((line) => line.includes('Found now'))).toEqual([
      '  ◆ Found now: inconsistency of get_context: 16 of 18 differ (88.9 %; lower bound 43.3 %, limit 0.1 %) (1m, 15m, 6h) → reads to legacy',
    ]);
  });

  test('the status shows what blocks reads, since when, and how to release them', () => {
    expect(guardText(LATCHED)).toMatch(
      /^session-memory\n {2}▲ Reads are held on legacy by inconsistency\n {2}Tripped 2026-11-21T22:50:46.728Z by inconsistency of the service as a whole, 1m: 16 of 18 differ .*\n {2}It can be released after 2026-11-21T23:05:46.728Z\.\n/,
    );
    expect(guardText(LATCHED)).toContain(
      '\n  Release it with: crossfade guard release session-memory --person NAME --reason TEXT\n',
    );
  });

  test('a trip says how many lanes it does not move', () => {
    expect(guardText({ ...LATCHED, flipped_lanes: 1 })).toContain(
      '\n  1 flipped lane stays on the orchestrator: neither a trip nor the kill switch moves them.\n',
    );
    expect(guardText({ ...LATCHED, flipped_lanes: 0 })).not.toContain('flipped');
  });

  test('another cause is a separate finding', () => {
    const lost: Finding = {
      service: SERVICE,
      trigger: 'lost',
      steps: ['alert', 'hold_ramp'],
      numbers: { lanes: 1 },
    };
    const told = guardText({ ...LATCHED, findings: [...SIX, lost] });
    expect(told.match(/Found now/g)).toHaveLength(2);
    expect(told).toContain('Found now: lost: 1 lane → alert, hold ramp');
  });

  test('a signal from outside is found without counts', () => {
    const signal: Finding = {
      service: SERVICE,
      trigger: 'external',
      steps: ['reads_to_legacy'],
      detail: 'agents repeat themselves',
      numbers: {},
    };
    expect(guardText({ held_by: null, findings: [signal], triggers: [] })).toContain(
      '  ◆ Found now: external (agents repeat themselves) → reads to legacy\n',
    );
  });

  test('without counts there is no percentage', () => {
    const told = guardText({
      held_by: null,
      findings: [],
      triggers: [{ trigger: 'inconsistency', numbers: {}, reached: 0 }],
    });
    expect(told).toMatch(
      /^session-memory\n {2}● Reads are not held on legacy\n.*\n {2}inconsistency +0 % +answers that differ +nothing$/,
    );
  });

  test('a rate above its limit says why it does not trip yet', () => {
    const numbers = { hits: 2, of: 10, lower_bound: 0.021, limit: 0.01, least_hits: 5 };
    const told = guardText({
      held_by: null,
      findings: [],
      triggers: [{ trigger: 'errors', numbers, reached: 0.4 }],
    });
    expect(told).toContain('2 of 10 failed (20 %; lower bound 2.1 %, limit 1 %); needs at least 5 to trip');
  });

  test('a trigger that blocks increases is marked', () => {
    const triggers = [{ trigger: 'not_compared', numbers: { found: 0, limit: 1 }, reached: 0 }] as const;
    expect(guardText({ held_by: null, findings: [], triggers })).toContain(
      'moved reads that are no longer compared (blocks further increases)  0 of 1',
    );
  });

  test('an active trigger says that a release is refused without --even-so', () => {
    expect(guardText(LATCHED)).toMatch(/The guard still finds: inconsistency.*\(--even-so\)/);
    const past = { ...LATCHED, findings: SIX.filter(({ detail }) => detail !== '1m') };
    expect(guardText(past)).not.toContain('--even-so');
  });
});

test('a release names the evidence with mismatches and the flags that are off', () => {
  const stained = [{ action: 'get_context', comparable: 21, mismatches: 20, comparisons_missing: 1 }];
  expect(releasedWords(SERVICE, { flags_off: [], stained: [] })).toHaveLength(1);
  expect(releasedWords(SERVICE, { flags_off: ['a', 'b'], stained }).slice(1)).toEqual([
    'The evidence of get_context keeps 20 mismatches of 21 comparisons. 1 more comparison must match before it is proven again.',
    'The trip switched off a and b. Switch them on again to move reads.',
  ]);
});

test('findings in the stores name all items only after a full reconciliation', () => {
  const found = { items: 1, lanes: 1, limit: 0.001 };
  expect(countedWords('stores', { ...found, of_items: 0, of_lanes: 0 })).toBe(
    '1 item in 1 lane, limit 0.1 %',
  );
  expect(countedWords('stores', { ...found, of_items: 9, of_lanes: 2 })).toBe(
    '1 item of 9 in 1 lane of 2, limit 0.1 %',
  );
});
