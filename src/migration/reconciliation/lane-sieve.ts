import { laneKeyOf, type LaneKey, type Owner, type ServiceName } from '../../domain/ids.ts';
import type { Clock, Journal, LaneView, Orchestrator } from '../ports.ts';
import { readLegacyLanes, type LegacyReading } from '../runs/legacy-lanes.ts';
import type { BaselineStore, BaselineSummary, EqualStates } from '../runs/run-ports.ts';
import type { Coverage, ServiceRuntime } from '../service-runtime.ts';
import { isSame, obstacleOf } from './lane-comparer.ts';
import { EqualLanes } from './equal-states.ts';
import { digestsOfLegacy, digestsOfOrchestrator } from './lane-digests.ts';

/** How long many lanes wait for a legacy service that is busy with its agents, milliseconds. */
const LEGACY_PATIENCE_MS = 2_000;
const LEGACY_LOOK_MS = 20;

export interface SieveParts {
  readonly coverage: ReadonlyMap<ServiceName, Coverage>;
  readonly journal: Journal;
  readonly baselines: Pick<BaselineStore, 'summaries'>;
  readonly orchestrator: Orchestrator;
  readonly clock: Clock;
  /** Most that one call of the orchestrator may take, milliseconds. */
  readonly timeoutMs: number;
  /** Whether there may be writes that the journal does not know. */
  readonly isSpilling: () => boolean;
}

/** A lane whose digests are the same on both sides, while nothing moved. */
export interface EqualLane {
  readonly owner: Owner;
  readonly key: LaneKey;
  readonly reading: Extract<LegacyReading, { lane: unknown }>;
  readonly sequence: number;
  /** What both sides showed. Undefined where the orchestrator makes no fingerprints. */
  readonly states: EqualStates | undefined;
  /** What was written down of it before. */
  readonly baseline: BaselineSummary | undefined;
}

/** Lanes that are equal for certain, and those that must be looked at one by one. */
export interface Sifted {
  readonly equal: readonly EqualLane[];
  /** What differs by digest, moved meanwhile, or cannot be told apart so. */
  readonly doubtful: readonly Owner[];
  /** How long the legacy store was read. */
  readonly readingMs: number;
}

/** Compares many lanes by digest: one reading of the legacy store and few calls of the orchestrator for all of them. */
export class LaneSieve {
  readonly #parts: SieveParts;

  constructor(parts: SieveParts) {
    this.#parts = parts;
  }

  /** Its agents come first: while their requests queue, nothing more is read of the service, for a while. @throws CrossfadeError */
  async sift(service: ServiceRuntime, owners: readonly Owner[]): Promise<Sifted> {
    await this.#waitForLegacy(service);
    const number = this.#parts.coverage.get(service.name)?.number ?? 0;
    const [before, baselines] = await Promise.all([
      this.#views(service.name, owners),
      this.#baselines(service.name, owners),
    ]);
    const equalLanes = new EqualLanes(service.definition.lanes.digest);
    const known = new Map(
      [...baselines].flatMap(([owner, { states }]) => {
        const fingerprint = equalLanes.fingerprintIn(states);
        return fingerprint === undefined ? [] : [[owner, fingerprint]];
      }),
    );
    // The orchestrator hashes its side in a process of its own, while this one reads and hashes the other.
    const [held, { readings, expected, readingMs }] = await Promise.all([
      digestsOfOrchestrator(service, { owners, known }, this.#parts),
      this.#legacySide(service, owners),
    ]);
    const after = await this.#views(service.name, owners);
    const isSpilling = this.#parts.isSpilling();
    const equal = owners.flatMap((owner): EqualLane[] => {
      const [view, reading] = [before.get(owner), readings.get(owner)];
      const isStill = !isSpilling && obstacleOf(view, number) === undefined && isSame(view, after.get(owner));
      if (!isStill || view === undefined || reading === undefined || 'problem' in reading) return [];
      const baseline = baselines.get(owner);
      const [legacy, orchestrator] = [expected.get(owner), held.get(owner)];
      if (legacy === undefined) return [];
      if (!equalLanes.isEqual({ legacy, orchestrator, known: baseline?.states })) return [];
      const states = equalLanes.statesOf({ legacy, orchestrator });
      const key = laneKeyOf(service.name, owner);
      return [{ owner, key, reading, sequence: view.state.sequence, states, baseline }];
    });
    const sifted = new Set(equal.map(({ owner }) => owner));
    return { equal, doubtful: owners.filter((owner) => !sifted.has(owner)), readingMs };
  }

  async #waitForLegacy({ legacy }: ServiceRuntime): Promise<void> {
    const { clock } = this.#parts;
    const untilMs = clock.now() + LEGACY_PATIENCE_MS;
    while (legacy.load('live').queued > 0 && clock.now() < untilMs) await clock.sleep(LEGACY_LOOK_MS);
  }

  async #baselines(
    service: ServiceName,
    owners: readonly Owner[],
  ): Promise<ReadonlyMap<Owner, BaselineSummary>> {
    const ownerOf = new Map(owners.map((owner) => [laneKeyOf(service, owner), owner]));
    const summaries = await this.#parts.baselines.summaries([...ownerOf.keys()]);
    return new Map(
      [...summaries].flatMap(([key, summary]) => {
        const owner = ownerOf.get(key);
        return owner === undefined ? [] : [[owner, summary] as const];
      }),
    );
  }

  async #legacySide(service: ServiceRuntime, owners: readonly Owner[]) {
    const { clock } = this.#parts;
    const startedAtMs = clock.now();
    const readings = await readLegacyLanes(service, owners);
    const readingMs = clock.now() - startedAtMs;
    return { readings, readingMs, expected: await digestsOfLegacy(service, readings) };
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
}
