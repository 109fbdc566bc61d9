import { CrossfadeError, messageOf } from '../../domain/errors.ts';
import type { ReplicaId, ServiceName } from '../../domain/ids.ts';
import { addEvidence, type Evidence, NO_EVIDENCE } from '../evidence/confidence.ts';
import type { Emit } from '../ports/events.ts';
import type { Clock } from '../../shared/clock.ts';
import { within } from '../../shared/within.ts';
import {
  type Finding,
  type GuardStep,
  isTrip,
  type Latch,
  type Trigger,
  TRIGGERS,
} from '../ports/finding.ts';
import { ServiceGuard } from './guard.ts';
import { type GuardLimits, NO_TROUBLE, type TriggerLevel } from './triggers.ts';
import type {
  Alerts,
  DigestOf,
  EvidenceRow,
  EvidenceStore,
  GuardState,
  LatchStore,
  MinuteStore,
  Release,
} from './guard-ports.ts';
import type { GuardRecorder } from './guard-recorder.ts';
import type { Latches } from './latches.ts';
import { MinuteBook } from './minute-book.ts';

const EVERY_MS = 1_000;
const WRITE_EVERY_TICKS = 5;
/** If the database takes longer, the next second tries again. */
const ASK_TIMEOUT_MS = 2_000;
const LONGEST_WINDOW_MS = 6 * 3_600_000;
/** Other replicas write every five seconds, so rows of the last minutes may still change. */
const OTHERS_CHANGE_WITHIN_MS = 3 * 60_000;
const PRUNE_EVERY_TICKS = 3_600;

export interface GuardWatchParts {
  readonly replica: ReplicaId;
  readonly services: readonly ServiceName[];
  readonly digestOf: DigestOf;
  readonly limits: GuardLimits;
  /** False if findings are only reported. Then nothing trips and nothing is blocked. */
  readonly isBinding: boolean;
  readonly recorder: GuardRecorder;
  readonly board: Latches;
  readonly latches: Pick<LatchStore, 'state' | 'trip' | 'release'>;
  readonly minutes: MinuteStore;
  readonly evidence: EvidenceStore;
  readonly alerts: Alerts;
  readonly clock: Clock;
  readonly emit: Emit;
  readonly firstCoolDownMs: number;
  /** How long statistics by minute are kept, for backtests. */
  readonly keepMinutesMs: number;
}

/** Evaluates the guard every second, stores its counts, and keeps the latches in step with the database. */
export class GuardWatch {
  readonly #parts: GuardWatchParts;
  readonly #guards: ReadonlyMap<ServiceName, ServiceGuard>;
  readonly #minutes = new MinuteBook();
  readonly #evidence: EvidenceBook;
  /** The findings of the last second, by service. */
  readonly #found = new Map<ServiceName, readonly Finding[]>();
  readonly #told = new ToldFindings();
  /** Services whose trip was alerted before it was stored. */
  readonly #toldOfTrip = new Set<ServiceName>();
  #releasedAtMs: ReadonlyMap<ServiceName, number> = new Map();
  #ticks = 0;
  #isStopped = false;
  #exchanging: Promise<void> | undefined;
  #loop: Promise<void> | undefined;
  #wake = new AbortController();

  constructor(parts: GuardWatchParts) {
    this.#parts = parts;
    this.#guards = new Map(parts.services.map((name) => [name, new ServiceGuard(name, parts.limits)]));
    this.#evidence = new EvidenceBook(parts.digestOf);
  }

  /** Reads the latches, and fills the windows with the counts from before this start. @throws StorageError */
  async start(): Promise<void> {
    const { clock, minutes } = this.#parts;
    await this.#askLatches();
    this.#read(await minutes.since(clock.wallMs() - LONGEST_WINDOW_MS));
    this.#loop = this.#run();
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#wake.abort();
    await this.#loop;
    this.#count();
    await this.#write().catch(() => undefined);
  }

