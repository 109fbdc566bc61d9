import type { Owner, ServiceName } from '../domain/ids.ts';
import { isReadable } from '../domain/service-definition.ts';
import type { MappedOperation } from './calls/ask-orchestrator.ts';
import type { Lane } from './lane/lane.ts';
import type { GoneBy } from './shadow/shadow-task.ts';
import type { Verdicts } from './compare/verdicts.ts';
import type { Engine } from './engine.ts';
import type { MigrationParts } from './parts.ts';
import { LaneComparer } from './runs/lane-comparer.ts';
import { type LaneSampleParts, LaneSamples } from './shadow/lane-samples.ts';
import { LaneFilter } from './runs/lane-filter.ts';

/** Percent of the reads with side effects on legacy that get a comparison of their lane. */
const PERCENTAGE = 1;
/** Longest time that a lane is held because one of its reads differed. */
const HELD_MS = 250;

export interface LaneComparing {
  readonly comparer: LaneComparer;
  readonly laneFilter: LaneFilter;
  readonly samples: LaneSamples;
  /**
   * Why legacy shows less of the lane than the orchestrator. Undefined if the lane differs, or cannot be compared. Never throws.
   */
  readonly explainGone: (operation: MappedOperation) => Promise<GoneBy | undefined>;
}

/** Creates the comparisons of whole lanes. Undefined if the past contents of lanes are not stored. */
export function createLaneComparing(
  parts: MigrationParts,
  engine: Engine,
  verdicts: Verdicts,
): LaneComparing | undefined {
  const { services, journal, clock, orchestrator, settings, runs } = parts;
  if (runs === undefined) return undefined;
  const { lanes, coverage, copies, hold, membership } = engine;
  const { baselines, history, lostItems } = runs;
  const { timeoutMs } = settings.delivery;
  // Writes that were spilled, here or elsewhere, are on legacy, but a query of the journal does not show them.
  const isSpilling = (): boolean => engine.isSpilling() || membership.isAnySpilled;
  const laneFilter = new LaneFilter({
    coverage,
    journal,
    baselines,
    orchestrator,
    clock,
    timeoutMs,
    isSpilling,
  });
  const hideForgotten = (service: ServiceName, owner: Owner): void => {
    const copyIfClean = (lane: Lane): void => {
      if (lane.condition === 'clean') copies.add(lane, 'backfill');
    };
    // If the journal does not answer, the next comparison finds it again.
    lanes.load(service, owner).then(copyIfClean, () => undefined);
  };
  const comparer = new LaneComparer({
    services,
    coverage,
    journal,
    lanes,
    baselines,
    history,
    lostItems,
    orchestrator,
    clock,
    timeoutMs,
    hold,
    hideForgotten,
    isSpilling,
  });
  const samples = createSamples(parts, engine, { laneFilter, comparer, verdicts, lostItems });
  return { comparer, laneFilter, samples, explainGone: (operation) => explainGone(comparer, operation) };
}

function createSamples(
  { differences, random, clock, events, settings }: MigrationParts,
  { membership }: Engine,
  made: Pick<LaneSampleParts, 'laneFilter' | 'comparer' | 'verdicts' | 'lostItems'>,
): LaneSamples {
  const { laneFilter, comparer, verdicts, lostItems } = made;
  return new LaneSamples({
    laneFilter,
    comparer,
    verdicts,
    differences,
    lostItems,
    random,
    clock,
    emit: events.emit,
    replicas: () => membership.counts().live,
    percentage: settings.shadow.lanePercentage ?? PERCENTAGE,
  });
}

async function explainGone(
  comparer: LaneComparer,
  { service, owner }: MappedOperation,
): Promise<GoneBy | undefined> {
  if (!isReadable(service)) return undefined;
  try {
    const compared = await comparer.compare(service.name, owner, { catchUpMs: HELD_MS, holdMs: HELD_MS });
    if (compared.verdict === 'equal') return compared.forgotten > 0 ? 'forgotten' : undefined;
    if (compared.verdict === 'not_comparable' || compared.lost.length === 0) return undefined;
    return compared.findings.every(({ kind }) => kind === 'lost') ? 'lost' : undefined;
  } catch {
    return undefined;
  }
}
