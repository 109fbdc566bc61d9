import type { ServiceName } from '../../domain/ids.ts';
import type { Clock } from '../ports/ports.ts';
import type { Finding, GuardStep } from '../ports/finding.ts';
import type { Latch } from '../ports/latch.ts';

/** A replica that has not seen the latches for so long acts as if all were set. */
const BLIND_AFTER_MS = 5_000;

/** What a service's reads are held by. */
export interface Hold {
  /** A trigger, or `database_lost`. */
  readonly cause: Finding['trigger'] | 'database_lost';
  /** Absent while it is not written down yet, and where the database is lost. */
  readonly latch?: Latch;
}

/** When the database was asked for its latches: what it answers is as old as this, however late it comes. */
export interface AskedLatches {
  readonly atMs: number;
  /** Among questions, and latches written down, of this replica. */
  readonly order: number;
}

/** The latches as this replica knows them: those of the database, and its own trips from the moment they happen. */
export class LatchBoard {
  readonly #clock: Clock;
  readonly #ownTrips = new Map<ServiceName, Finding>();
  #open = new Map<ServiceName, Latch>();
  /** When each latch that this replica wrote down, or found written, was: an older answer does not know of it. */
  readonly #writtenAt = new Map<ServiceName, number>();
  #order = 0;
  #seen: AskedLatches = { atMs: -Infinity, order: 0 };
  readonly #steps = new Map<ServiceName, ReadonlySet<GuardStep>>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** To be taken before the database is asked. */
  asking(): AskedLatches {
    return { atMs: this.#clock.now(), order: this.#next() };
  }

  /**
   * What the database held when it was asked. A latch written down since stays.
   * @returns false where a later question is answered already: then nothing of this answer counts
   */
  adopt(open: readonly Latch[], asked: AskedLatches): boolean {
    if (asked.order < this.#seen.order) return false;
    const isLater = ([service]: readonly [ServiceName, unknown]) =>
      (this.#writtenAt.get(service) ?? 0) > asked.order;
    const later = [...this.#open].filter(isLater);
    this.#open = new Map([...open.map((latch) => [latch.service, latch] as const), ...later]);
    this.#seen = asked;
    return true;
  }

  /** A trip of this replica, from here on in effect. False where the service is latched already. */
  trip(finding: Finding): boolean {
    if (this.#ownTrips.has(finding.service) || this.#open.has(finding.service)) return false;
    this.#ownTrips.set(finding.service, finding);
    return true;
  }

  /** Own trips that the database does not know yet. */
  unwritten(): readonly Finding[] {
    return [...this.#ownTrips.values()];
  }

  written(latch: Latch): void {
    this.#open.set(latch.service, latch);
    this.#writtenAt.set(latch.service, this.#next());
    this.#ownTrips.delete(latch.service);
  }

  /** What is done about the service short of a latch. */
  take(service: ServiceName, steps: ReadonlySet<GuardStep>): void {
    this.#steps.set(service, steps);
  }

  holdOf(service: ServiceName): Hold | undefined {
    const latch = this.#open.get(service);
    if (latch !== undefined) return { cause: latch.finding.trigger, latch };
    const own = this.#ownTrips.get(service);
    if (own !== undefined) return { cause: own.trigger };
    return this.#clock.now() - this.#seen.atMs > BLIND_AFTER_MS ? { cause: 'database_lost' } : undefined;
  }

  has(service: ServiceName, step: GuardStep): boolean {
    return this.#steps.get(service)?.has(step) ?? false;
  }

  #next(): number {
    this.#order += 1;
    return this.#order;
  }
}
