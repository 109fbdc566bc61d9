import { messageOf } from '../../domain/errors.ts';
import { type LaneKey, type Owner, parseLaneKey, type ServiceName } from '../../domain/ids.ts';
import { backoffMs } from '../../shared/backoff.ts';
import type { Clock } from '../../shared/clock.ts';
import type { Lanes } from '../lane/lanes.ts';
import type { Emit } from '../ports/events.ts';
import type { FirstLane, FlipBook, FlipCandidate, FlipShare, UncomparedFlip } from '../ports/flip-ports.ts';
import type { ComparedLane, Patience } from '../runs/lane-comparer.ts';
import type { Pace } from '../runs/pace.ts';
import {
  asIfProven,
  firstReason,
  type FlipFact,
  type FlipLimits,
  judgeLane,
  judgeService,
  type ServiceFlipFacts,
} from './eligibility.ts';
import type { FlipLane } from './flip-lane.ts';
import { type LaneCounts, LaneCounter } from './lane-counts.ts';
import { SharedPace } from './shared-pace.ts';

const EVERY_MS = 1_000;
/** The facts of a service are asked for again after this time, also while its lanes are flipped. */
const FACTS_MS = 1_000;
/** For this long, what was found of a service holds for its new owners. */
const KNOWN_MS = 5_000;
const LANES_PER_PAGE = 200;
/** Pause after all lanes were looked at. If the journal needed longer than 250 ms for that, 20 times this duration, at most 100 s. */
const LOOK_AGAIN_MS = 5_000;
const REST = 20;
/** Pause before a lane is tried again after a failed flip. */
const RETRY = { firstMs: 10_000, longestMs: 3_600_000 };
/** Comparisons of flipped lanes in one round. */
const COMPARED_AT_ONCE = 10;
/** A store is read at most a tenth of the time. */
const READING_REST = 9;

export interface FlipperParts {
  readonly book: FlipBook;
  readonly services: readonly ServiceName[];
  /** Whether the service has a share of lanes. Without one, nothing is looked at. */
  readonly isMoving: (service: ServiceName) => boolean;
  /** What decides whether lanes of the service can be flipped now. @throws StorageError */
  readonly factsOf: (service: ServiceName) => Promise<ServiceFlipFacts>;
  /** Whether the flag selects the lane, and whether the orchestrator answers all its reads. */
  readonly isSelected: (service: ServiceName, owner: Owner, atMostPercentage: number) => boolean;
  readonly areReadsMoved: (service: ServiceName, owner: Owner) => boolean;
  /** What a comparison was judged by: one under another digest proves nothing. */
  readonly digestOf: (service: ServiceName) => string;
  readonly limits: FlipLimits;
  readonly flipLane: FlipLane;
  readonly lanes: Pick<Lanes, 'load'>;
  /** Absent: lanes cannot be compared, so that only runs verify them. */
  readonly compare:
    | ((service: ServiceName, owner: Owner, patience: Patience) => Promise<Pick<ComparedLane, 'verdict'>>)
    | undefined;
  /** Waits after each flip, as the rate and the agents require. One pace serves all services. */
  readonly pace: () => Pick<Pace, 'after'>;
  readonly clock: Clock;
  readonly emit: Emit;
}

/** The state of the flips of a service. */
export interface FlipperStanding {
  readonly facts: ServiceFlipFacts;
  readonly judged: readonly FlipFact[];
}

/** How far the lanes of a service have moved. */
export interface FlipCounts extends LaneCounts {
  /** Their primary is the orchestrator. */
  readonly moved: number;
  /** Their primary changed in the last minute, in either direction. */
  readonly moving: number;
}

interface Trying {
  /** What the comparison of the lane was judged by. */
  readonly digest: string;
  /** The lane goes first, before the way back is proven. */
  readonly first?: FirstLane | undefined;
}

/** Flips the lanes that may be flipped, those of a service one after the other, in each replica those that have no other home. */
export class Flipper {
  readonly #parts: FlipperParts;
  readonly #counter: LaneCounter;
  readonly #stopping = new AbortController();
  readonly #restUntilMs = new Map<ServiceName, number>();
  readonly #known = new Map<ServiceName, FlipperStanding & { readonly atMs: number }>();
  /** Facts on their way. All who need them wait for the same. */
  readonly #asked = new Map<ServiceName, Promise<FlipperStanding>>();
  readonly #pace: SharedPace;
  #loops: readonly Promise<void>[] = [];

