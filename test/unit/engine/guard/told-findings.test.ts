import { expect, test } from 'vitest';
import type { Finding, Trigger } from '../../../../src/engine/ports/finding.ts';
import { ServiceGuard } from '../../../../src/engine/guard/guard.ts';
import { noCounts } from '../../../../src/engine/guard/guard-counts.ts';
import { GUARD_LIMITS } from '../../../../src/engine/guard/triggers.ts';
import { ToldFindings } from '../../../../src/engine/guard/guard-watch.ts';
import { seeded } from '../../../support/guard-stream.ts';
import { SERVICE } from '../engine-parts.ts';

const DAY_SECONDS = 86_400;
const HOUR_MS = 3_600_000;

interface Stream {
  readonly perSecond: number;
  /** Share of the reads that cannot be compared. */
  readonly rate: number;
  readonly days: number;
}

/** How often what cannot be compared begins to be found, and how often people are told of it. */
function alertsOf({ perSecond, rate, days }: Stream): { begun: number; told: number } {
  const random = seeded(7);
  const [guard, told] = [new ServiceGuard(SERVICE, GUARD_LIMITS), new ToldFindings()];
  const alerts = { begun: 0, told: 0 };
  let wasFound = false;
  for (let second = 0; second < days * DAY_SECONDS; second += 1) {
    if (random() < perSecond) {
      const isHit = random() < rate;
      const counts = { ...noCounts(), notComparable: isHit ? 1 : 0, comparable: isHit ? 0 : 1 };
      guard.add('get_context', second * 1_000, counts);
    }
    const found = guard.findings(second * 1_000).filter(({ trigger }) => trigger === 'not_comparable');
    alerts.told += told.news(SERVICE, found, second * 1_000).length;
    if (found.length > 0 && !wasFound) alerts.begun += 1;
    wasFound = found.length > 0;
  }
  return alerts;
}

test.each<[string, Stream, least: number, most: number]>([
  ['0.3 a second', { perSecond: 0.3, rate: 0.12, days: 3 }, 50, 3],
  ['one in twenty seconds', { perSecond: 0.05, rate: 0.3, days: 3 }, 20, 3],
  ['one in six minutes', { perSecond: 1 / 360, rate: 0.4, days: 5 }, 50, 3],
])('at %s a rate near its limit returns repeatedly, and is alerted once', (_pace, stream, least, most) => {
  const { begun, told } = alertsOf(stream);
  expect(begun).toBeGreaterThan(least);
  expect(told).toBeGreaterThan(0);
  expect(told).toBeLessThanOrEqual(most);
});

const found = (trigger: Trigger, ...steps: Finding['steps']): Finding => ({
  service: SERVICE,
  trigger,
  steps,
  numbers: {},
});

test('a finding that was away for three hours is alerted again', () => {
  const told = new ToldFindings();
  const rate = [found('not_comparable', 'alert')];
  expect(told.news(SERVICE, rate, 0)).toEqual(rate);
  expect(told.news(SERVICE, [], HOUR_MS)).toEqual([]);
  expect(told.news(SERVICE, rate, 2 * HOUR_MS)).toEqual([]);
  expect(told.news(SERVICE, [], 5 * HOUR_MS)).toEqual([]);
  expect(told.news(SERVICE, rate, 5 * HOUR_MS)).toEqual(rate);
});

test('each dead letter after all were resolved is alerted, however soon', () => {
  const told = new ToldFindings();
  const letters = [found('dead_letters', 'alert')];
  expect(told.news(SERVICE, letters, 0)).toEqual(letters);
  expect(told.news(SERVICE, letters, 1_000)).toEqual([]);
  expect(told.news(SERVICE, [], 2_000)).toEqual([]);
  expect(told.news(SERVICE, letters, 3_000)).toEqual(letters);
});

test('a finding that gets worse is alerted again, but not each time it varies', () => {
  const told = new ToldFindings();
  const [mild, grave] = [found('dead_letters', 'alert'), found('dead_letters', 'alert', 'hold_ramp')];
  expect(told.news(SERVICE, [mild], 0)).toEqual([mild]);
  expect(told.news(SERVICE, [grave], 1)).toEqual([grave]);
  expect(told.news(SERVICE, [mild], 2)).toEqual([]);
  expect(told.news(SERVICE, [grave], 3)).toEqual([]);
});

test('after a release every finding is new', () => {
  const told = new ToldFindings();
  const rate = [found('errors', 'reads_to_legacy')];
  told.news(SERVICE, rate, 0);
  told.forget(SERVICE);
  expect(told.news(SERVICE, rate, 1)).toEqual(rate);
});
