import type { EndedRun, ServiceDay } from '../../engine/report/report-ports.ts';
import type { RunNumbers, ServiceReport } from './report.ts';

/** Numbers of reconciliations, backfills and repairs. */
export function reconciliationOf(day: ServiceDay, nowMs: number): ServiceReport['reconciliation'] {
  const { lastFull, runs, divergences, lost, repairs, differing } = day;
  return {
    last_full:
      lastFull === null
        ? null
        : {
            ...runNumbers(lastFull),
            age_seconds: Math.max(0, Math.round((nowMs - lastFull.finishedAtMs) / 1_000)),
          },
    runs: runs.map(runNumbers),
    unequal_lanes: {
      open: divergences.open,
      found: divergences.found,
      repaired: divergences.repaired,
      equal_again: divergences.gone,
    },
    lost_items: { open: lost.open, found: lost.found, decided: lost.decided },
    repairs: { lanes: repairs.lanes, undone: repairs.undone },
    differing: differing.map(({ owner, run, state }) => ({ owner, run: String(run), state })),
  };
}

function runNumbers({ id, kind, scope, finishedAtMs, counts }: EndedRun): RunNumbers {
  const count = (name: string): number => counts[name] ?? 0;
  return {
    run: String(id),
    kind,
    scope,
    finished_at: new Date(finishedAtMs).toISOString(),
    lanes: count('lanes'),
    items: count('items') + count('items_changed'),
    // For a backfill or a repair: lanes that were left out.
    different: count('lanes_different') + count('lanes_left'),
    not_comparable: count('lanes_not_comparable'),
  };
}
