import type { OrchestratorWrite } from '../../src/domain/orchestrator-call.ts';
import type { Journal } from '../../src/engine/ports/ports.ts';
import type { Profile } from './faults.ts';
import type { WireOperation } from './orchestrator-rows.ts';
import type { StoreFaults } from './orchestrator-store.ts';
import { marksIn } from './legacy/effects.ts';
import type { Random } from './random.ts';

/** Faults that can be planted, to prove that the checks see them. */
export const BREAKS = ['lost-write', 'double-apply', 'resurrect', 'reorder', 'silent-loss'] as const;

export type Break = (typeof BREAKS)[number];

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

  /** A fence that is off shows only where deliveries are doubled. */
  profile(profile: Profile): Profile {
    if (this.#broken === 'silent-loss') return { ...profile, loss: 2 };
    return this.#broken === 'double-apply' ? { ...profile, request_doubled: 2 } : profile;
  }

  /** With `silent-loss` the journal does not say that nothing passed it when a write was accepted. */
  journal<Broken extends Pick<Journal, 'undelivered'>>(journal: Broken): Broken {
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

/** The first two creates of a batch, where they are two writes of one lane. */
function pairOf(
  operations: readonly OrchestratorWrite[],
): readonly [OrchestratorWrite, OrchestratorWrite] | undefined {
  const [first, second] = operations.filter(({ action }) => action === 'create');
  if (first?.lane === undefined || second?.lane === undefined) return undefined;
  const isPair = first.lane.key === second.lane.key && first.lane.sequence !== second.lane.sequence;
  return isPair ? [first, second] : undefined;
}
