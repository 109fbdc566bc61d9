import { messageOf } from '../../domain/errors.ts';
import { parseLaneKey, type LaneKey } from '../../domain/ids.ts';
import type { CopyQueue } from '../copies/copy-queue.ts';
import type { Emit } from '../ports/events.ts';
import type { Lane } from '../lane/lane.ts';
import type { Lanes } from '../lane/lanes.ts';
import type { Clock } from '../../shared/clock.ts';
import type { Journal } from '../ports/ports.ts';
import type { UnconfirmedLanes } from './unconfirmed-lanes.ts';
import type { TakeOver } from './take-over.ts';

/** How long a write of another replica may wait before the lane's home sees it. */
const LOOK_EVERY_MS = 50;
/** Even without another replica, a statement of a dead one may still commit. So every this many rounds it is checked. */
const RARELY = 40;
const LOOSE_ENDS_EVERY = 2 * RARELY;

export interface ForeignLaneParts {
  readonly journal: Pick<Journal, 'takeForeign' | 'unwell'>;
  readonly lanes: Lanes;
  readonly clock: Clock;
  readonly emit: Emit;
  readonly isAlone: () => boolean;
  readonly copies: Pick<CopyQueue, 'holds'>;
  readonly takeOver: Pick<TakeOver, 'foreign' | 'attend' | 'recoverAgain'>;
  readonly unconfirmed: Pick<UnconfirmedLanes, 'look'>;
}

/**
 * Learns what other replicas did to the lanes whose home is this one. Also finds effects of its own statements that were reported
 * as failed and repeated.
 */
export class ForeignLanes {
  readonly #parts: ForeignLaneParts;
  /** Lanes on which nothing worked at the last check. */
  #unattended: ReadonlySet<LaneKey> = new Set();
  #isStopped = false;
  #loop: Promise<void> | undefined;

  constructor(parts: ForeignLaneParts) {
    this.#parts = parts;
  }

  start(): void {
    this.#loop = this.#run();
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#loop;
  }

  async #run(): Promise<void> {
    for (let looks = 0; !this.#isStopped; looks += 1) {
      await this.#parts.clock.sleep(LOOK_EVERY_MS);
      if (!this.#parts.isAlone() || looks % RARELY === 0) await this.#try(() => this.#look());
      if (looks % RARELY === 0) await this.#try(() => this.#lookForUnattended());
      if (looks % LOOSE_ENDS_EVERY === 0) await this.#try(() => this.#parts.unconfirmed.look());
      if (looks % LOOSE_ENDS_EVERY === 0) await this.#try(() => this.#parts.takeOver.recoverAgain());
    }
  }

  async #look(): Promise<void> {
    const { journal, takeOver } = this.#parts;
    // The next query confirms that this answer has arrived, so nothing may fail between the lanes of the answer.
    for (const [key, state] of await journal.takeForeign()) takeOver.foreign(this.#laneOf(key), state);
  }

  /**
   * Looks only at lanes that nothing worked on at the last check either. A row that was read just before its copy ended
   * proves nothing.
   */
  async #lookForUnattended(): Promise<void> {
    const { journal, takeOver } = this.#parts;
    const unattended = new Map(
      (await journal.unwell())
        .map((key) => [key, this.#laneOf(key)] as const)
        .filter(([, lane]) => this.#isUnattended(lane)),
    );
    for (const [key, lane] of unattended) if (this.#unattended.has(key)) takeOver.attend(lane);
    this.#unattended = new Set(unattended.keys());
  }

  #laneOf(key: LaneKey): Lane {
    const { service, owner } = parseLaneKey(key);
    return this.#parts.lanes.of(service, owner);
  }

  #isUnattended(lane: Lane): boolean {
    // A lane that is known to be dirty, and not to be copied, waits for a person.
    const isUnknown = !lane.isLoaded || lane.condition === 'clean' || lane.condition === 'copying';
    return isUnknown && !lane.isSettling && !this.#parts.copies.holds(lane);
  }

  async #try(look: () => Promise<void>): Promise<void> {
    try {
      await look();
    } catch (error) {
      this.#parts.emit('journal:failed', { reason: messageOf(error) });
    }
  }
}
