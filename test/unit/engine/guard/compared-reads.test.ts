import { describe, expect, test } from 'vitest';
import { serviceName } from '../../../../src/domain/ids.ts';
import { isTrip, type Finding } from '../../../../src/engine/ports/finding.ts';
import { ServiceGuard } from '../../../../src/engine/guard/guard.ts';
import { noCounts, type GuardCounts } from '../../../../src/engine/guard/guard-counts.ts';
import { GUARD_LIMITS } from '../../../../src/engine/guard/triggers.ts';

const MINUTE_MS = 60_000;
const NOW_MS = 1_000 * MINUTE_MS;

const newGuard = (): ServiceGuard => new ServiceGuard(serviceName('jarvis-memory'), GUARD_LIMITS);

describe('reads that have moved', () => {
  const QUARTER_MS = 15 * MINUTE_MS;
  const LAST_MS = NOW_MS - QUARTER_MS;

  /** A minute of traffic, of which so many were compared. */
  const minute = (guard: ServiceGuard, atMs: number, facts: Partial<GuardCounts>): void =>
    guard.add('get', atMs, { ...noCounts(), operations: 18, orchestratorReads: 2, ...facts });

  /** Six hours in which a share was compared, and a quarter of an hour in which nothing was. */
  function stopped(comparable: number, last: Partial<GuardCounts> = {}): ServiceGuard {
    const guard = newGuard();
    for (let atMs = NOW_MS - 300 * MINUTE_MS; atMs < LAST_MS; atMs += MINUTE_MS)
      minute(guard, atMs, { comparable });
    for (let atMs = LAST_MS; atMs < NOW_MS; atMs += MINUTE_MS) minute(guard, atMs, last);
    return guard;
  }

  const stale = (guard: ServiceGuard, nowMs = NOW_MS): Finding[] =>
    guard.findings(nowMs).filter(({ trigger }) => trigger === 'not_compared');

  test('and are no longer compared are reported and block increases', () => {
    const [finding] = stale(stopped(18, { dropped: 1 }));
    expect(finding).toMatchObject({ action: 'get', steps: ['alert', 'hold_ramp'] });
    // The quarter's first minute has left the window.
    expect(finding?.numbers).toEqual({ operations: 14 * 18, compared: 0, dropped: 15 });
    expect(stale(stopped(18)).some(isTrip)).toBe(false);
  });

  test('are fine with one comparison in 15 minutes', () => {
    const guard = stopped(18);
    minute(guard, NOW_MS - MINUTE_MS, { comparable: 1 });
    expect(stale(guard)).toEqual([]);
  });

  test('with one comparison in a hundred may wait for the next one', () => {
    const guard = newGuard();
    for (let at = 0; at < 300; at += 1)
      minute(guard, NOW_MS - (300 - at) * MINUTE_MS, { comparable: at < 280 && at % 6 === 0 ? 1 : 0 });
    expect(stale(guard)).toEqual([]);
  });

  test('by a flip are not expected to be compared', () => {
    const guard = newGuard();
    for (let atMs = LAST_MS; atMs < NOW_MS; atMs += MINUTE_MS) minute(guard, atMs, { flippedReads: 2 });
    expect(stale(guard)).toEqual([]);
  });

  test('and were never compared are reported after 15 minutes', () => {
    const guard = newGuard();
    for (let atMs = LAST_MS; atMs < NOW_MS; atMs += MINUTE_MS) minute(guard, atMs, {});
    expect(stale(guard)).not.toEqual([]);
    expect(stale(guard, NOW_MS - 1)).toEqual([]);
  });

  test('are ignored while there are none, or no agent asks', () => {
    const onLegacy = newGuard();
    for (let atMs = LAST_MS; atMs < NOW_MS; atMs += MINUTE_MS)
      minute(onLegacy, atMs, { orchestratorReads: 0 });
    expect(stale(onLegacy)).toEqual([]);
    expect(stale(stopped(18), NOW_MS + QUARTER_MS)).toEqual([]);
  });
});

describe('reads of a quiet service that cannot be compared', () => {
  /** Two reads every ten minutes, of which so many cannot be compared, and what the last quarter of an hour shows. */
  function quiet(notComparable: number, last: Partial<GuardCounts>): Finding[] {
    const guard = newGuard();
    for (let atMs = NOW_MS - 300 * MINUTE_MS; atMs < NOW_MS - 20 * MINUTE_MS; atMs += 10 * MINUTE_MS)
      guard.add('get', atMs, { ...noCounts(), comparable: 2 - notComparable, notComparable });
    guard.add('get', NOW_MS - MINUTE_MS, { ...noCounts(), ...last });
    return guard.findings(NOW_MS).filter(({ trigger }) => trigger === 'not_comparable');
  }

  test('are reported by the share of six hours', () => {
    const [finding] = quiet(1, { comparable: 1, notComparable: 1 });
    expect(finding).toMatchObject({ steps: ['alert'], detail: '6h', numbers: { hits: 29, of: 58 } });
  });

  test('are ignored when it is over, or when they were few', () => {
    expect(quiet(1, { comparable: 2 })).toEqual([]);
    expect(quiet(0, { comparable: 1, notComparable: 1 })).toEqual([]);
  });
});
