import type { Backend } from '../../domain/backend.ts';
import { laneKeyOf, type Owner, type ServiceName } from '../../domain/ids.ts';
import type { Emit } from '../ports/events.ts';
import { baselineOf } from '../items/copy-plan.ts';
import { EMPTY_TALLY, type Page, type Run, type RunRequest, type Skipped, type Tally } from '../ports/run.ts';
import type { BaselineStore } from '../ports/journal-facts.ts';
import type { ServiceRuntime } from '../ports/service-runtime.ts';
import type { LostItemStore } from '../ports/lost-items.ts';
import { lostAs } from '../items/lane-contents.ts';
import {
  inParallel,
  lanesOfAPage,
  type ListedLane,
  type PageOutcome,
  type RunControl,
  RunInterrupted,
  type RunWork,
} from './run-work.ts';
import { lanesOf, listOwners } from './legacy-lanes.ts';
import type { LaneDirectory } from './run-ports.ts';
import type { DivergenceStore } from './divergence-ports.ts';
import type { ComparedLane, LaneComparer } from './lane-comparer.ts';
import { isSameStates } from './lane-digests.ts';
import type { EqualLane, LaneFilter } from './lane-filter.ts';

interface ReconcileParts {
  readonly services: ReadonlyMap<ServiceName, ServiceRuntime>;
  readonly baselines: BaselineStore;
  readonly directory: LaneDirectory;
  readonly divergences: DivergenceStore;
  readonly lostItems: LostItemStore;
  readonly comparer: LaneComparer;
  readonly laneFilter: LaneFilter;
  readonly emit: Emit;
}

/** Compares lanes on both stores: by digest, many in one call, and item by item only if the digests differ. */
export class ReconcileWork implements RunWork {
  readonly pagesAtOnce = 3;
  readonly #parts: ReconcileParts;

  constructor(parts: ReconcileParts) {
    this.#parts = parts;
  }

  lanesPerPage(request: RunRequest): number {
    return lanesOfAPage(request);
  }

  async *list(
    { request }: Pick<Run, 'request'>,
    name: ServiceName,
  ): AsyncGenerator<readonly ListedLane[], object> {
    const { directory } = this.#parts;
    const isChanged = request.scope === 'changed';
    const listed = isChanged ? undefined : await listOwners(this.#service(name));
    const journaled = isChanged ? directory.changed(name) : directory.owners(name);
    for (const pages of listed === undefined ? [journaled] : [listed, journaled])
      for await (const owners of pages) yield lanesOf(owners, request);
    return { owners_from: listed === undefined ? 'journal' : 'store' };
  }

  async page(run: Run, { service: name, owners }: Page, control: RunControl): Promise<PageOutcome> {
    const service = this.#service(name);
    const { equal, doubtful } = await this.#parts.laneFilter.sift(service, owners);
    await this.#remember(equal);
    const found = new Map<Owner, ComparedLane>();
    const isWhole = await inParallel(doubtful, control, async (owner) => {
      found.set(owner, await this.#parts.comparer.compare(name, owner));
    });
    if (!isWhole) throw new RunInterrupted('the run was stopped');
    await this.#record(run.id, name, found);
    const alsoEqual = [...found].filter(([, { verdict }]) => verdict === 'equal').map(([owner]) => owner);
    await this.#parts.divergences.equal(name, [...equal.map(({ owner }) => owner), ...alsoEqual]);
    const items = equal.reduce((sum, { lane }) => sum + lane.items.length, 0);
    await control.after(async () => items);
    return { tally: tallyOf(equal, found) };
  }

  async document({ request }: Run, tallies: Readonly<Record<string, Tally>>): Promise<object> {
    return {
      services: Object.fromEntries(
        request.services.map((name) => {
          const { counts, skipped } = tallies[name] ?? EMPTY_TALLY;
          return [name, { ...counts, not_comparable_lanes: skipped }];
        }),
      ),
    };
  }

  #service(name: ServiceName): ServiceRuntime {
    const service = this.#parts.services.get(name);
    if (service === undefined) throw new Error(`Unknown service "${name}"`);
    return service;
  }

  /** If writes came since the last time, what both sides hold now is stored to attribute later differences. */
  async #remember(equal: readonly EqualLane[]): Promise<void> {
    const { baselines } = this.#parts;
    await Promise.all(
      equal
        .filter((lane) => !isRemembered(lane))
        .map(({ key, sequence, lane, states }) =>
          baselines.save({ lane: key, sequence, items: baselineOf(lane.items), states }),
        ),
    );
  }

  async #record(run: number, service: ServiceName, found: ReadonlyMap<Owner, ComparedLane>): Promise<void> {
    const { divergences, lostItems, emit } = this.#parts;
    for (const [owner, compared] of found) {
      if (compared.verdict !== 'different') continue;
      const { findings, before, after, lost, generation, epoch } = compared;
      const state = lost.length > 0 ? 'lost' : 'open';
      await divergences.add(run, { service, owner, findings, before, after, state, generation, epoch });
      if (compared.secondary === 'legacy') {
        emit('flipped:diverged', { service, lane: laneKeyOf(service, owner), findings: findings.length });
        continue;
      }
      if (lost.length > 0) await lostItems.found(service, owner, compared.lost.map(lostAs));
      emit('lane:diverged', {
        service,
        lane: laneKeyOf(service, owner),
        findings: findings.length,
        lost: lost.length,
        bypassed: findings.some(({ side, kind }) => side === 'legacy' && kind !== 'lost'),
      });
    }
  }
}

function isRemembered({ baseline, sequence, states }: EqualLane): boolean {
  return baseline?.sequence === sequence && (states === undefined || isSameStates(states, baseline.states));
}

/** Flipped lanes have counts of their own. The interlocks, the guard and the criteria judge the orchestrator, and read the others. */
function prefixOf(secondary: Backend): 'lanes' | 'flipped_lanes' {
  return secondary === 'legacy' ? 'flipped_lanes' : 'lanes';
}

function tallyOf(equal: readonly EqualLane[], found: ReadonlyMap<Owner, ComparedLane>): Tally {
  const counts: Record<string, number> = {};
  const count = (name: string, by = 1): void => {
    counts[name] = (counts[name] ?? 0) + by;
  };
  for (const name of ['lanes', 'lanes_equal']) count(name, 0);
  for (const { lane, secondary } of equal) {
    count(prefixOf(secondary));
    count(`${prefixOf(secondary)}_equal`);
    if (secondary === 'orchestrator') count('items', lane.items.length);
  }
  const skipped: Skipped[] = [];
  for (const [owner, compared] of found) {
    count(prefixOf(compared.secondary));
    count(`${prefixOf(compared.secondary)}_${compared.verdict}`);
    if (compared.verdict === 'not_comparable') {
      skipped.push({ owner, reason: compared.reason });
      continue;
    }
    if (compared.secondary === 'legacy') {
      count('flipped_findings', compared.findings.length);
      continue;
    }
    count('items', compared.source.items.length);
    count('items_forgotten', compared.forgotten);
    for (const { side, kind } of compared.findings) {
      count('findings');
      count(kind === 'lost' ? 'lost' : `${kind}_on_${side}`);
    }
  }
  return { ...EMPTY_TALLY, counts, skipped };
}
