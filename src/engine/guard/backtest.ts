import type { ServiceName } from '../../domain/ids.ts';
import { isTrip, type Finding } from '../ports/finding.ts';
import { ServiceGuard } from './guard.ts';
import type { GuardLimits } from './guard-limits.ts';
import type { MinuteRow } from './guard-ports.ts';

const MINUTE_MS = 60_000;

/** A trip that the guard would have made. */
export interface BacktestTrip {
  /** End of the minute, wall clock. */
  readonly atMs: number;
  readonly finding: Finding;
}

/**
 * Replays stored minutes against other limits. Each trip is taken for released at once, so that every further one is seen. Minutes
 * are looked at when they end, where the guard looks every second: a trip stands here up to a minute late.
 */
export function backtest(rows: readonly MinuteRow[], limits: GuardLimits): readonly BacktestTrip[] {
  const guards = new Map<ServiceName, ServiceGuard>();
  const trips: BacktestTrip[] = [];
  const minutes = Map.groupBy(rows, ({ minuteMs }) => minuteMs);
  for (const minuteMs of [...minutes.keys()].sort((a, b) => a - b)) {
    for (const { service, action, counts } of minutes.get(minuteMs) ?? []) {
      let guard = guards.get(service);
      if (guard === undefined) guards.set(service, (guard = new ServiceGuard(service, limits)));
      guard.add(action, minuteMs, counts);
    }
    // The end of the minute is the next one's beginning: by then this one is whole.
    for (const guard of guards.values()) {
      const finding = tripOf(guard, minuteMs);
      if (finding === undefined) continue;
      trips.push({ atMs: minuteMs + MINUTE_MS, finding });
      guard.reset();
    }
  }
  return trips;
}

/** Rates are judged inside the minute, so that the window of one minute still holds it; latency when it is over. */
function tripOf(guard: ServiceGuard, minuteMs: number): Finding | undefined {
  return guard.findings(minuteMs).find(isTrip) ?? guard.findings(minuteMs + MINUTE_MS).find(isTrip);
}