  findingsOf(service: ServiceName): readonly Finding[] {
    return this.#found.get(service) ?? [];
  }

  /** How close each trigger is to its trip. */
  levelsOf(service: ServiceName): readonly TriggerLevel[] {
    return this.#guards.get(service)?.levels(this.#parts.clock.wallMs()) ?? [];
  }

  /** p95 of the latency that the proxy added in the last five minutes, milliseconds. */
  addedP95Ms(service: ServiceName): number | null {
    return this.#guards.get(service)?.addedQuantile(0.95) ?? null;
  }

  /** A deleted item was shown. Active at once. */
  seenAgain(service: ServiceName, count: number): void {
    this.#guards.get(service)?.seenAgain(count);
    this.#judge(service);
  }

  /** An external signal says that agents have problems. Resolves when the latch is stored. @throws StorageError */
  async signal(service: ServiceName, words: string): Promise<void> {
    this.#guards.get(service)?.signal(words);
    this.#judge(service);
    await this.#writeTrips();
  }

  /** @throws StorageError */
  async release(
    service: ServiceName,
    by: { readonly person: string; readonly reason: string },
  ): Promise<Release> {
    const { latches, alerts, clock, emit } = this.#parts;
    const release = await latches.release(service, by);
    if (release.result === 'released') {
      const { latch } = release;
      emit('guard:released', { service, latch: latch.id, person: by.person });
      alerts.send({ kind: 'released', service, latch, finding: latch.finding, atMs: clock.wallMs() });
      await this.#askLatches();
    }
    return release;
  }

  /** Evidence of a service that is not stored yet. */
  unwrittenEvidence(service: ServiceName, action: string): Evidence {
    return this.#evidence.unwritten(service, action);
  }

