import { laneKeyOf, type LaneKey, type Owner, type ServiceName } from '../../domain/ids.ts';
import type { Emit } from '../events.ts';
import type { Clock, Journal, LaneView, Orchestrator } from '../ports.ts';
import { baselineOf } from '../runs/baseline.ts';
import { inParallel } from '../runs/in-parallel.ts';
import { readLegacyLanes, type LegacyReading } from '../runs/legacy-lanes.ts';
import { EMPTY_TALLY, type Page, type Run, type RunProgress, type Skipped, type Tally } from '../runs/run.ts';
import type { BaselineStore, LaneDirectory } from '../runs/run-ports.ts';
import {
  RunInterrupted,
  type Listing,
  type PageOutcome,
  type RunControl,
  type RunWork,
} from '../runs/run-work.ts';
import type { Coverage, ServiceRuntime } from '../service-runtime.ts';
import type { DivergenceStore, LostItemStore } from './divergence-ports.ts';
import { digestsOfLegacy, digestsOfOrchestrator } from './lane-digests.ts';
import { isSame, obstacleOf, type ComparedLane, type LaneComparer } from './lane-comparer.ts';
import { digestOfFields } from '../copies/copy-plan.ts';

/** How long a page waits for a legacy service that is busy with its agents, milliseconds. */
const LEGACY_PATIENCE_MS = 2_000;
const LEGACY_LOOK_MS = 20;

export interface ReconcileParts {
  readonly services: ReadonlyMap<ServiceName, ServiceRuntime>;
  readonly coverage: ReadonlyMap<ServiceName, Coverage>;
  readonly journal: Journal;
  readonly orchestrator: Orchestrator;
  readonly baselines: BaselineStore;
  readonly directory: LaneDirectory;
  readonly divergences: DivergenceStore;
  readonly lostItems: LostItemStore;
  readonly comparer: LaneComparer;
  readonly clock: Clock;
  readonly emit: Emit;
  /** Most that one call of the orchestrator may take, milliseconds. */
  readonly timeoutMs: number;
}

/** A lane whose digests are the same on both sides, while nothing moved. */
interface EqualLane {
  readonly owner: Owner;
  readonly key: LaneKey;
  readonly reading: Extract<LegacyReading, { lane: unknown }>;
  readonly sequence: number;
}

/** Compares lanes on both stores: by digest, many in one call, and item by item only where these differ. */
export class ReconcileWork implements RunWork {
  readonly lanesPerPage = 200;
  readonly #parts: ReconcileParts;

  constructor(parts: ReconcileParts) {
    this.#parts = parts;
  }

  async list({ request }: Pick<Run, 'request'>, name: ServiceName): Promise<Listing> {
    const { directory } = this.#parts;
    const service = this.#service(name);
    const isChanged = request.scope === 'changed';
    const listed = isChanged ? [] : await service.definition.lanes.owners(service.access);
    const journaled = isChanged ? await directory.changed(name) : await directory.owners(name);
    const known = [...new Set([...(listed ?? []), ...journaled])];
    const owners = request.owner === undefined ? known : known.filter((owner) => owner === request.owner);
    const from = listed === undefined || isChanged ? 'journal' : 'store';
    return { owners, survey: { owners_from: from, lanes: owners.length } };
  }

  async page(run: Run, { service: name, owners }: Page, control: RunControl): Promise<PageOutcome> {
    const service = this.#service(name);
    await this.#waitForLegacy(service);
    const { equal, doubtful } = await this.#sift(service, owners);
    await this.#remember(equal);
    const found = new Map<Owner, ComparedLane>();
    const isWhole = await inParallel(doubtful, control, async (owner) => {
      found.set(owner, await this.#parts.comparer.compare(name, owner));
    });
    if (!isWhole) throw new RunInterrupted('the run was stopped');
    await this.#record(run.id, name, found);
    const alsoEqual = [...found].filter(([, { verdict }]) => verdict === 'equal').map(([owner]) => owner);
    await this.#parts.divergences.equal(name, [...equal.map(({ owner }) => owner), ...alsoEqual]);
    const items = equal.reduce((sum, { reading }) => sum + reading.lane.items.length, 0);
    await control.after(async () => items);
    return { tally: tallyOf(equal, found) };
  }

  async document({ request }: Run, { tallies }: RunProgress): Promise<object> {
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
    if (service === undefined) throw new Error(`No service is called "${name}"`);
    return service;
  }

  /** Its agents come first: while their requests queue, nothing more is read of it. */
  async #waitForLegacy({ legacy }: ServiceRuntime): Promise<void> {
    const { clock } = this.#parts;
    const untilMs = clock.now() + LEGACY_PATIENCE_MS;
    while (legacy.load('live').queued > 0 && clock.now() < untilMs) await clock.sleep(LEGACY_LOOK_MS);
  }

