import type { ServiceName } from '../../domain/ids.ts';
import type { Clock } from '../../shared/clock.ts';
import type { Finding, GuardStep, Latch } from '../ports/finding.ts';

/** A replica that has not read the latches for this long acts as if all were set. */
const BLIND_AFTER_MS = 5_000;

/** What keeps a service's reads on legacy. */
export interface Hold {
  /** A trigger, or `database_lost`. */
  readonly cause: Finding['trigger'] | 'database_lost';
  /** Absent while it is not stored yet, and if the database is lost. */
  readonly latch?: Latch;
}

/** When the database was queried for its latches. The answer is as old as the query, however late it comes. */
interface AskedLatches {
  readonly atMs: number;
  /** Order among the queries and the stored latches of this replica. */
  readonly order: number;
}

/** The latches as this replica knows them: those of the database, and its own trips from the moment they happen. */
export class Latches {
  readonly #clock: Clock;
  readonly #ownTrips = new Map<ServiceName, Finding>();
  #open = new Map<ServiceName, Latch>();
  /** When this replica stored each latch, or found it stored. An older answer does not contain it. */
  readonly #writtenAt = new Map<ServiceName, number>();
  #order = 0;
  #seen: AskedLatches = { atMs: -Infinity, order: 0 };
  readonly #steps = new Map<ServiceName, ReadonlySet<GuardStep>>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Call this before the database is queried. */
  asking(): AskedLatches {
    return { atMs: this.#clock.now(), order: this.#next() };
  }

  /**
   * Adopts what the database held at the time of the query. A latch stored since then stays.
   * @returns false if a later query has been answered already. This answer is ignored then
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

  /** A trip of this replica, active from now on. False if the service has a latch already. */
  trip(finding: Finding): boolean {
    if (this.#ownTrips.has(finding.service) || this.#open.has(finding.service)) return false;
    this.#ownTrips.set(finding.service, finding);
    return true;
  }

  /** Own trips that are not in the database yet. */
  unwritten(): readonly Finding[] {
    return [...this.#ownTrips.values()];
  }

  written(latch: Latch): void {
    this.#open.set(latch.service, latch);
    this.#writtenAt.set(latch.service, this.#next());
    this.#ownTrips.delete(latch.service);
  }

  /** The steps that are active for the service, apart from a latch. */
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
