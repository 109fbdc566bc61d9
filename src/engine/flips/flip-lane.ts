import { cutoverBucket } from '../../domain/cutover-bucket.ts';
import { messageOf } from '../../domain/errors.ts';
import type { LaneState } from '../../domain/lane.ts';
import type { Lane } from '../lane/lane.ts';
import type { Emit } from '../ports/events.ts';
import type { FlipDecision, FlipShare, FlipStore, HeldForFlip } from '../ports/flip-ports.ts';
import type { Position } from '../ports/restored-ports.ts';
import type { Journal } from '../ports/ports.ts';
import type { Clock } from '../../shared/clock.ts';

/** Longest time that the writes of a lane wait because of its flip, in all replicas. */
export const HOLD_MS = 250;
/** Pause before another replica's hold, or a delivery that is not recorded, is looked at again. */
export const LOOK_AGAIN_MS = 5;

export interface FlipLaneParts {
  readonly store: Pick<FlipStore, 'announce' | 'withdraw' | 'flip'>;
  readonly journal: Pick<Journal, 'fence'>;
  /** The lane's deliveries go first. */
  readonly hurry: (lane: Lane) => void;
  /** Whether another part of this replica works on the lane. */
  readonly isInUse: (lane: Lane) => boolean;
  /** Where the orchestrator is in the lane. Undefined if restored databases are not noticed. */
  readonly placeOf: (lane: Lane, deadlineAtMs: number) => Promise<Position | undefined>;
  /** Whether no other replica has given this one up. */
  readonly mayAct: () => boolean;
  readonly clock: Clock;
  readonly emit: Emit;
}

/** The share that permits the flip, and what else it was decided by. */
export interface FlipGround {
  readonly share: FlipShare;
  readonly facts: NonNullable<FlipDecision['facts']>;
  /** Whether the comparison that the flip was decided by still proves something. */
  readonly isVerified: () => boolean;
  /** The way back is not proven, so only the lane that a person named may go. */
  readonly isFirst?: true;
}

/** Why the lane is still where it was, as closed words. */
export type FlipFailure =
  'in_use' | 'busy' | 'held_elsewhere' | 'not_drained' | 'changed' | 'orchestrator_away' | 'journal_failed';

/** Undefined if the lane was flipped. */
export type FlipLane = (lane: Lane, ground: FlipGround) => Promise<FlipFailure | undefined>;

/**
 * Makes the orchestrator the primary for the writes of a lane: ../README.md, "Moving the writes of a lane". Until the one statement that
 * flips it, any trouble leaves the lane as it was. After that, only its writes continue.
 */
export function createFlipLane(parts: FlipLaneParts): FlipLane {
  const { clock, emit, isInUse, mayAct } = parts;
  return async (lane, ground) => {
    if (isInUse(lane) || !mayAct()) return 'in_use';
    const release = await lane.turn.take(clock.now() + HOLD_MS).catch(() => undefined);
    if (release === undefined) return 'busy';
    const heldFromMs = clock.now();
    try {
      const failure = await held(parts, { lane, ground, untilMs: heldFromMs + HOLD_MS });
      if (failure === undefined)
        emit('lane:flipped', { ...factsOf(lane), epoch: lane.epoch, heldMs: clock.now() - heldFromMs });
      return failure;
    } finally {
      release();
    }
  };
}

interface Flipping {
  readonly lane: Lane;
  readonly ground: FlipGround;
  /** Writes wait no longer. */
  readonly untilMs: number;
}

/** In the lane's turn. Never rejects. */
async function held(parts: FlipLaneParts, flipping: Flipping): Promise<FlipFailure | undefined> {
  const { store, emit } = parts;
  const { lane } = flipping;
  try {
    const announced = await announceHold(parts, flipping);
    if (announced === undefined) return 'held_elsewhere';
    lane.adopt(announced.state);
    emit('flip:announced', factsOf(lane));
    const failure = await drainAndFlip(parts, flipping, announced);
    if (failure !== undefined) await store.withdraw(lane.key);
    return failure;
  } catch (error) {
    // Whether the statement took effect is unknown. The lane's next write, or read, learns it from the journal.
    lane.forget();
    emit('journal:failed', { reason: messageOf(error) });
    await store.withdraw(lane.key).catch(() => undefined);
    return 'journal_failed';
  }
}

/** Another replica may hold the lane for a moment, or have an open write. @returns undefined if that takes too long */
export async function announceHold(
  { store, clock }: { readonly store: Pick<FlipStore, 'announce'>; readonly clock: Clock },
  { lane, untilMs }: { readonly lane: Lane; readonly untilMs: number },
): Promise<HeldForFlip | undefined> {
  for (;;) {
    const leftMs = untilMs - clock.now();
    if (leftMs <= 0) return undefined;
    const announced = await store.announce(lane.key, leftMs);
    if (announced !== undefined) return announced;
    await clock.sleep(LOOK_AGAIN_MS);
  }
}

async function drainAndFlip(
  parts: FlipLaneParts,
  flipping: Flipping,
  { state, claim }: HeldForFlip,
): Promise<FlipFailure | undefined> {
  const { lane, ground, untilMs } = flipping;
  const { emit, clock, mayAct, store } = parts;
  const drained = await drain(parts, flipping);
  if (drained === undefined) return 'not_drained';
  emit('flip:drained', factsOf(lane));
  const looked = await lookAt(parts, flipping);
  if (typeof looked === 'string') return looked;
  if (!mayAct() || clock.now() >= untilMs) return 'not_drained';
  const { share, facts, isFirst } = ground;
  const flipped = await store.flip(lane.key, {
    to: 'orchestrator',
    epoch: state.epoch,
    sequence: drained.sequence,
    claim,
    permission: {
      share: share.number,
      version: share.version,
      bucket: cutoverBucket(lane.service, lane.key),
      ...(isFirst === true && { isFirst }),
    },
    ...looked,
    facts,
  });
  if (flipped === undefined) return 'changed';
  emit('flip:committed', factsOf(lane));
  lane.adopt(flipped);
  return undefined;
}

/** What the orchestrator holds. If its database was restored since the lane was compared, it may lack writes. */
async function lookAt(
  { placeOf }: FlipLaneParts,
  { lane, ground, untilMs }: Flipping,
): Promise<Pick<FlipDecision, 'held'> | FlipFailure> {
  let held: Position | undefined;
  try {
    held = await placeOf(lane, untilMs);
  } catch {
    return 'orchestrator_away';
  }
  if (!ground.isVerified()) return 'changed';
  return held === undefined ? {} : { held };
}

/** The lane once every write that may be acknowledged is on the orchestrator; undefined if that takes too long. */
async function drain(
  { journal, clock, hurry, emit }: FlipLaneParts,
  { lane, untilMs }: Flipping,
): Promise<LaneState | undefined> {
  hurry(lane);
  for (let looks = 0; clock.now() < untilMs; looks += 1) {
    const view = await journal.fence(lane.key);
    if (view !== undefined && !view.isBehind) return view.state;
    if (looks === 0) emit('flip:draining', factsOf(lane));
    await clock.sleep(LOOK_AGAIN_MS);
  }
  return undefined;
}

function factsOf({ service, key }: Lane) {
  return { service, lane: key };
}
