import { SERVICE_FLAGS, type ServiceFlag } from '../../../../src/domain/flags.ts';
import { serviceName } from '../../../../src/domain/ids.ts';
import { noCounts, type GuardCounts } from '../../../../src/engine/guard/guard-counts.ts';
import type { InterlockFacts } from '../../../../src/engine/guard/interlock-facts.ts';
import type { Judged } from '../../../../src/engine/guard/interlock-keeper.ts';
import { judgeFlags, NOTHING_GRANTED } from '../../../../src/engine/guard/judge-flags.ts';
import type { ServiceDay } from '../../../../src/engine/report/report-ports.ts';
import { spanOf } from '../../../../src/operator/report/calendar-day.ts';
import { failedIn } from '../../../../src/operator/report/criteria.ts';
import type { Report } from '../../../../src/operator/report/report.ts';
import {
  serviceReport,
  type ReportedDay,
  type ServiceFacts,
} from '../../../../src/operator/report/service-report.ts';
import type { EndCriteriaFacts } from '../../../../src/operator/report/criteria.ts';
import { fineFacts } from '../../engine/guard/facts.ts';

export const SERVICE = serviceName('session-memory');
export const ZONE = 'Europe/Berlin';
export const DATE = '2026-11-20';
export const SPAN = spanOf(DATE, ZONE);
const HOUR_MS = 3_600_000;

/** Percent asked for, all of it in effect. */
export function flagsAt(asked: Partial<Record<ServiceFlag, number>>): ServiceFacts['status']['flags'] {
  const entries = SERVICE_FLAGS.map((flag) => {
    const percent = asked[flag] ?? 0;
    return [flag, { asked: percent, in_effect: percent, reason: percent > 0 ? 'on' : 'off' }] as const;
  });
  return Object.fromEntries(entries) as ServiceFacts['status']['flags'];
}

export function judgedBy(more: Partial<InterlockFacts> = {}): Judged {
  const facts = fineFacts(more);
  return { facts, verdict: judgeFlags(facts, NOTHING_GRANTED) };
}

export function countsWith(more: Partial<GuardCounts>): GuardCounts {
  return { ...noCounts(), ...more };
}

export const QUIET_DAY: ServiceDay = {
  hours: [],
  arms: [],
  letters: { open: 0, lanes: 0, added: 0, redriven: 0, skipped: 0, copied: 0 },
  unknown: { open: 0, found: 0, closed: 0 },
  signatures: { known: 0, fresh: 0 },
  backlog: { writes: 0, oldestSeconds: 0 },
  unwell: [],
  lanesOnOrchestrator: 0,
  coverage: { beganAtMs: SPAN.fromMs - 36 * HOUR_MS, endedInDay: 0 },
  lastFull: null,
  runs: [],
  divergences: { run: null, open: 0, found: 0, repaired: 0, gone: 0, undone: 0, foundLost: 0 },
  lost: { open: 0, found: 0, decided: 0 },
  repairs: { lanes: 0, undone: 0 },
  trips: [],
  audited: [],
  events: [],
  differing: [],
};

/** Of a service whose legacy takes writes. */
export const OPEN: EndCriteriaFacts = {
  writes: undefined,
  backup: undefined,
  foreign: [],
  accepted: [],
  openDifferences: 0,
  requiredSeconds: 14 * 86_400,
  nowMs: SPAN.toMs,
};

/** A service of which all is well, in the stage shadow_read. */
export function fineService(more: Partial<ServiceFacts> = {}): ServiceFacts {
  return {
    status: {
      service: SERVICE,
      interlocks: 'enforce',
      flags: flagsAt({ 'dual-write': 100, 'shadow-read': 100 }),
      lanes: {
        total: 10,
        flipped: 0,
        legacy_differs: 0,
        seeded: 10,
        dirty: 0,
        copying: 0,
        stopped: 0,
        excepted: 0,
        differs: 0,
      },
      way_back: null,
      guard: { held_by: null, findings: [] },
    },
    definition: { actions: {} },
    judged: judgedBy(),
    answers: { legacy: true, orchestrator: true },
    end: OPEN,
    day: QUIET_DAY,
    signatures: [],
    rules: [],
    hits: [],
    ...more,
  };
}

export function reported(more: Partial<ReportedDay> = {}): ReportedDay {
  return {
    span: SPAN,
    zone: ZONE,
    isWhole: true,
    nowMs: SPAN.toMs + 6 * HOUR_MS,
    before: undefined,
    earlier: [],
    totals: {},
    readLatencyToleranceMs: 5,
    ...more,
  };
}

export function reportOf(services: readonly ServiceFacts[], day: ReportedDay = reported()): Report {
  const parts = services.map((facts) => serviceReport(facts, day));
  const failed = parts.flatMap(({ plan }) => failedIn(plan));
  return {
    format: 'crossfade-report-1',
    date: DATE,
    zone: ZONE,
    from: new Date(SPAN.fromMs).toISOString(),
    to: new Date(SPAN.toMs).toISOString(),
    made_at: new Date(day.nowMs).toISOString(),
    whole_day: day.isWhole,
    crossfade_version: '0.1.0',
    replicas: 2,
    failed_criteria: failed.length,
    failed_to_stay: failed.filter((criterion) => criterion.for === 'stay').length,
    services: parts,
    desk_url: 'https://crossfade.example.org',
  };
}
