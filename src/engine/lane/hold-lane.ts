import { ConnectionError } from '../../domain/errors.ts';
import type { LaneKey } from '../../domain/ids.ts';
import type { Lane } from './lane.ts';
import type { Clock } from '../../shared/clock.ts';
import type { Journal } from '../ports/ports.ts';
import type { ReplicaIdentity } from '../ports/replica-ports.ts';

/** A hold expires after this time, in case this replica dies. */
const HOLD_SECONDS = 30;
const RETRY_MS = 20;
/** A write of another replica may take this long. After that, the engine checks whether that replica is dead. */
const PATIENCE_MS = 1_000;

interface HoldParts {
  readonly journal: Pick<Journal, 'hold' | 'releaseHold'>;
  readonly clock: Clock;
  /** Whether no other replica writes. Then turns in memory are enough. */
  readonly isAlone: () => boolean;
  readonly identity: ReplicaIdentity;
  /** Whether no other replica has given this one up. */
  readonly mayAct: () => boolean;
  /** Another replica has been busy with the lane for longer than a write takes. */
  readonly busy: (lane: LaneKey) => void;
}

/** A lane that is held, so that nothing writes to it. */
export interface HeldLane {
  /** Whether nothing can have written to it so far. A replica that was given up loses its holds. */
  isSure(): boolean;
  release(): void;
}

/** Keeps writes out of a lane: those of this replica by its turn, those of others by the journal. */
export type HoldLane = (lane: Lane, deadlineAtMs: number) => Promise<HeldLane>;

export function createHoldLane(parts: HoldParts): HoldLane {
  return async (lane, deadlineAtMs) => {
    const giveBack = await lane.turn.take(deadlineAtMs);
    // Another replica may join meanwhile. It waits before it acts, and until then this replica is alone.
    if (parts.isAlone()) return { release: giveBack, isSure: parts.isAlone };
    const { id } = parts.identity;
    let heldUntilMs = 0;
    try {
      heldUntilMs = await holdElsewhere(lane, deadlineAtMs, parts);
    } catch (error) {
      giveBack();
      throw error;
    }
    return {
      isSure: () => parts.identity.id === id && parts.mayAct() && parts.clock.now() < heldUntilMs,
      release: () => {
        giveBack();
        // If this fails, the hold expires by itself.
        void parts.journal.releaseHold(lane.key).catch(() => undefined);
      },
    };
  };
}

/** Resolves with the time at which the hold expires. */
async function holdElsewhere(
  lane: Lane,
  deadlineAtMs: number,
  { journal, clock, busy }: HoldParts,
): Promise<number> {
  let askAtMs = clock.now() + PATIENCE_MS;
  while (clock.now() < deadlineAtMs) {
    const askedAtMs = clock.now();
    const state = await journal.hold(lane.key, HOLD_SECONDS);
    if (state !== undefined) {
      lane.adopt(state);
      return askedAtMs + HOLD_SECONDS * 1_000;
    }
    if (clock.now() >= askAtMs) {
      askAtMs += PATIENCE_MS;
      busy(lane.key);
    }
    await clock.sleep(RETRY_MS);
  }
  throw new ConnectionError('another replica was busy with the lane until the deadline', {
    effect: 'not_applied',
    reason: 'lane_busy',
  });
}