  async #run(): Promise<void> {
    while (!this.#isStopped) {
      await this.#parts.clock.sleep(EVERY_MS, this.#wake.signal);
      if (this.#isStopped) return;
      this.#ticks += 1;
      this.#count();
      for (const service of this.#guards.keys()) this.#judge(service);
      try {
        // If a query hangs, it is awaited again instead of starting another one.
        this.#exchanging ??= this.#exchange().finally(() => (this.#exchanging = undefined));
        await within(this.#exchanging, ASK_TIMEOUT_MS, { what: 'the database of the guard' });
      } catch (error) {
        this.#parts.emit('journal:failed', { reason: messageOf(error) });
        this.#alertUnwritten();
      }
    }
  }

  /** Adds everything that happened in the last second to the windows and the counts. */
  #count(): void {
    const atMs = this.#parts.clock.wallMs();
    for (const guard of this.#guards.values()) guard.turnTo(atMs);
    const { counted, evidence } = this.#parts.recorder.drain();
    for (const { service, action, counts } of evidence) this.#evidence.add(service, action, counts);
    for (const { service, action, counts } of counted) {
      this.#guards.get(service)?.add(action, atMs, counts);
      this.#minutes.add(service, action, { atMs, counts });
    }
  }

  async #exchange(): Promise<void> {
    const { clock, minutes, keepMinutesMs } = this.#parts;
    // The latch first. The minutes that tripped it are stored for people, and for the windows after the next start.
    const hasTripped = await this.#writeTrips();
    await this.#askLatches();
    if (hasTripped) await this.#write();
    if (this.#ticks % WRITE_EVERY_TICKS !== 0) return;
    await this.#write();
    this.#read(await minutes.since(clock.wallMs() - OTHERS_CHANGE_WITHIN_MS));
    if (this.#ticks % PRUNE_EVERY_TICKS === 0) await minutes.prune(clock.wallMs() - keepMinutesMs);
  }

  async #write(): Promise<void> {
    const { clock, minutes, evidence, replica } = this.#parts;
    const rows = this.#minutes.changed();
    if (rows.length > 0) {
      await minutes.write(replica, rows);
      this.#minutes.written(rows, clock.wallMs());
    }
    await this.#evidence.writeTo(evidence);
  }

  /** Rows of other replicas, and of this one before its restart. */
  #read(rows: Parameters<MinuteBook['news']>[0]): void {
    const { clock, replica } = this.#parts;
    const nowMs = clock.wallMs();
    for (const { service, action, minuteMs, counts } of this.#minutes.news(rows, replica, nowMs)) {
      if (minuteMs <= (this.#releasedAtMs.get(service) ?? 0)) continue;
      // A replica whose clock is ahead must not move the end of these windows into the future.
      this.#guards.get(service)?.add(action, Math.min(minuteMs, nowMs), counts);
    }
  }

  /** A trip or a release may happen while the query runs. */
  async #askLatches(): Promise<void> {
    const { board, latches } = this.#parts;
    const asked = board.asking();
    const state = await latches.state();
    if (board.adopt(state.open, asked)) this.#adopt(state);
  }

  #adopt({ releasedAtMs, troubled }: GuardState): void {
    const isReleased = (service: ServiceName) =>
      releasedAtMs.get(service) !== this.#releasedAtMs.get(service);
    // A person has judged the counts, here or through another replica. That includes the last second.
    if ([...this.#guards.keys()].some(isReleased)) this.#count();
    for (const [service, guard] of this.#guards) {
      if (isReleased(service)) {
        guard.reset();
        this.#told.forget(service);
      }
      guard.trouble(troubled.get(service) ?? NO_TROUBLE);
    }
    this.#releasedAtMs = releasedAtMs;
  }

  #judge(service: ServiceName): void {
    const { board, clock, emit, isBinding } = this.#parts;
    const findings = this.#guards.get(service)?.findings(clock.wallMs()) ?? [];
    this.#found.set(service, findings);
    this.#alert(service, findings);
    if (!isBinding) return;
    board.take(service, new Set(findings.flatMap(({ steps }): readonly GuardStep[] => steps)));
    const tripping = findings.find(isTrip);
    if (tripping === undefined || !board.trip(tripping)) return;
    emit('guard:tripped', { service, finding: tripping });
    this.#wake.abort();
    this.#wake = new AbortController();
  }

  /** Sends one alert per trigger when its findings begin. A trip has its own alert, with its latch. */
  #alert(service: ServiceName, findings: readonly Finding[]): void {
    const { isBinding, alerts, clock, emit } = this.#parts;
    const worth = findings.filter(
      (finding) => finding.steps.includes('alert') || (!isBinding && isTrip(finding)),
    );
    const atMs = clock.wallMs();
    for (const finding of this.#told.news(service, worth, atMs)) {
      emit('guard:found', { service, finding });
      alerts.send({ kind: 'finding', service, finding, atMs });
    }
  }

  /** @returns whether there were any trips */
  async #writeTrips(): Promise<boolean> {
    const { board, latches, replica, firstCoolDownMs } = this.#parts;
    const trips = board.unwritten();
    for (const finding of trips) {
      const { latch, isNew, flippedLanes } = await latches.trip(finding, { replica, firstCoolDownMs });
      board.written(latch);
      if (isNew) this.#tripped(latch, flippedLanes);
    }
    return trips.length > 0;
  }

  /** If several replicas trip at once, only the one that stored the latch sends the alert. */
  #tripped(latch: Latch, flippedLanes: number): void {
    const { service, finding, trippedAtMs } = latch;
    this.#parts.emit('guard:latched', { service, latch });
    if (this.#toldOfTrip.delete(service)) return;
    this.#parts.alerts.send({
      kind: 'tripped',
      service,
      latch,
      finding,
      atMs: trippedAtMs,
      flippedLanes,
    });
  }

  /** Sends the alert of a trip even if the database does not take it. */
  #alertUnwritten(): void {
    for (const finding of this.#parts.board.unwritten()) {
      const { service } = finding;
      if (this.#toldOfTrip.has(service)) continue;
      this.#toldOfTrip.add(service);
      this.#parts.alerts.send({ kind: 'tripped', service, finding, atMs: this.#parts.clock.wallMs() });
    }
  }
}

