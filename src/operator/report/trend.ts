import { dateOf } from './calendar-day.ts';
import { failedIn } from './criteria.ts';
import type { ActionEvidence, Report, ServiceReport, TrendDay } from './report.ts';
import type { DaySpan } from '../../engine/report/report-ports.ts';

const DAY_MS = 86_400_000;

/** Days that a trend shows, including this one. */
export const TREND_DAYS = 14;

type Shown = Pick<ServiceReport, 'phase' | 'flags' | 'traffic' | 'consistency' | 'plan'>;

/** The lines of a service from stored reports, and this report's line last. */
export function trendOf(
  service: string,
  {
    earlier,
    span,
    zone,
  }: { readonly earlier: readonly Report[]; readonly span: DaySpan; readonly zone: string },
  present: Shown,
): TrendDay[] {
  const before = earlier.flatMap((report) => {
    const found = report.services.find((one) => one.service === service);
    return found === undefined ? [] : [trendDay(report.date, found)];
  });
  return [...before, trendDay(dateOf(span.fromMs, zone), present)];
}

function trendDay(date: string, { phase, flags, traffic, consistency, plan }: Shown): TrendDay {
  return {
    date,
    phase,
    reads_moved: flags['read-cutover'].in_effect,
    operations: traffic.operations,
    mismatch_rate: consistency.rate,
    failed_criteria: failedIn(plan).length,
  };
}

/** When every action will have its needed comparisons, at the present rate. Null if that cannot be estimated. */
export function evidenceExpected(
  evidence: readonly ActionEvidence[],
  { nowMs, zone }: { readonly nowMs: number; readonly zone: string },
): ServiceReport['evidence_expected'] {
  const waiting = evidence.filter(({ missing, accepted }) => missing > 0 && !accepted);
  const days = waiting.map(({ days_missing: more }) => more);
  const complete = waiting.length === 0;
  if (complete || days.includes(null)) return { complete, date: null };
  return { complete, date: dateOf(nowMs + Math.max(...days.map(Number)) * DAY_MS, zone) };
}
