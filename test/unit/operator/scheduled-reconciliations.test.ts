import { describe, expect, test } from 'vitest';
import { serviceName } from '../../../src/domain/ids.ts';
import type { Run, RunRequest } from '../../../src/engine/ports/run.ts';
import { RunRefused } from '../../../src/engine/runs/run-commands.ts';
import { createRunSchedule, longestGapMs, type RunSchedule } from '../../../src/operator/run-schedule.ts';
import { ScheduledReconciliations, type Scope } from '../../../src/operator/scheduled-reconciliations.ts';

describe('a schedule', () => {
  const nightly = createRunSchedule('30 2 * * *', 'Europe/Berlin');
  const lastAt = (iso: string): string | undefined => {
    const lastMs = nightly.lastAt(Date.parse(iso));
    return lastMs === undefined ? undefined : new Date(lastMs).toISOString();
  };

  test.each([
    { now: '2026-11-21T01:29:59.999Z', last: '2026-11-20T01:30:00.000Z', what: 'a moment too early' },
    { now: '2026-11-21T01:30:00.000Z', last: '2026-11-21T01:30:00.000Z', what: 'when it is due' },
    { now: '2026-11-22T01:29:00.000Z', last: '2026-11-21T01:30:00.000Z', what: 'a day later' },
    { now: '2026-07-01T12:00:00.000Z', last: '2026-07-01T00:30:00.000Z', what: 'in summer' },
  ])('$what names $last', ({ now, last }) => {
    expect(lastAt(now)).toBe(last);
  });

  test('names a time once on a day with a repeated hour, and on a day without it', () => {
    const named = (from: string, days: number): ReadonlySet<string | undefined> => {
      const minutes = Array.from({ length: days * 24 * 60 }, (_, minute) => minute * 60_000);
      return new Set(minutes.map((ms) => lastAt(new Date(Date.parse(from) + ms).toISOString())));
    };
    expect(named('2026-10-24T12:00:00Z', 2).size).toBe(3);
    expect(named('2026-03-28T12:00:00Z', 2).size).toBe(3);
  });
});

test.each([
  { pattern: '30 3 * * *', hours: 24 },
  { pattern: '30 3 * * 0', hours: 168 },
  { pattern: '30 3 * * 1-5', hours: 72 },
  { pattern: 'off', hours: Infinity },
])('$pattern leaves at most $hours h between two runs', ({ pattern, hours }) => {
  expect(longestGapMs(pattern, 'UTC', new Date('2026-11-21T10:00:00Z'))).toBe(hours * 3_600_000);
});

const SERVICE = serviceName('session-memory');
const DAY_MS = 86_400_000;
const NOW_MS = Date.parse('2026-11-21T10:00:00Z');

interface Case {
  readonly scopes?: readonly Scope[];
  /** When they were due last. */
  readonly dueMs?: number;
  readonly isBusy?: boolean;
  readonly comparable?: readonly (typeof SERVICE)[];
  readonly installedAtMs?: number;
  /** By other replicas. */
  readonly begunBefore?: readonly string[];
  readonly refusal?: RunRefused;
}

/** Lets it look so often, and resolves with what it asked for. */
async function begun(looks: number, given: Case): Promise<readonly RunRequest[]> {
  const { scopes = ['full', 'changed'], dueMs = NOW_MS - 3_600_000, refusal } = given;
  const asked: RunRequest[] = [];
  const schedule: RunSchedule = { lastAt: () => dueMs };
  let left = looks;
  const { promise: over, resolve } = Promise.withResolvers<void>();
  const scheduled = new ScheduledReconciliations({
    schedules: new Map(scopes.map((scope) => [scope, schedule])),
    comparable: async () => given.comparable ?? [SERVICE],
    begun: async () => new Set(given.begunBefore),
    async begin(request) {
      asked.push(request);
      if (refusal !== undefined) throw refusal;
      return {} as Run;
    },
    isBusy: async () => given.isBusy === true,
    installedAtMs: async () => given.installedAtMs ?? NOW_MS - 30 * DAY_MS,
    clock: {
      now: () => 0,
      wallMs: () => NOW_MS,
      async sleep() {
        left -= 1;
        if (left > 0) return;
        resolve();
        await new Promise(() => undefined);
      },
    },
    onProblem: (problem) => {
      throw new Error(problem);
    },
  });
  await scheduled.start();
  await over;
  return asked;
}

test('a due run is started once, full ones first, with its due time', async () => {
  const asked = await begun(3, {});
  expect(asked).toEqual([
    expect.objectContaining({ scope: 'full', services: [SERVICE], scheduled: '2026-11-21T09:00:00.000Z' }),
    expect.objectContaining({ scope: 'changed', person: 'schedule' }),
  ]);
});

test('a run that another replica has started is not requested again', async () => {
  expect(await begun(3, { scopes: ['full'], refusal: new RunRefused('known', 'begun before') })).toHaveLength(
    1,
  );
});

test('services that another replica has begun are left out', async () => {
  const other = serviceName('jarvis-memory');
  const given: Case = { scopes: ['full'], comparable: [SERVICE, other] };
  expect(await begun(3, { ...given, begunBefore: [other] })).toEqual([
    expect.objectContaining({ services: [SERVICE] }),
  ]);
  expect(await begun(3, { ...given, begunBefore: [SERVICE, other] })).toEqual([]);
});

test('while another run is running, it is requested again and again', async () => {
  const refusal = new RunRefused('conflict', 'run 7 is under way');
  expect(await begun(3, { scopes: ['full'], refusal })).toHaveLength(3);
});

test.each<{ what: string; given: Case }>([
  { what: 'it was due before the installation', given: { installedAtMs: NOW_MS - 60_000 } },
  { what: 'it was missed for longer than half a day', given: { dueMs: NOW_MS - 13 * 3_600_000 } },
  { what: 'another run is under way', given: { isBusy: true } },
  { what: 'nothing is on both sides yet', given: { comparable: [] } },
])('nothing is started while $what', async ({ given }) => {
  expect(await begun(2, given)).toEqual([]);
});