/** A rate near its limit moves above and below it with single comparisons, so a short absence is not an end. */
const RATES: ReadonlySet<Trigger> = new Set([
  'inconsistency',
  'errors',
  'latency',
  'not_comparable',
  'not_compared',
]);

/**
 * The guard judges at least 40 reads in six hours. If 12 of them could not be compared, that is one in half an hour. Two of these
 * are rarely this far apart (one pair in 400).
 */
const ENDED_AFTER_MS = 3 * 3_600_000;

interface Told {
  /** All steps that were alerted. */
  readonly steps: ReadonlySet<GuardStep>;
  readonly seenAtMs: number;
}

/** Remembers the findings that were alerted, so that each is alerted once, and once more when a further step is taken. */
export class ToldFindings {
  readonly #told = new Map<string, Told>();

  /** Returns the findings that were not alerted yet, at most one per trigger. */
  news(service: ServiceName, findings: readonly Finding[], nowMs: number): Finding[] {
    return TRIGGERS.flatMap((trigger) => {
      const found = findings.filter((finding) => finding.trigger === trigger);
      const key = `${service} ${trigger}`;
      const told = this.#told.get(key);
      if (found.length === 0) {
        const hasEnded = !RATES.has(trigger) || nowMs - (told?.seenAtMs ?? 0) >= ENDED_AFTER_MS;
        if (hasEnded) this.#told.delete(key);
        return [];
      }
      const steps = new Set([...(told?.steps ?? []), ...found.flatMap((finding) => finding.steps)]);
      this.#told.set(key, { steps, seenAtMs: nowMs });
      const news = found.find((finding) => finding.steps.some((step) => told?.steps.has(step) !== true));
      return news === undefined ? [] : [news];
    });
  }

  /** A person has judged the findings. Findings from now on are new. */
  forget(service: ServiceName): void {
    for (const trigger of TRIGGERS) this.#told.delete(`${service} ${trigger}`);
  }
}

const keyOf = (...names: readonly string[]): string => names.join(' ');

/** Comparisons on their way to the database, where they are added to those of all replicas. */
class EvidenceBook {
  readonly #digestOf: DigestOf;
  #rows = new Map<string, EvidenceRow>();

  constructor(digestOf: DigestOf) {
    this.#digestOf = digestOf;
  }

  add(service: ServiceName, action: string, evidence: Evidence): void {
    this.#put({ service, action, digest: this.#digestOf(service, action), evidence });
  }

  unwritten(service: ServiceName, action: string): Evidence {
    return this.#of(service, action, this.#digestOf(service, action));
  }

  /** Writes what was counted. What could not be written is kept. @throws StorageError */
  async writeTo(store: EvidenceStore): Promise<void> {
    if (this.#rows.size === 0) return;
    const rows = [...this.#rows.values()];
    this.#rows = new Map();
    try {
      await store.add(rows);
    } catch (error) {
      // The database may have added it despite the error. Matches that are counted twice would prove too much, so only mismatches
      // are kept.
      const isCertain = error instanceof CrossfadeError && error.effect === 'not_applied';
      for (const row of rows) this.#put(isCertain ? row : { ...row, evidence: onlyMismatches(row.evidence) });
      throw error;
    }
  }

  #of(service: ServiceName, action: string, digest: string): Evidence {
    return this.#rows.get(keyOf(service, action, digest))?.evidence ?? NO_EVIDENCE;
  }

  #put({ service, action, digest, evidence }: EvidenceRow): void {
    const sum = addEvidence(this.#of(service, action, digest), evidence);
    this.#rows.set(keyOf(service, action, digest), { service, action, digest, evidence: sum });
  }
}

function onlyMismatches({ mismatches, laneMismatches }: Evidence): Evidence {
  return {
    comparable: mismatches,
    errors: 0,
    mismatches,
    laneComparable: laneMismatches,
    laneMismatches,
  };
}
