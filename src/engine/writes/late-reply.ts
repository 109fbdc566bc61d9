import type { LaneState } from '../../domain/lane.ts';
import type { Emit } from '../ports/events.ts';
import type { Lane } from '../lane/lane.ts';
import type { Journal, PendingWrite } from '../ports/ports.ts';
import { CrossfadeError } from '../../domain/errors.ts';
import type { Outcome } from '../../domain/outcome.ts';
import { isReadable, type ServiceDefinition, type WriteAction } from '../../domain/service-definition.ts';
import type { OwnedOperation } from '../ports/operation.ts';
import type { ServiceRuntime } from '../ports/service-runtime.ts';
import { type Sequenced, sequencedLabels } from './sequence-write.ts';
import type { OutcomeRecorder } from './outcome-recorder.ts';
import type { Settling } from './settle.ts';

interface LateReplyParts {
  readonly journal: Pick<Journal, 'resolveLate'>;
  readonly outcomeRecorder: OutcomeRecorder;
  readonly emit: Emit;
  deliver(lane: Lane, write: PendingWrite): void;
  tellHome(lane: Lane): void;
  /** A lane is certain again. Its waiting writes can be delivered. */
  wake(): void;
}

/** A write with an unknown outcome. */
export interface UnknownWrite {
  readonly sequenced: Sequenced;
  readonly settling: Settling;
  /** Resolves with whether the journal has recorded that its outcome is unknown. */
  readonly recorded: Promise<boolean>;
  /** The lane's generation when it was sent. */
  readonly generation: number;
}

/**
 * W8: the late reply to a write of unknown outcome has come. If no copy of the lane has begun since and nothing else is wrong,
 * the lane is certain again. The write is then delivered like any other.
 */
export class LateReplies {
  readonly #parts: LateReplyParts;

  constructor(parts: LateReplyParts) {
    this.#parts = parts;
  }

  /** Resolves with whether the lane is certain again. If not, it stays dirty, and its copy decides. Never rejects. */
  async resolve(unknown: UnknownWrite, outcome: 'applied' | 'refused'): Promise<boolean> {
    const { sequenced, settling, recorded, generation } = unknown;
    await settling.marked;
    if (!(await recorded)) return false;
    const seedsUnder = outcome === 'applied' ? seedOf(sequenced) : undefined;
    const late = {
      ref: sequenced.write,
      outcome,
      generation,
      ...(seedsUnder !== undefined && { seedsUnder }),
    };
    let state: LaneState | undefined;
    await this.#parts.outcomeRecorder.untilDone(async () => {
      state = await this.#parts.journal.resolveLate(late);
    });
    if (state === undefined) return false;
    settling.end();
    this.#goOn(sequenced, state, outcome);
    return true;
  }

  #goOn(sequenced: Sequenced, state: LaneState, outcome: 'applied' | 'refused'): void {
    const { lane, write } = sequenced;
    lane.adoptForeign(state);
    if (outcome === 'applied') lane.appliedUpTo(write.sequence);
    this.#parts.emit('write:came_late', { ...sequencedLabels(sequenced), outcome });
    if (!state.isHome) this.#parts.tellHome(lane);
    else if (outcome === 'applied') this.#parts.deliver(lane, write);
    else this.#parts.wake();
  }
}

export function outcomeOfFailure(error: unknown): Outcome {
  return error instanceof CrossfadeError && error.effect === 'not_applied' ? 'not_applied' : 'unknown';
}

export function writeActionOf(operation: OwnedOperation): WriteAction {
  if (operation.action.kind !== 'write') throw new Error(`"${operation.name}" is not a write`);
  return operation.action;
}

/**
 * The coverage under which the write's success seeds its lane. The success proves that the lane was empty, and that this is the
 * first write of its life. While other writes may bypass the journal, a copy must check the lane.
 */
export function seedOf({ operation, lane, write, coverage, maySeed }: Sequenced): number | undefined {
  const provesEmpty = writeActionOf(operation).provesEmpty === true;
  return provesEmpty && maySeed && write.sequence === 1 && lane.generation === 0 ? coverage : undefined;
}

/** The write created an owner whose earlier life the orchestrator may hold. An unseeded lane is copied anyway. */
export function beginsAgain(sequenced: Sequenced): boolean {
  const { operation, lane, coverage } = sequenced;
  const provesEmpty = writeActionOf(operation).provesEmpty === true;
  return provesEmpty && lane.seededCoverage === coverage && seedOf(sequenced) === undefined;
}

const TOLERANCES = new WeakMap<ServiceDefinition, number>();

/**
 * Whether the lane of a write must be copied, because its effect became known only long after it was accepted. Its service may
 * have stored it at any moment in between, because the service or this process may have been paused. A delivered item gets the
 * time at which it was accepted. If the two times are further apart than the times of answers may be, every read of it would
 * differ. Only a copy knows the service's own time. A lane that cannot be copied is delivered.
 * @param sinceMs by the monotonic clock, because a wall clock may jump
 */
export function mayBeStoredLate(service: ServiceRuntime, sinceMs: number): boolean {
  return sinceMs > toleranceMsOf(service.definition) && isReadable(service);
}

/** How far apart the times of answers may be; Infinity if none are compared. */
function toleranceMsOf(definition: ServiceDefinition): number {
  const known = TOLERANCES.get(definition) ?? leastToleranceMs(definition);
  TOLERANCES.set(definition, known);
  return known;
}

function leastToleranceMs({ actions }: ServiceDefinition): number {
  const rules = Object.values(actions).flatMap((action) =>
    action.kind === 'read' && action.legacyOnly === undefined ? action.rules : [],
  );
  const tolerances = rules.map((rule) => (rule.kind === 'tolerance_seconds' ? rule.seconds : Infinity));
  return Math.min(...tolerances) * 1_000;
}
