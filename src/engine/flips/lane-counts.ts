import type { LaneKey, ServiceName } from '../../domain/ids.ts';
import type { Clock } from '../../shared/clock.ts';
import type { FlipBook, FlipCandidate, Unclean } from '../ports/flip-ports.ts';
import type { FlipFact } from './eligibility.ts';

/** Lanes are read in pages, each followed by a pause of its own length. */
const LANES_PER_PAGE = 500;
/** Lanes on legacy that are looked at in all. */
const MOST_LANES = 10_000;
/** Counts are made again after this time, or after 20 times as long as they took. */
const COUNTED_MS = 10_000;
const REST = 20;
/** How long a caller waits for a new count. Then the last one is shown. */
const PATIENCE_MS = 250;

/** What keeps a lane unclean until a person acts. The other reasons end by themselves. */
const STAYS: ReadonlySet<Unclean> = new Set(['stopped', 'excepted', 'differs', 'dead_letter']);

/** A lane inside the share that does not move. */
export interface StuckLane {
  readonly lane: LaneKey;
  /** A closed word. */
  readonly reason: string;
  /** Failed flips; 0 if none was tried. */
  readonly failed: number;
  readonly dueInSeconds: number;
}

/** Lanes on legacy that are inside the share. */
export interface LaneCounts {
  /** They lack nothing, except perhaps a comparison, which is made before the flip. */
  readonly eligible: number;
  /** They lack something that comes without a person. */
  readonly waiting: number;
  /** A flip failed, or a person must act. */
  readonly stuck: number;
  /** Those with the most failures first, all of the lanes looked at. */
  readonly stuckLanes: readonly StuckLane[];
  /** False: only the first 10,000 lanes on legacy were looked at. */
  readonly isWhole: boolean;
  readonly countedAtMs: number;
}

interface CounterParts {
  readonly book: Pick<FlipBook, 'candidates'>;
  readonly digestOf: (service: ServiceName) => string;
  /** Judges the facts of a lane itself, by what is known of its service now. @throws StorageError */
  readonly judgeOf: (service: ServiceName) => Promise<(lane: FlipCandidate) => readonly FlipFact[]>;
  readonly clock: Clock;
}

/** Counts the lanes of a service that may move, for people. One count at a time for each service. */
export class LaneCounter {
  readonly #parts: CounterParts;
  readonly #known = new Map<ServiceName, { readonly dueMs: number; readonly counts: LaneCounts }>();
  readonly #counting = new Map<ServiceName, Promise<LaneCounts>>();

  constructor(parts: CounterParts) {
    this.#parts = parts;
  }

  /** @throws StorageError */
  async of(service: ServiceName): Promise<LaneCounts> {
    const known = this.#known.get(service);
    if (known !== undefined && this.#parts.clock.now() < known.dueMs) return known.counts;
    const counting = this.#counting.get(service) ?? this.#begin(service);
    if (known === undefined) return counting;
    const last = this.#parts.clock.sleep(PATIENCE_MS).then(() => known.counts);
    return Promise.race([counting, last]);
  }

  /** Outside any share. */
  none(): LaneCounts {
    const countedAtMs = this.#parts.clock.wallMs();
    return { eligible: 0, waiting: 0, stuck: 0, stuckLanes: [], isWhole: true, countedAtMs };
  }

  #begin(service: ServiceName): Promise<LaneCounts> {
    const counting = this.#count(service).finally(() => this.#counting.delete(service));
    this.#counting.set(service, counting);
    // A caller that waits gets the failure, and the next caller begins again.
    counting.catch(() => undefined);
    return counting;
  }

  async #count(service: ServiceName): Promise<LaneCounts> {
    const { book, digestOf, clock, judgeOf } = this.#parts;
    const startedAtMs = clock.now();
    const judge = await judgeOf(service);
    const tally: Tally = { eligible: 0, waiting: 0, stuckLanes: [] };
    let page: readonly FlipCandidate[] = [];
    let seen = 0;
    do {
      const readAtMs = clock.now();
      const query = { after: page.at(-1)?.id ?? 0, limit: LANES_PER_PAGE, digest: digestOf(service) };
      page = await book.candidates(service, { ...query, isEveryHome: true });
      for (const lane of page) add(tally, lane, judge(lane));
      seen += page.length;
      if (page.length === LANES_PER_PAGE) await clock.sleep(clock.now() - readAtMs);
    } while (page.length === LANES_PER_PAGE && seen < MOST_LANES);
    const counts = {
      eligible: tally.eligible,
      waiting: tally.waiting,
      stuck: tally.stuckLanes.length,
      stuckLanes: tally.stuckLanes.toSorted((one, other) => other.failed - one.failed),
      isWhole: page.length < LANES_PER_PAGE,
      countedAtMs: clock.wallMs(),
    };
    const restMs = Math.max(COUNTED_MS, (clock.now() - startedAtMs) * REST);
    this.#known.set(service, { dueMs: clock.now() + restMs, counts });
    return counts;
  }
}

interface Tally {
  eligible: number;
  waiting: number;
  readonly stuckLanes: StuckLane[];
}

function add(tally: Tally, lane: FlipCandidate, facts: readonly FlipFact[]): void {
  if (facts.some(({ fact, reason }) => fact === 'in_share' && reason !== undefined)) return;
  const stuck = stuckOf(lane);
  if (stuck !== undefined) tally.stuckLanes.push(stuck);
  else if (facts.every(({ reason }) => reason === undefined || reason === 'not_verified'))
    tally.eligible += 1;
  else tally.waiting += 1;
}

function stuckOf({ lane, unclean, attempts }: FlipCandidate): StuckLane | undefined {
  const stays = unclean !== undefined && STAYS.has(unclean) ? unclean : undefined;
  const reason = stays ?? attempts?.reason;
  if (reason === undefined) return undefined;
  return { lane, reason, failed: attempts?.failed ?? 0, dueInSeconds: attempts?.dueInSeconds ?? 0 };
}
