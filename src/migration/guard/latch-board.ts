import type { ServiceName } from '../../domain/ids.ts';
import type { Clock } from '../ports.ts';
import type { Finding, GuardStep } from './finding.ts';
import type { Latch } from './latch.ts';

/** A replica that has not seen the latches for so long acts as if all were set. */
const BLIND_AFTER_MS = 5_000;

/** What a service's reads are held by. */
export interface Hold {
  /** A trigger, or `database_lost`. */
  readonly cause: Finding['trigger'] | 'database_lost';
  /** Absent while it is not written down yet, and where the database is lost. */
  readonly latch?: Latch;
}

/** The latches as this replica knows them: those of the database, and its own trips from the moment they happen. */
export class LatchBoard {
  readonly #clock: Clock;
  readonly #ownTrips = new Map<ServiceName, Finding>();
  #open = new Map<ServiceName, Latch>();
  #seenAtMs = -Infinity;
  readonly #steps = new Map<ServiceName, ReadonlySet<GuardStep>>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** What the database holds, as of now. */
  adopt(open: readonly Latch[]): void {
    this.#open = new Map(open.map((latch) => [latch.service, latch]));
    this.#seenAtMs = this.#clock.now();
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
    return this.#clock.now() - this.#seenAtMs > BLIND_AFTER_MS ? { cause: 'database_lost' } : undefined;
  }

  has(service: ServiceName, step: GuardStep): boolean {
    return this.#steps.get(service)?.has(step) ?? false;
  }
}
