import { type Backend, secondaryOf } from '../../domain/backend.ts';
import type { LaneState } from '../../domain/lane.ts';
import { type LaneKey, laneKeyOf, type Owner, type ServiceName } from '../../domain/ids.ts';
import type { LegacyLane } from '../../domain/service-definition.ts';
import type { Clock } from '../../shared/clock.ts';
import type { Journal, LaneView, Orchestrator } from '../ports/ports.ts';
import { LegacyTimes } from '../copies/legacy-times.ts';
import type { BaselineStore, BaselineSummary, EqualStates } from '../ports/journal-facts.ts';
import type { Coverage, ServiceRuntime } from '../ports/service-runtime.ts';
import { fenceOfRow } from '../lane/fence.ts';
import { readLegacyLanes } from './legacy-lanes.ts';
import { isSame } from './lane-comparer.ts';
import { digestsOfLegacy, digestsOfOrchestrator, EqualLanes } from './lane-digests.ts';

/** How long the comparison of many lanes waits for a legacy service that is busy with its agents, milliseconds. */
const LEGACY_PATIENCE_MS = 2_000;
const LEGACY_LOOK_MS = 20;

interface LaneFilterParts {
  readonly coverage: ReadonlyMap<ServiceName, Coverage>;
  readonly journal: Pick<Journal, 'fences'>;
  readonly baselines: Pick<BaselineStore, 'summaries'>;
  readonly orchestrator: Pick<Orchestrator, 'read' | 'batchWrite'>;
  readonly clock: Clock;
  /** Longest time of one call of the orchestrator, milliseconds. */
  readonly timeoutMs: number;
  /** Whether there may be writes that the journal does not know. */
  readonly isSpilling: () => boolean;
}

/** A lane with equal digests on both sides, which did not change meanwhile. */
export interface EqualLane {
  readonly owner: Owner;
  readonly key: LaneKey;
  /** As legacy shows it. */
  readonly lane: LegacyLane;
  readonly sequence: number;
  /** The backend against which a difference would have counted. */
  readonly secondary: Backend;
  /** What both sides showed. Undefined if the orchestrator makes no fingerprints. */
  readonly states: EqualStates | undefined;
  /** What was stored of it before. */
  readonly baseline: BaselineSummary | undefined;
}

/** Lanes that are certainly equal, and those that must be compared one by one. */
interface Sifted {
  readonly equal: readonly EqualLane[];
  /** Lanes whose digests differ, that changed meanwhile, or that digests cannot compare. */
  readonly doubtful: readonly Owner[];
  /** How long reading the legacy store took. */
  readonly readingMs: number;
}

interface TwoLooks {
  readonly before: ReadonlyMap<LaneKey, LaneView>;
  readonly after: ReadonlyMap<LaneKey, LaneView>;
  readonly coverage: number;
}

/** Compares many lanes by digest, with one reading of the legacy store and few calls of the orchestrator. */
export class LaneFilter {
  readonly #parts: LaneFilterParts;
  readonly #times: LegacyTimes;

  constructor(parts: LaneFilterParts) {
    this.#parts = parts;
    this.#times = new LegacyTimes(parts);
  }

  /** Agents come first: while their requests queue, the service is not read, for a limited time. @throws CrossfadeError */
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
    // The orchestrator hashes its side in its own process, while this process reads and hashes the other.
    const [held, { expected, readingMs }] = await Promise.all([
      digestsOfOrchestrator(service, { owners, known }, this.#parts),
      this.#legacySide(service, owners),
    ]);
    const still = this.#still({ before, after: await journal.fences(keys), coverage });
    const equal: EqualLane[] = [];
    const doubtful: Owner[] = [];
    for (const [owner, key] of keyOf) {
      const [state, legacy, orchestrator] = [still.get(key), expected.get(owner), held.get(owner)];
      const baseline = summaries.get(key);
      if (state === undefined || legacy === undefined) doubtful.push(owner);
      else {
        const shown = { legacy: legacy.digest, orchestrator };
        if (!equalLanes.isEqual({ ...shown, known: baseline?.states })) doubtful.push(owner);
        else
          equal.push({
            owner,
            key,
            lane: legacy.lane,
            sequence: state.sequence,
            secondary: secondaryOf(state.primary),
            states: equalLanes.statesOf(shown),
            baseline,
          });
      }
    }
    await this.#takeOverTimes(service, equal);
    return { equal, doubtful, readingMs };
  }

  /** A digest does not cover times. Nothing is copied over the orchestrator while it is primary. If writes came since the lane was last found equal, the times may be those of the proxy. */
  async #takeOverTimes(service: ServiceRuntime, equal: readonly EqualLane[]): Promise<void> {
    for (const { owner, sequence, secondary, lane, baseline } of equal) {
      if (baseline?.sequence === sequence || secondary === 'legacy') continue;
      await this.#times.takeOver({ service, owner, sequence, items: lane.items });
    }
  }

  /** The lanes that can be compared and did not change between two looks. */
  #still({ before, after, coverage }: TwoLooks): ReadonlyMap<LaneKey, LaneState> {
    const still = new Map<LaneKey, LaneState>();
    if (this.#parts.isSpilling()) return still;
    for (const [key, view] of before) {
      if (fenceOfRow(view, coverage, 'compare_stores') === undefined && isSame(view, after.get(key)))
        still.set(key, view.state);
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
