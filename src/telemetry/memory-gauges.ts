import type { Meter } from '@opentelemetry/api';
import { GAUGES } from './gauge-definitions.ts';

/** Values that this replica knows without the journal. */
export interface MemoryGauges {
  /** By `live` and `silent`. */
  readonly replicas: Readonly<Record<'live' | 'silent', number>>;
  /** Agents that asked in the last hour, by service. */
  readonly agentsSeen: ReadonlyMap<string, number>;
  /** Expired comparison rules, by service. */
  readonly expiredRules: ReadonlyMap<string, number>;
}

export function observeMemoryGauges(meter: Meter, known: () => MemoryGauges): void {
  const { replicas, expiredRules, agentsSeen } = GAUGES;
  meter.createObservableGauge(replicas.name, replicas).addCallback((result) => {
    for (const [state, count] of Object.entries(known().replicas)) result.observe(count, { state });
  });
  meter.createObservableGauge(agentsSeen.name, agentsSeen).addCallback((result) => {
    for (const [service, count] of known().agentsSeen) result.observe(count, { service });
  });
  meter.createObservableGauge(expiredRules.name, expiredRules).addCallback((result) => {
    for (const [service, count] of known().expiredRules) result.observe(count, { service });
  });
}
