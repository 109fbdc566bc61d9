import { messageOf } from '../../domain/errors.ts';
import type { ReplicaId, ServiceName } from '../../domain/ids.ts';
import type { Emit } from '../ports/events.ts';
import type { Clock } from '../../shared/clock.ts';
import type { FlagSwitch, LatchStore } from './guard-ports.ts';
import type { Hold, Latches } from './latches.ts';
import { backoffMs } from '../../shared/backoff.ts';

const LOOK_EVERY_MS = 250;
const RETRY = { firstMs: 1_000, longestMs: 30_000 };
/** The replica that tripped switches the flags off. If it cannot, the others do after this time. */
const OTHERS_WAIT_MS = 5_000;

export interface FlagsAfterTripParts {
  readonly replica: ReplicaId;
  readonly services: readonly ServiceName[];
  readonly board: Latches;
  readonly latches: Pick<LatchStore, 'areFlagsDue' | 'flagsAreOff'>;
  /** Absent if flags cannot be changed from here, because they are files or no admin token is configured. */
  readonly flagSwitch: FlagSwitch | undefined;
  readonly clock: Clock;
  readonly emit: Emit;
}

/** Whether the flags show a trip. What is active does not depend on it. */
export type FlagsOffState =
  | { readonly state: 'not_configured' }
  | { readonly state: 'waiting'; readonly tries: number; readonly lastError?: string }
  | { readonly state: 'off'; readonly flags: readonly string[] };

/** One trip whose flags must be switched off. */
interface Wish {
  /** Unknown until the trip is in the database. */
  latch: number | undefined;
  nextAtMs: number;
  tries: number;
  lastError: string | undefined;
  /** Set when they are off. */
  flags: readonly string[] | undefined;
  isWritten: boolean;
}

/**
 * Switches the flags of a service off after a trip. It tries until it succeeds, until another replica or a person has done it,
 * or until the latch is released. If a person then switches them on again, they stay on, because the latch keeps the reads on
 * legacy.
 */
export class FlagsAfterTrip {
  readonly #parts: FlagsAfterTripParts;
  readonly #wishes = new Map<ServiceName, Wish>();
  readonly #stopped = new AbortController();
  readonly #underWay = new Set<Promise<void>>();
  readonly #busy = new Set<ServiceName>();
  #loop: Promise<void> = Promise.resolve();

  constructor(parts: FlagsAfterTripParts) {
    this.#parts = parts;
  }

  async start(): Promise<void> {
    if (this.#parts.flagSwitch !== undefined) this.#loop = this.#run();
  }

  async stop(): Promise<void> {
    this.#stopped.abort();
    this.#parts.flagSwitch?.stop();
    await this.#loop;
    await Promise.allSettled(this.#underWay);
  }

  /** Undefined if nothing tripped. */
  stateOf(service: ServiceName): FlagsOffState | undefined {
    const hold = this.#tripOf(service);
    if (hold === undefined) return undefined;
    const wish = this.#wishes.get(service);
    const flags = hold.latch?.flagsOff ?? wish?.flags;
    if (flags !== undefined) return { state: 'off', flags };
    if (this.#parts.flagSwitch === undefined) return { state: 'not_configured' };
    const { tries = 0, lastError } = wish ?? {};
    return { state: 'waiting', tries, ...(lastError !== undefined && { lastError }) };
  }

  async #run(): Promise<void> {
    const { clock, services } = this.#parts;
    while (!this.#stopped.signal.aborted) {
      for (const service of services) this.#look(service);
      await clock.sleep(LOOK_EVERY_MS, this.#stopped.signal);
    }
  }

  /** One request per service at a time. A server that hangs delays neither other services nor this loop. */
  #look(service: ServiceName): void {
    if (this.#busy.has(service)) return;
    const wish = this.#wishOf(service);
    if (wish === undefined || wish.isWritten || this.#parts.clock.now() < wish.nextAtMs) return;
    this.#busy.add(service);
    const work = this.#pursue(service, wish).finally(() => {
      this.#busy.delete(service);
      this.#underWay.delete(work);
    });
    this.#underWay.add(work);
  }

  #wishOf(service: ServiceName): Wish | undefined {
    const hold = this.#tripOf(service);
    if (hold === undefined || hold.latch?.flagsOff !== undefined) {
      this.#wishes.delete(service);
      return undefined;
    }
    const known = this.#wishes.get(service);
    const latch = hold.latch?.id;
    if (known !== undefined && (known.latch ?? latch) === latch) {
      known.latch = latch;
      return known;
    }
    const wish = this.#newWish(hold);
    this.#wishes.set(service, wish);
    return wish;
  }

  #newWish({ latch }: Hold): Wish {
    const { clock, replica } = this.#parts;
    const isOurs = latch === undefined || latch.replica === replica;
    return {
      latch: latch?.id,
      nextAtMs: clock.now() + (isOurs ? 0 : OTHERS_WAIT_MS),
      tries: 0,
      lastError: undefined,
      flags: undefined,
      isWritten: false,
    };
  }

  async #pursue(service: ServiceName, wish: Wish): Promise<void> {
    const { clock } = this.#parts;
    try {
      // The board learns of a release, or of another replica's work, up to a second later.
      if (wish.flags === undefined && !(await this.#isDue(wish))) return;
      wish.flags ??= await this.#switchOff(service, wish);
      if (wish.latch === undefined) return;
      await this.#parts.latches.flagsAreOff(wish.latch, { service, flags: wish.flags });
      wish.isWritten = true;
    } catch (error) {
      if (this.#stopped.signal.aborted) return;
      // The guard reports a database that is away.
      if (wish.flags === undefined) this.#failed(service, wish, messageOf(error));
      wish.nextAtMs = clock.now() + backoffMs(wish.tries, RETRY);
    }
  }

  async #isDue({ latch }: Wish): Promise<boolean> {
    if (latch === undefined) return true;
    try {
      return await this.#parts.latches.areFlagsDue(latch);
    } catch {
      // While the database is away, no latch can be released.
      return true;
    }
  }

  async #switchOff(service: ServiceName, wish: Wish): Promise<readonly string[]> {
    const flags = (await this.#parts.flagSwitch?.off(service, () => this.#isDue(wish))) ?? [];
    this.#parts.emit('guard:flags_off', { service, flags });
    return flags;
  }

  #failed(service: ServiceName, wish: Wish, reason: string): void {
    wish.tries += 1;
    wish.lastError = reason;
    this.#parts.emit('guard:flags_failed', { service, reason });
  }

  /** A replica that lost its database also stops reads, but that is not a trip. */
  #tripOf(service: ServiceName): Hold | undefined {
    const hold = this.#parts.board.holdOf(service);
    return hold === undefined || hold.cause === 'database_lost' ? undefined : hold;
  }
}
