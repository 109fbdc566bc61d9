import type { Config } from '../config/schema.ts';
import type { ServiceName } from '../domain/ids.ts';
import type { Migration } from '../engine/migration.ts';
import type { Clock } from '../shared/clock.ts';
import type { Journal } from '../engine/ports/ports.ts';
import type { RunStore } from '../engine/runs/run-ports.ts';
import { createRunSchedule, NO_SCHEDULE, type RunSchedule } from '../operator/run-schedule.ts';
import { ScheduledReconciliations, type Scope } from '../operator/scheduled-reconciliations.ts';
import type { Part } from '../shared/parts.ts';
import type { Database } from '../storage/database.ts';
import { createReportFactStore } from '../storage/reports/report-facts.ts';
import { scheduledServices } from '../storage/runs/runs.ts';
import type { OnProblem } from '../telemetry/log.ts';

interface ReconciliationFacts {
  readonly config: Config;
  readonly services: ReadonlyMap<ServiceName, unknown>;
  readonly migration: Pick<Migration, 'runs' | 'coverageOf'>;
  readonly runs: { readonly store: RunStore };
  readonly journal: Journal;
  readonly database: Database;
  readonly clock: Clock;
  readonly onProblem: OnProblem;
}

/** Reconciliations that begin by themselves. */
export function createScheduledReconciliations(facts: ReconciliationFacts): Part {
  const { migration, services, journal, runs, clock, onProblem } = facts;
  const scheduled = new ScheduledReconciliations({
    schedules: schedulesOf(facts.config),
    clock,
    onProblem: (problem) => onProblem('runs', 'schedule', problem),
    installedAtMs: () => createReportFactStore(facts.database).installedAtMs(),
    isBusy: async () => (await runs.store.open()).length > 0,
    async comparable() {
      const covered = [...services.keys()].filter((service) => migration.coverageOf(service) > 0);
      const counts = await Promise.all(covered.map((service) => journal.counts(service)));
      return covered.filter((_, index) => (counts[index]?.seeded ?? 0) > 0);
    },
    begun: (request) => scheduledServices(facts.database, request),
    async begin(request) {
      if (migration.runs === undefined) throw new Error('this proxy keeps no runs');
      return migration.runs.desk.begin('reconcile', request);
    },
  });
  return { name: 'reconciliations', start: () => scheduled.start(), stop: () => scheduled.stop() };
}

function schedulesOf({ reconciliation }: Config): Map<Scope, RunSchedule> {
  const patterns: readonly (readonly [Scope, string])[] = [
    ['full', reconciliation.full],
    ['changed', reconciliation.changed],
  ];
  return new Map(
    patterns
      .filter(([, pattern]) => pattern !== NO_SCHEDULE)
      .map(([scope, pattern]) => [scope, createRunSchedule(pattern, reconciliation.timeZone)]),
  );
}
