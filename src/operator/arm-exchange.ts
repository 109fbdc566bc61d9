import { messageOf } from '../domain/errors.ts';
import type { ReplicaId } from '../domain/ids.ts';
import type { ArmStore } from '../engine/evidence/arm-intervals.ts';
import type { Clock } from '../shared/clock.ts';
import type { Arms } from './arms.ts';

const EVERY_MS = 10_000;
/** A missed report is made up to a week later, and needs these sums. */
const KEPT_MS = 8 * 86_400_000;
const PRUNE_EVERY = 360;
/** Each look reads this far back, so that a slow commit of another replica is not missed. */
const LOOKED_BACK_MS = 60_000;
const WINDOW_MS = 3_600_000;

interface ArmExchangeParts {
  readonly arms: Arms;
  readonly store: ArmStore;
  readonly replica: ReplicaId;
  readonly clock: Clock;
  /** Called with a message when an exchange failed. It is tried again. */
  readonly onProblem: (problem: string) => void;
  /** @defaultValue 10000 */
  readonly everyMs?: number;
}

/** Stores what this replica saw of both backends, and reads what the other replicas stored. The sums cover all replicas. */
export class ArmExchange {
  readonly #parts: ArmExchangeParts;
  readonly #stopped = new AbortController();
  #readAtMs: number | undefined;
  #rounds = 0;
  #loop: Promise<void> = Promise.resolve();

  constructor(parts: ArmExchangeParts) {
    this.#parts = parts;
  }

  async start(): Promise<void> {
    this.#loop = this.#run();
  }

  /** Stores what is left. */
  async stop(): Promise<void> {
    this.#stopped.abort();
    await this.#loop;
    await this.#write().catch(() => undefined);
  }

  async #run(): Promise<void> {
    const { clock, onProblem, everyMs = EVERY_MS } = this.#parts;
    const { signal } = this.#stopped;
    while (!signal.aborted) {
      try {
        await this.#exchange();
      } catch (error) {
        onProblem(messageOf(error));
      }
      await clock.sleep(everyMs, signal);
    }
  }

  async #exchange(): Promise<void> {
    const { arms, store, replica, clock } = this.#parts;
    await this.#write();
    const nowMs = clock.now();
    const writtenWithinMs =
      this.#readAtMs === undefined ? WINDOW_MS : nowMs - this.#readAtMs + LOOKED_BACK_MS;
    arms.adopt(await store.ofOthers(replica, { fromMs: arms.fromMs, writtenWithinMs }));
    this.#readAtMs = nowMs;
    if (this.#rounds % PRUNE_EVERY === 0) await store.prune(clock.wallMs() - KEPT_MS);
    this.#rounds += 1;
  }

  async #write(): Promise<void> {
    const { arms, store, replica } = this.#parts;
    const changed = arms.takeChanged();
    if (changed.length === 0) return;
    try {
      await store.write(replica, changed);
    } catch (error) {
      arms.putBack(changed);
      throw error;
    }
  }
}
