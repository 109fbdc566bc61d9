import type { ServiceName } from '../../domain/ids.ts';
import { isTrip, type Finding } from '../ports/finding.ts';
import { ServiceGuard } from './guard.ts';
import type { GuardLimits } from './triggers.ts';
import type { MinuteRow } from './guard-ports.ts';

const MINUTE_MS = 60_000;

/** A trip that the guard would have made. */
export interface BacktestTrip {
  /** End of the minute, wall clock. */
  readonly atMs: number;
  readonly finding: Finding;
}

/**
 * Replays stored minutes against other limits. Each trip counts as released at once, so that further trips show. A minute is
 * evaluated when it ends, while the guard evaluates every second, so a trip appears here up to a minute late.
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
    // The end of a minute is the start of the next, and the minute is complete by then.
    for (const guard of guards.values()) {
      const finding = tripOf(guard, minuteMs);
      if (finding === undefined) continue;
      trips.push({ atMs: minuteMs + MINUTE_MS, finding });
      guard.reset();
    }
  }
  return trips;
}

/**
 * Rates are evaluated inside the minute, so that the window of one minute still holds it. Latency is evaluated after the minute.
 */
function tripOf(guard: ServiceGuard, minuteMs: number): Finding | undefined {
  return guard.findings(minuteMs).find(isTrip) ?? guard.findings(minuteMs + MINUTE_MS).find(isTrip);
}
