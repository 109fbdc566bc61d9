import type { StoredMemory } from '../../domain/service-definition.ts';
import type { OrchestratorWrite } from '../../domain/orchestrator-call.ts';
import type { LegacyLane } from '../../domain/service-definition.ts';
import type { ListedMemory } from '../items/copy-plan.ts';

/** A copy that would remove more than so many items and this share of a lane stops for a person. */
const REMOVAL_LIMIT = 20;
const REMOVAL_SHARE = 0.2;

/** The lane as a copy found it. */
export interface CopiedLane {
  readonly source: LegacyLane;
  readonly listed: readonly ListedMemory[];
  readonly sequence: number;
}

/** What a repair knows beyond what a copy may assume. */
export interface CopyAdvice {
  /** Ids of what the orchestrator shows and must not: what a person has asked to be taken off it. */
  removable(found: CopiedLane): Promise<ReadonlySet<string>>;
  /** Ids of what legacy lost and a person has yet to decide about: it stays, and does not stop the copy. */
  undecided(found: CopiedLane): Promise<ReadonlySet<string>>;
  /** Called before anything is written; what it throws ends the copy. */
  beforeWriting(found: CopiedLane, operations: readonly OrchestratorWrite[]): Promise<void>;
}

export interface VanishedJudgement {
  readonly deletes: readonly StoredMemory[];
  readonly forgotten: readonly StoredMemory[];
  readonly lost: readonly StoredMemory[];
  /** How many items stay because a person has yet to decide about them. */
  readonly left: number;
  /** Why the copy stops for a person. */
  readonly stop: string | undefined;
}

export interface JudgedFacts {
  /** The primary does not show them, and no journaled write that is known for certain deleted them. */
  readonly vanished: readonly StoredMemory[];
  /** So many of them may have been deleted by writes of which nobody knows what they named. */
  readonly unaccounted: number;
  /** Agents may have written to the lane while nothing was journaled. */
  readonly wasUncovered: boolean;
  /** Ids of items that were written since every replica journals: no agent can have deleted them unseen. */
  readonly covered: ReadonlySet<string>;
  /** Items of the orchestrator's list. */
  readonly held: number;
  /** What a person has asked for. */
  readonly removable: ReadonlySet<string>;
  /** What a person has yet to decide about. */
  readonly undecided: ReadonlySet<string>;
  /** Ids of what was listed as lost before, and waits for a person: whatever explains it now came later. */
  readonly listedLost: ReadonlySet<string>;
  readonly explain: (
    vanished: readonly StoredMemory[],
  ) => Promise<{ readonly forgotten: readonly StoredMemory[]; readonly lost: readonly StoredMemory[] }>;
}

/** What becomes of items that the primary does not show any more. */
export async function judgeVanished(facts: JudgedFacts): Promise<VanishedJudgement> {
  const { unaccounted, removable, undecided } = facts;
  const asked = facts.vanished.filter(({ memory_id: id }) => removable.has(id));
  const open = facts.vanished.filter(({ memory_id: id }) => !removable.has(id) && !undecided.has(id));
  const before = open.filter(({ memory_id: id }) => facts.listedLost.has(id));
  const vanished = open.filter(({ memory_id: id }) => !facts.listedLost.has(id));
  // An agent's delete comes before what the service may have forgotten by itself.
  const isCovered = vanished.length <= unaccounted;
  const { forgotten, lost } = isCovered ? { forgotten: [], lost: vanished } : await facts.explain(vanished);
  // Anything else that vanished while nothing was journaled may have been deleted by an agent.
  const known = facts.wasUncovered ? lost.filter(({ memory_id: id }) => facts.covered.has(id)) : lost;
  const surelyLost = [...before, ...(known.length <= unaccounted ? [] : known)];
  const deletedUnseen = lost.filter((memory) => !surelyLost.includes(memory));
  const stop = reasonToStop({
    lost: surelyLost.length,
    removed: deletedUnseen.length,
    held: facts.held,
  });
  const left = facts.vanished.length - asked.length - open.length;
  return { deletes: [...asked, ...deletedUnseen], forgotten, lost: surelyLost, left, stop };
}

interface Removal {
  readonly lost: number;
  readonly removed: number;
  readonly held: number;
}

function reasonToStop({ lost, removed, held }: Removal): string | undefined {
  if (lost > 0) return 'lost';
  return removed > REMOVAL_LIMIT && removed > held * REMOVAL_SHARE ? 'would_remove_too_much' : undefined;
}
