import { dateOf } from './calendar-day.ts';
import { failedIn } from './criteria.ts';
import type { ActionEvidence, Report, ServiceReport, TrendDay } from './report.ts';

const DAY_MS = 86_400_000;

/** Days that a trend shows, this one included. */
export const TREND_DAYS = 14;

/** A service's part of a stored report, as one line of a trend. Older reports may lack what is shown. */
export function trendDayOf(report: Report, service: string): TrendDay[] {
  const found = report.services.find((one) => one.service === service);
  return found === undefined ? [] : [trendDay(report.date, found)];
}

type Shown = Pick<ServiceReport, 'phase' | 'flags' | 'traffic' | 'consistency' | 'plan'>;

export function trendDay(date: string, { phase, flags, traffic, consistency, plan }: Shown): TrendDay {
  return {
    date,
    phase,
    reads_moved: flags['read-cutover'].in_effect,
    operations: traffic.operations,
    mismatch_rate: consistency.rate,
    failed_criteria: failedIn(plan).length,
  };
}

/** When every action will have the comparisons it needs, at the present rate; null where that cannot be told. */
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
