import type { StoredMemory } from '../../domain/service-definition.ts';
import type { OrchestratorWrite } from '../../domain/orchestrator-call.ts';
import type { LegacyLane } from '../../domain/service-definition.ts';
import type { ListedMemory } from '../items/copy-plan.ts';

/** A copy that would remove more than this number of items, and this share of the lane, stops for a person. */
const REMOVAL_LIMIT = 20;
const REMOVAL_SHARE = 0.2;

/** The lane, as a copy found it. */
export interface CopiedLane {
  readonly source: LegacyLane;
  readonly listed: readonly ListedMemory[];
  readonly sequence: number;
}

/** Further knowledge of a repair, beyond that of a copy. */
export interface CopyAdvice {
  /** Ids of items that a person has asked to remove from the orchestrator. */
  removable(found: CopiedLane): Promise<ReadonlySet<string>>;
  /** Ids of lost items that wait for a decision. They stay, and they do not stop the copy. */
  undecided(found: CopiedLane): Promise<ReadonlySet<string>>;
  /** Called before anything is written. If it throws, the copy ends. */
  beforeWriting(found: CopiedLane, operations: readonly OrchestratorWrite[]): Promise<void>;
}

export interface VanishedJudgement {
  readonly deletes: readonly StoredMemory[];
  readonly forgotten: readonly StoredMemory[];
  readonly lost: readonly StoredMemory[];
  /** Number of items that stay because they wait for a decision. */
  readonly left: number;
  /** Why the copy stops for a person. */
  readonly stop: string | undefined;
}

export interface JudgedFacts {
  /** Items that the primary does not show, and that no journaled write certainly deleted. */
  readonly vanished: readonly StoredMemory[];
  /** Of these, this many may have been deleted by writes whose items are unknown. */
  readonly unaccounted: number;
  /** Agents may have written to the lane while writes were not journaled. */
  readonly wasUncovered: boolean;
  /** Ids of items written since every replica journals. No unseen write can have deleted them. */
  readonly covered: ReadonlySet<string>;
  /** Items of the orchestrator's list. */
  readonly held: number;
  /** Items that a person has asked to remove. */
  readonly removable: ReadonlySet<string>;
  /** Lost items that wait for a decision. */
  readonly undecided: ReadonlySet<string>;
  /** Ids of items that were listed as lost before and wait for a person. Whatever explains them now came later. */
  readonly listedLost: ReadonlySet<string>;
  readonly explain: (
    vanished: readonly StoredMemory[],
  ) => Promise<{ readonly forgotten: readonly StoredMemory[]; readonly lost: readonly StoredMemory[] }>;
}

/** Decides about items that the primary no longer shows. */
export async function judgeVanished(facts: JudgedFacts): Promise<VanishedJudgement> {
  const { unaccounted, removable, undecided } = facts;
  const asked = facts.vanished.filter(({ memory_id: id }) => removable.has(id));
  const open = facts.vanished.filter(({ memory_id: id }) => !removable.has(id) && !undecided.has(id));
  const before = open.filter(({ memory_id: id }) => facts.listedLost.has(id));
  const vanished = open.filter(({ memory_id: id }) => !facts.listedLost.has(id));
  // A delete by an agent is checked before what the service may have forgotten by itself.
  const isCovered = vanished.length <= unaccounted;
  const { forgotten, lost } = isCovered ? { forgotten: [], lost: vanished } : await facts.explain(vanished);
  // An item that vanished while writes were not journaled may have been deleted by an agent.
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
