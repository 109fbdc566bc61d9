import type { LaneKey } from '../../src/domain/ids.ts';
import type { LaneState } from '../../src/domain/lane.ts';
import type { OrchestratorWrite } from '../../src/domain/orchestrator-call.ts';
import type { Journal } from '../../src/engine/ports/ports.ts';
import type { Profile } from './faults.ts';
import type { WireOperation } from './orchestrator-rows.ts';
import type { StoreFaults } from './orchestrator-store.ts';
import { marksIn } from './legacy/effects.ts';
import type { Random } from './random.ts';

/** Faults that can be planted, to prove that the checks see them. */
export const BREAKS = [
  'lost-write',
  'double-apply',
  'resurrect',
  'reorder',
  'silent-loss',
  'flip-without-drain',
  'stale-mode',
  'double-reverse',
  'lost-delete',
  'flip-back-early',
  'restored-unnoticed',
] as const;

export type Break = (typeof BREAKS)[number];

/** Faults that show only where lanes are flipped. */
const FLIPPING: ReadonlySet<Break | undefined> = new Set<Break>([
  'flip-without-drain',
  'stale-mode',
  'double-reverse',
  'lost-delete',
  'flip-back-early',
  'restored-unnoticed',
]);

/** What hides that legacy lost something, because it forgets by itself or is not the primary. */
const HIDING: ReadonlySet<string> = new Set(['crowd', 'locked', 'flip']);

function onLegacyAlone(profile: Profile): Profile {
  return Object.fromEntries(Object.entries(profile).filter(([fault]) => !HIDING.has(fault)));
}

/** Share of the writes that a planted fault meets. */
const SHARE = 0.1;

/** One fault planted into a run, or none. */
export class Plant implements StoreFaults {
  readonly #broken: Break | undefined;
  readonly #random: Random;
  /** Every so manieth write holds what the orchestrator refuses; 0 is none. */
  poisonEvery = 0;

  constructor(broken: Break | undefined, random: Random) {
    this.#broken = broken;
    this.#random = random;
  }

  get isFenceOff(): boolean {
    return this.#broken === 'double-apply';
  }

  /** A flip does not wait until both backends have every write. */
  get skipsDrain(): boolean {
    return this.#broken === 'flip-without-drain';
  }

  /** A lane returns to legacy although that lacks a write. */
  get returnsEarly(): boolean {
    return this.#broken === 'flip-back-early';
  }

  /** No replica compares where restored databases are. */
  get missesRestores(): boolean {
    return this.#broken === 'restored-unnoticed';
  }

  /** What reaches legacy by reverse delivery takes effect twice there. */
  reversesTwice(): boolean {
    return this.#broken === 'double-reverse' && this.#random.chance(SHARE);
  }

  /** Legacy acknowledges a delete that comes by reverse delivery, and deletes nothing. */
  get losesDeletes(): boolean {
    return this.#broken === 'lost-delete';
  }

  /** A fence that is off shows only where deliveries are doubled. */
  profile(profile: Profile): Profile {
    if (this.#broken === 'silent-loss') return { ...onLegacyAlone(profile), loss: 2 };
    if (this.#broken === 'restored-unnoticed') return { ...profile, flip: 3, restore_orchestrator: 2 };
    if (this.#broken === 'flip-back-early') return { ...profile, flip: 3, rollback: 2 };
    if (FLIPPING.has(this.#broken)) return { ...profile, flip: 3 };
    return this.#broken === 'double-apply' ? { ...profile, request_doubled: 2 } : profile;
  }

  /**
   * With `silent-loss` the journal does not say that nothing passed it when a write was accepted. With `stale-mode` a replica obeys the
   * primary of a lane that it was told first.
   */
  journal<Broken extends Pick<Journal, 'undelivered' | 'append'>>(journal: Broken): Broken {
    if (this.#broken === 'stale-mode') return { ...journal, append: rememberingPrimaries(journal) };
    if (this.#broken !== 'silent-loss') return journal;
    const undelivered: Journal['undelivered'] = async (lane, through) =>
      (await journal.undelivered(lane, through)).map((write) => ({ ...write, isCovered: false }));
    return { ...journal, undelivered };
  }

  isDropped({ action }: WireOperation): boolean {
    return this.#broken === 'lost-write' && action === 'create' && this.#random.chance(SHARE);
  }

  /** Whether the orchestrator refuses what this write of an agent stores. */
  isPoison(number: number): boolean {
    return this.poisonEvery > 0 && number % this.poisonEvery === 0;
  }

  isRefused({ action, raw }: WireOperation): boolean {
    return action === 'create' && marksIn(raw['content'] ?? '').some((number) => this.isPoison(number));
  }

  resurrects(): boolean {
    return this.#broken === 'resurrect' && this.#random.chance(SHARE);
  }

  /** The engine's batch as it leaves: with `reorder` two writes of one lane take each other's place. */
  batch(operations: readonly OrchestratorWrite[]): readonly OrchestratorWrite[] {
    if (this.#broken !== 'reorder') return operations;
    const pair = pairOf(operations);
    if (pair === undefined) return operations;
    const [first, second] = pair;
    const swapped = new Map([
      [first, second.payload['position']],
      [second, first.payload['position']],
    ]);
    return operations.map((operation) =>
      swapped.has(operation)
        ? { ...operation, payload: { ...operation.payload, position: swapped.get(operation) } }
        : operation,
    );
  }
}

function rememberingPrimaries({ append }: Pick<Journal, 'append'>): Journal['append'] {
  const known = new Map<LaneKey, Pick<LaneState, 'primary' | 'epoch'>>();
  return async (intent) => {
    const state = await append(intent);
    if (state === undefined) return undefined;
    const { primary, epoch } = known.get(intent.lane) ?? state;
    known.set(intent.lane, { primary, epoch });
    return { ...state, primary, epoch };
  };
}

/** The first two creates of a batch, where they are two writes of one lane. */
function pairOf(
  operations: readonly OrchestratorWrite[],
): readonly [OrchestratorWrite, OrchestratorWrite] | undefined {
  const [first, second] = operations.filter(({ action }) => action === 'create');
  if (first?.lane === undefined || second?.lane === undefined) return undefined;
  const isPair = first.lane.key === second.lane.key && first.lane.sequence !== second.lane.sequence;
  return isPair ? [first, second] : undefined;
}