  constructor(parts: FlipperParts) {
    this.#parts = parts;
    this.#pace = new SharedPace({ begin: parts.pace, isOver: () => this.#stopping.signal.aborted });
    this.#counter = new LaneCounter({
      ...parts,
      judgeOf: async (service) => {
        const { facts } = await this.standing(service);
        return (lane) => this.#judge(service, lane, facts);
      },
    });
  }

  start(): void {
    this.#loops = this.#parts.services.flatMap((service) => [this.#run(service), this.#stayReady(service)]);
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await Promise.all(this.#loops);
  }

  isMoving(service: ServiceName): boolean {
    return this.#parts.isMoving(service);
  }

  /** Every fact of the lane's service, and of the lane itself while legacy is its primary. @throws StorageError */
  async explain(lane: LaneKey): Promise<readonly FlipFact[]> {
    const { book, digestOf } = this.#parts;
    const { service } = parseLaneKey(lane);
    const { facts, judged } = await this.standing(service);
    const candidate = await book.candidate(lane, digestOf(service));
    const shown = facts.first?.lane === lane ? judgeService(asIfProven(facts), this.#parts.limits) : judged;
    return candidate === undefined ? shown : [...shown, ...this.#judge(service, candidate, facts)];
  }

  /** The facts of the lanes themselves. Lanes whose primary is the orchestrator have none. @throws StorageError */
  async factsOfLanes(
    service: ServiceName,
    lanes: readonly LaneKey[],
  ): Promise<ReadonlyMap<LaneKey, readonly FlipFact[]>> {
    const { book, digestOf } = this.#parts;
    const { facts } = await this.standing(service);
    const found = await book.among(lanes, digestOf(service));
    return new Map(found.map((one) => [one.lane, this.#judge(service, one, facts)]));
  }

  /** How far the lanes of the service have moved. Those on legacy are counted only inside a share. @throws StorageError */
  async counts(service: ServiceName): Promise<FlipCounts> {
    const { facts } = await this.standing(service);
    const moved = facts.isAnyFlipped ? await this.#parts.book.flipped(service) : 0;
    const lanes = this.isMoving(service) ? await this.#counter.of(service) : this.#counter.none();
    return { moved, moving: facts.movedLately, ...lanes };
  }

  /** What keeps the lane from going first, before the way back is proven. Undefined: no lane on legacy. @throws StorageError */
  async obstaclesOfFirst(lane: LaneKey): Promise<readonly FlipFact[] | undefined> {
    const { book, digestOf, limits } = this.#parts;
    const { service } = parseLaneKey(lane);
    const facts = asIfProven((await this.standing(service)).facts);
    const candidate = await book.candidate(lane, digestOf(service));
    if (candidate === undefined) return undefined;
    const judged = [...judgeService(facts, limits), ...this.#judge(service, candidate, facts)];
    return judged.filter(({ reason }) => reason !== undefined && reason !== 'not_verified');
  }

  /** The lane that may go first, if it is this one. @throws StorageError */
  async firstNamed(lane: LaneKey): Promise<FirstLane | undefined> {
    const { first } = (await this.standing(parseLaneKey(lane).service)).facts;
    return first?.lane === lane ? first : undefined;
  }

  /** A person has changed what holds for the service. */
  forget(service: ServiceName): void {
    this.#known.delete(service);
    this.#asked.delete(service);
  }

  /** At most a second old. @throws StorageError */
  async standing(service: ServiceName): Promise<FlipperStanding> {
    const known = this.#known.get(service);
    if (known !== undefined && this.#parts.clock.now() - known.atMs < FACTS_MS) return known;
    const isAsked = (): boolean => this.#asked.get(service) === asked;
    const asked: Promise<FlipperStanding> = this.#asked.get(service) ?? this.#ask(service, isAsked);
    this.#asked.set(service, asked);
    return asked;
  }

  /** @param isValid false if the service was forgotten meanwhile, because the facts may be from before the change */
  async #ask(service: ServiceName, isValid: () => boolean): Promise<FlipperStanding> {
    const { clock, factsOf, limits } = this.#parts;
    const atMs = clock.now();
    try {
      const facts = await factsOf(service);
      const standing = { facts, judged: judgeService(facts, limits), atMs };
      if (isValid()) this.#known.set(service, standing);
      return standing;
    } finally {
      if (isValid()) this.#asked.delete(service);
    }
  }

  /** Each service has its own loop, because comparisons and long lists of one must not delay the others. */
  #run(service: ServiceName): Promise<void> {
    return this.#always(() => this.#round(service));
  }

  /** A round may take long, and a new owner must not begin on a legacy that is away. */
  #stayReady(service: ServiceName): Promise<void> {
    return this.#always(async () => {
      if (this.#parts.isMoving(service)) await this.standing(service);
    });
  }

  async #always(work: () => Promise<void>): Promise<void> {
    const { clock, emit } = this.#parts;
    const { signal } = this.#stopping;
    for (;;) {
      await clock.sleep(EVERY_MS, signal);
      if (signal.aborted) return;
      try {
        await work();
      } catch (error) {
        emit('journal:failed', { reason: messageOf(error) });
      }
    }
  }

  async #round(service: ServiceName): Promise<void> {
    if (!this.#parts.isMoving(service)) return;
    const { facts } = await this.standing(service);
    if (facts.isAnyFlipped) await this.#compareFlipped(service);
    if (this.#parts.clock.now() < (this.#restUntilMs.get(service) ?? 0)) return;
    if (await this.#isReadyNow(service)) await this.#pace.during(() => this.#sweep(service));
    else await this.#tryFirst(service);
  }

  /** The one lane that a person named. Its writes prove the way back for the others. */
  async #tryFirst(service: ServiceName): Promise<void> {
    const { book, digestOf, limits } = this.#parts;
    const { facts } = await this.standing(service);
    if (facts.first === undefined || facts.isAnyFlipped || (facts.share?.percentage ?? 0) === 0) return;
    if (firstReason(judgeService(asIfProven(facts), limits)) !== undefined) return;
    const digest = digestOf(service);
    const candidate = await book.candidate(facts.first.lane, digest);
    if (candidate !== undefined && candidate.isElsewhere !== true)
      await this.#try(service, candidate, { digest, first: facts.first });
  }

  /** Whether lanes of the service could be flipped a few seconds ago. The journal checks most of it again. */
  isReady(service: ServiceName): boolean {
    const known = this.#known.get(service);
    if (known === undefined || this.#parts.clock.now() - known.atMs > KNOWN_MS) return false;
    return firstReason(known.judged) === undefined;
  }

  async #isReadyNow(service: ServiceName): Promise<boolean> {
    return firstReason((await this.standing(service)).judged) === undefined;
  }

  /** Looks at all lanes on legacy once, unless the service stops being ready. */
  async #sweep(service: ServiceName): Promise<void> {
    const { book, digestOf, clock } = this.#parts;
    let lookedMs = 0;
    let page: readonly FlipCandidate[] = [];
    do {
      const query = { after: page.at(-1)?.id ?? 0, limit: LANES_PER_PAGE, digest: digestOf(service) };
      const fromMs = clock.now();
      page = await book.candidates(service, query);
      lookedMs += clock.now() - fromMs;
      for (const candidate of page) {
        if (this.#stopping.signal.aborted || !(await this.#isReadyNow(service))) return;
        if (await this.#try(service, candidate, query)) await this.#pace.after();
      }
      // Thousands of lanes take many minutes, and a difference must stop the flips of the rest.
      await this.#compareFlipped(service);
    } while (page.length === LANES_PER_PAGE);
    const restMs = Math.max(LOOK_AGAIN_MS, Math.min(lookedMs, LOOK_AGAIN_MS) * REST);
    this.#restUntilMs.set(service, clock.now() + restMs);
  }

  /** Whether a flip was attempted. */
  async #try(service: ServiceName, candidate: FlipCandidate, { digest, first }: Trying): Promise<boolean> {
    if ((candidate.attempts?.dueInSeconds ?? 0) > 0) return false;
    const { facts } = await this.standing(service);
    const { share } = facts;
    const reason = firstReason(this.#judge(service, candidate, facts));
    if (share === undefined || (reason !== undefined && reason !== 'not_verified')) return false;
    const verified = reason === undefined ? { digest } : await this.#verify(service, candidate);
    const failure =
      'reason' in verified
        ? verified.reason
        : await this.#flip(candidate, share, { service, first, ...verified });
    if (failure !== undefined) await this.#failed(service, candidate, failure);
    return true;
  }

  async #flip(
    { owner, verifiedAgoSeconds = 0 }: FlipCandidate,
    share: FlipShare,
    { service, digest, first }: Trying & { readonly service: ServiceName },
  ): Promise<string | undefined> {
    const { lanes, flipLane, digestOf } = this.#parts;
    const isVerified = (): boolean => digestOf(service) === digest;
    const facts = {
      share: share.percentage,
      verified_ago_seconds: Math.round(verifiedAgoSeconds),
      ...(first !== undefined && { first_by: first.person }),
    };
    const isFirst = first !== undefined && ({ isFirst: true } as const);
    return flipLane(await lanes.load(service, owner), { share, facts, isVerified, ...isFirst });
  }

  /** A lane that lacks nothing but a comparison is compared. @returns what it was judged by, or why it may not move */
  async #verify(
    service: ServiceName,
    { lane, owner }: FlipCandidate,
  ): Promise<{ readonly digest: string } | { readonly reason: string }> {
    const { book, digestOf } = this.#parts;
    const digest = digestOf(service);
    const result = await this.#compare(service, owner);
    if (result !== 'equal') return { reason: result };
    await book.verified([lane], digest);
    return { digest };
  }

  async #failed(service: ServiceName, { lane, attempts }: FlipCandidate, reason: string): Promise<void> {
    const { book, emit } = this.#parts;
    const failed = (attempts?.failed ?? 0) + 1;
    const retryInMs = backoffMs(failed, RETRY);
    await book.failed(lane, reason, retryInMs / 1_000);
    emit('flip:failed', { service, lane, reason, failed, retryInMs });
  }

  #judge(
    service: ServiceName,
    candidate: FlipCandidate,
    { share, permittedPercentage }: ServiceFlipFacts,
  ): readonly FlipFact[] {
    const { isSelected, areReadsMoved, limits } = this.#parts;
    const { owner } = candidate;
    const facts = {
      service,
      candidate,
      share,
      isSelected: isSelected(service, owner, permittedPercentage),
      areReadsMoved: areReadsMoved(service, owner),
    };
    return judgeLane(facts, limits);
  }

  /** Legacy's store rests after the reading. */
  async #compare(service: ServiceName, owner: Owner): Promise<'equal' | 'different' | 'not_comparable'> {
    const { compare, clock } = this.#parts;
    if (compare === undefined) return 'not_comparable';
    let readingMs = 0;
    try {
      const { verdict } = await compare(service, owner, {
        signal: this.#stopping.signal,
        catchUpMs: EVERY_MS,
        holdMs: EVERY_MS / 4,
        onRead: (ms) => {
          readingMs += ms;
        },
      });
      return verdict;
    } catch {
      return 'not_comparable';
    } finally {
      await clock.sleep(readingMs * READING_REST, this.#stopping.signal);
    }
  }

  /** What a foreign writer left on legacy during a flip is found once its writes are on both backends. */
  async #compareFlipped(service: ServiceName): Promise<void> {
    const { book } = this.#parts;
    for (const flip of await book.uncompared([service], COMPARED_AT_ONCE)) {
      if (this.#stopping.signal.aborted) return;
      await this.#compareOne(flip);
    }
  }

  async #compareOne(flip: UncomparedFlip): Promise<void> {
    const { book, emit } = this.#parts;
    const { service, lane, owner } = flip;
    emit('flip:comparing', { service, lane });
    const result = await this.#compare(service, owner);
    if (result === 'not_comparable') return;
    await book.compared(flip, result);
    // The next lane must not be flipped by what was known before.
    if (result === 'different') this.forget(service);
    emit('flip:compared', { service, lane, result });
  }
}
