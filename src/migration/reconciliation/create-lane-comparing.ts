import type { Verdicts } from '../compare/verdicts.ts';
import type { Engine } from '../engine.ts';
import type { MigrationParts } from '../migration.ts';
import { LaneComparer } from './lane-comparer.ts';
import { LaneSamples } from './lane-samples.ts';
import { LaneSieve } from './lane-sieve.ts';

/** Of the reads that do something to legacy so many percent have their lane compared. */
const PERCENTAGE = 1;

export interface LaneComparing {
  readonly comparer: LaneComparer;
  readonly sieve: LaneSieve;
  readonly samples: LaneSamples;
}

/** Comparisons of whole lanes, over the engine's own parts. Undefined where nothing is kept of what lanes once held. */
export function createLaneComparing(
  parts: MigrationParts,
  { lanes, coverage, hold, membership, spilling }: Engine,
  verdicts: Verdicts,
): LaneComparing | undefined {
  const { services, journal, clock, orchestrator, settings, differences, random, runs } = parts;
  if (runs === undefined) return undefined;
  const timeoutMs = settings.delivery.timeoutMs;
  // What was spilled, here or elsewhere, is on legacy, and nobody who asks the journal knows of it.
  const isSpilling = (): boolean => spilling?.outage.isSpilling === true || membership.isAnySpilled;
  const shared = { coverage, journal, orchestrator, clock, timeoutMs, isSpilling };
  const sieve = new LaneSieve({ ...shared, baselines: runs.baselines });
  const comparer = new LaneComparer({ ...runs, ...shared, services, lanes, hold });
  const samples = new LaneSamples({
    sieve,
    comparer,
    verdicts,
    differences,
    lostItems: runs.lostItems,
    random,
    clock,
    emit: parts.events.emit,
    replicas: () => membership.counts().live,
    percentage: settings.shadow.lanePercentage ?? PERCENTAGE,
  });
  return { comparer, sieve, samples };
}