  /** What differs by digest, or cannot be told apart so, is doubtful. */
  async #sift(
    service: ServiceRuntime,
    owners: readonly Owner[],
  ): Promise<{ equal: readonly EqualLane[]; doubtful: readonly Owner[] }> {
    const { coverage } = this.#parts;
    const number = coverage.get(service.name)?.number ?? 0;
    const before = await this.#views(service.name, owners);
    // The orchestrator hashes its side in a process of its own, while this one reads and hashes the other.
    const [digests, { readings, expected }] = await Promise.all([
      digestsOfOrchestrator(service, owners, this.#parts),
      this.#legacySide(service, owners),
    ]);
    const after = await this.#views(service.name, owners);
    const equal = owners.flatMap((owner): EqualLane[] => {
      const [view, reading] = [before.get(owner), readings.get(owner)];
      const isStill = obstacleOf(view, number) === undefined && isSame(view, after.get(owner));
      if (!isStill || view === undefined || reading === undefined || 'problem' in reading) return [];
      if (!expected.has(owner) || expected.get(owner) !== digests.get(owner)) return [];
      return [{ owner, key: laneKeyOf(service.name, owner), reading, sequence: view.state.sequence }];
    });
    const sifted = new Set(equal.map(({ owner }) => owner));
    return { equal, doubtful: owners.filter((owner) => !sifted.has(owner)) };
  }

  async #legacySide(service: ServiceRuntime, owners: readonly Owner[]) {
    const readings = await readLegacyLanes(service, owners);
    return { readings, expected: await digestsOfLegacy(service, readings) };
  }

  async #views(
    service: ServiceName,
    owners: readonly Owner[],
  ): Promise<ReadonlyMap<Owner, LaneView | undefined>> {
    const { journal } = this.#parts;
    const views = owners.map(
      async (owner) => [owner, await journal.fence(laneKeyOf(service, owner))] as const,
    );
    return new Map(await Promise.all(views));
  }

  /** Where writes came since the last time, what both sides hold now is what later differences are put down by. */
  async #remember(equal: readonly EqualLane[]): Promise<void> {
    const { baselines } = this.#parts;
    const known = await baselines.summaries(equal.map(({ key }) => key));
    const moved = equal.filter(({ key, sequence }) => known.get(key)?.sequence !== sequence);
    await Promise.all(
      moved.map(({ key, sequence, reading }) =>
        baselines.save({ lane: key, sequence, items: baselineOf(reading.lane.items) }),
      ),
    );
  }

  async #record(run: number, service: ServiceName, found: ReadonlyMap<Owner, ComparedLane>): Promise<void> {
    const { divergences, lostItems, emit } = this.#parts;
    for (const [owner, compared] of found) {
      if (compared.verdict !== 'different') continue;
      const { findings, before, after, lost } = compared;
      const state = lost.length > 0 ? 'lost' : 'open';
      await divergences.add(run, { service, owner, findings, before, after, state });
      if (lost.length > 0)
        await lostItems.found(
          service,
          owner,
          lost.map(({ memory, fields }) => ({ memoryId: memory.memory_id, digest: digestOfFields(fields) })),
        );
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

function tallyOf(equal: readonly EqualLane[], found: ReadonlyMap<Owner, ComparedLane>): Tally {
  const counts: Record<string, number> = {};
  const count = (name: string, by = 1): void => {
    counts[name] = (counts[name] ?? 0) + by;
  };
  for (const { reading } of equal) count('items', reading.lane.items.length);
  count('lanes', equal.length + found.size);
  count('lanes_equal', equal.length);
  const skipped: Skipped[] = [];
  for (const [owner, compared] of found) {
    count(`lanes_${compared.verdict}`);
    if (compared.verdict === 'not_comparable') {
      skipped.push({ owner, reason: compared.reason });
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
