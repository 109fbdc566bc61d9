import type { Backend } from '../../domain/backend.ts';
import { ConnectionError } from '../../domain/errors.ts';
import type { Clock } from '../../shared/clock.ts';
import { within } from '../../shared/within.ts';
import type { OwnedOperation } from '../ports/operation.ts';
import type { Journal, LaneView } from '../ports/ports.ts';
import type { Lane } from './lane.ts';
import type { Lanes } from './lanes.ts';

/** Without the journal, a primary that was seen longer ago than this may be another one by now: a lease. */
const SEEN_FOR_MS = 3_000;

/** The primary for the writes of a lane. */
export interface SeenPrimary {
  readonly primary: Backend;
  /** The lane, if memory answered. */
  readonly lane?: Lane;
  /** What the journal showed of the lane. Absent if memory answered, or if the lane was never written. */
  readonly view?: LaneView | undefined;
}

interface PrimaryParts {
  readonly journal: Pick<Journal, 'fence'>;
  readonly lanes: Pick<Lanes, 'of' | 'load'>;
  readonly clock: Clock;
  /** Whether no other replica acts, so that none can change a primary. Then memory answers. */
  readonly isAlone: () => boolean;
  /** Whether the orchestrator may be primary of the lane, as far as is known without the journal. */
  readonly mayHaveMoved: (lane: Lane) => boolean;
  /** Longest wait for the journal, milliseconds. */
  readonly timeoutMs: number;
}

/**
 * Which backend is primary of a lane, for reads. A write learns it from the commit of its intent, and a read stores no intent. Any
 * replica may change the primary of a lane, so the journal answers unless this replica is alone.
 */
export class Primaries {
  readonly #parts: PrimaryParts;

  constructor(parts: PrimaryParts) {
    this.#parts = parts;
  }

  /**
   * Waits for the journal only where another replica may have changed the primary.
   * @throws ConnectionError reason `primary_unknown`: the journal does not answer, and the primary was not seen within a lease
   */
  of({ service: { name }, owner, lane: key }: OwnedOperation): SeenPrimary | Promise<SeenPrimary> {
    const { lanes, isAlone, mayHaveMoved, clock } = this.#parts;
    const lane = lanes.of(name, owner, key);
    if (lane.primary === 'legacy' && !mayHaveMoved(lane)) return { primary: 'legacy', lane };
    if (!lane.isLoaded || !isAlone()) return this.#ask(lane);
    lane.sawPrimary(lane, clock.now());
    return { primary: lane.primary, lane };
  }

  async #ask(lane: Lane): Promise<SeenPrimary> {
    const { clock, timeoutMs } = this.#parts;
    const askedAtMs = clock.now();
    try {
      const view = await within(this.#look(lane), timeoutMs, { what: 'the journal' });
      lane.sawPrimary(view?.state ?? lane, askedAtMs);
      // An answer that is older than what this replica has learned meanwhile changes nothing.
      return { primary: lane.primary, view };
    } catch (cause) {
      if (askedAtMs - lane.primarySeenAtMs < SEEN_FOR_MS) return { primary: lane.primary };
      throw new ConnectionError('the primary of the lane is not known', {
        effect: 'not_applied',
        reason: 'primary_unknown',
        cause,
      });
    }
  }

  /** A replica that is alone loads the lane once. */
  async #look({ key, service, owner }: Lane): Promise<LaneView | undefined> {
    const { journal, lanes, isAlone } = this.#parts;
    if (!isAlone()) return journal.fence(key);
    await lanes.load(service, owner);
    return undefined;
  }
}
