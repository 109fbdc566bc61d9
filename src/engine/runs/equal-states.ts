import { createHash } from 'node:crypto';
import type { LaneDigest } from '../../domain/service-definition.ts';
import type { EqualStates } from '../ports/lane-history.ts';
import type { DigestedLane, ListDigest } from './lane-digests.ts';

/** What both sides show of a lane now. */
interface ShownLane {
  readonly legacy: ListDigest;
  readonly orchestrator: DigestedLane | undefined;
  /** Undefined before they were first found equal. */
  readonly known: EqualStates | undefined;
}

/** Detects equal lanes by their digests, or because both sides show what was once found to be the same list. */
export class EqualLanes {
  readonly #members: string;

  /** Other members give other digests of the same list, so results from other members do not apply. */
  constructor(members: LaneDigest | undefined) {
    this.#members = createHash('sha256')
      .update(JSON.stringify(members ?? null))
      .digest('hex')
      .slice(0, 16);
  }

  isEqual({ legacy, orchestrator, known }: ShownLane): boolean {
    if (orchestrator === undefined) return false;
    if (orchestrator.digest !== undefined) return orchestrator.digest === legacy;
    return isSameStates(this.statesOf({ legacy, orchestrator }), known);
  }

  /** Returns the known fingerprint only if it belongs to the current members. Otherwise it must be computed again. */
  fingerprintIn(known: EqualStates | undefined): string | undefined {
    return known?.legacy.endsWith(` ${this.#members}`) === true ? known.orchestrator : undefined;
  }

  /** Undefined if the orchestrator makes no fingerprints. */
  statesOf({ legacy, orchestrator }: Omit<ShownLane, 'known'>): EqualStates | undefined {
    const fingerprint = orchestrator?.fingerprint;
    if (fingerprint === undefined) return undefined;
    return { legacy: `${legacy} ${this.#members}`, orchestrator: fingerprint };
  }
}

/** Undefined equals nothing. */
export function isSameStates(one: EqualStates | undefined, other: EqualStates | undefined): boolean {
  return one !== undefined && one.legacy === other?.legacy && one.orchestrator === other.orchestrator;
}
