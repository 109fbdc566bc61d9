import { laneKeyOf, type LaneKey, type Owner, type ServiceName } from '../../domain/ids.ts';
import type { LegacyLane } from '../../domain/service-definition.ts';
import type { Clock, Journal, LaneView, Orchestrator } from '../ports/ports.ts';
import { LegacyTimes } from '../copies/legacy-times.ts';
import { readLegacyLanes } from './legacy-lanes.ts';
import type { BaselineStore, BaselineSummary, EqualStates } from '../ports/lane-history.ts';
import type { Coverage, ServiceRuntime } from '../ports/service-runtime.ts';
import { fenceOfRow } from '../lane/fence.ts';
import { isSame } from './lane-comparer.ts';
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
  /** As legacy shows it. */
  readonly lane: LegacyLane;
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

interface TwoLooks {
  readonly before: ReadonlyMap<LaneKey, LaneView>;
  readonly after: ReadonlyMap<LaneKey, LaneView>;
  readonly coverage: number;
}

/** Compares many lanes by digest: one reading of the legacy store and few calls of the orchestrator for all of them. */
export class LaneSieve {
  readonly #parts: SieveParts;
  readonly #times: LegacyTimes;

  constructor(parts: SieveParts) {
    this.#parts = parts;
    this.#times = new LegacyTimes(parts);
  }

  /** Its agents come first: while their requests queue, nothing more is read of the service, for a while. @throws CrossfadeError */
  async sift(service: ServiceRuntime, owners: readonly Owner[]): Promise<Sifted> {
    await this.#waitForLegacy(service);
    const coverage = this.#parts.coverage.get(service.name)?.number ?? 0;
    const keyOf = new Map(owners.map((owner) => [owner, laneKeyOf(service.name, owner)]));
    const keys = [...keyOf.values()];
    const { journal, baselines } = this.#parts;
    const [before, summaries] = await Promise.all([journal.fences(keys), baselines.summaries(keys)]);
    const equalLanes = new EqualLanes(service.definition.lanes.digest);
    const known = new Map(
      [...keyOf].flatMap(([owner, key]) => {
        const fingerprint = equalLanes.fingerprintIn(summaries.get(key)?.states);
        return fingerprint === undefined ? [] : [[owner, fingerprint]];
      }),
    );
    // The orchestrator hashes its side in a process of its own, while this one reads and hashes the other.
    const [held, { expected, readingMs }] = await Promise.all([
      digestsOfOrchestrator(service, { owners, known }, this.#parts),
      this.#legacySide(service, owners),
    ]);
    const still = this.#still({ before, after: await journal.fences(keys), coverage });
    const equal: EqualLane[] = [];
    const doubtful: Owner[] = [];
    for (const [owner, key] of keyOf) {
      const [sequence, legacy, orchestrator] = [still.get(key), expected.get(owner), held.get(owner)];
      const baseline = summaries.get(key);
      if (sequence === undefined || legacy === undefined) doubtful.push(owner);
      else {
        const shown = { legacy: legacy.digest, orchestrator };
        if (!equalLanes.isEqual({ ...shown, known: baseline?.states })) doubtful.push(owner);
        else
          equal.push({
            owner,
            key,
            lane: legacy.lane,
            sequence,
            states: equalLanes.statesOf(shown),
            baseline,
          });
      }
    }
    await this.#takeOverTimes(service, equal);
    return { equal, doubtful, readingMs };
  }

  /** A digest says nothing of times: where writes came since the lane was last found equal, they may be those of the proxy. */
  async #takeOverTimes(service: ServiceRuntime, equal: readonly EqualLane[]): Promise<void> {
    for (const { owner, sequence, lane, baseline } of equal) {
      if (baseline?.sequence === sequence) continue;
      await this.#times.takeOver({ service, owner, items: lane.items });
    }
  }

  /** The sequences of those that can be compared and did not move between two looks. */
  #still({ before, after, coverage }: TwoLooks): ReadonlyMap<LaneKey, number> {
    const still = new Map<LaneKey, number>();
    if (this.#parts.isSpilling()) return still;
    for (const [key, view] of before) {
      if (fenceOfRow(view, coverage, 'compare_stores') === undefined && isSame(view, after.get(key)))
        still.set(key, view.state.sequence);
    }
    return still;
  }

  async #waitForLegacy({ legacy }: ServiceRuntime): Promise<void> {
    const { clock } = this.#parts;
    const untilMs = clock.now() + LEGACY_PATIENCE_MS;
    while (legacy.load('live').queued > 0 && clock.now() < untilMs) await clock.sleep(LEGACY_LOOK_MS);
  }

  async #legacySide(service: ServiceRuntime, owners: readonly Owner[]) {
    const { clock } = this.#parts;
    const startedAtMs = clock.now();
    const readings = await readLegacyLanes(service, owners);
    const readingMs = clock.now() - startedAtMs;
    return { readingMs, expected: await digestsOfLegacy(service, readings) };
  }
}
