import type { Database } from '../../../src/storage/database.ts';
import type { Ledger } from '../ledger.ts';
import { listsOf, type List } from '../judge.ts';
import { readLegacyStores, readOrchestratorStore, type StoreContents } from '../stores.ts';
import type { World } from '../world.ts';
import { compareClosed, compareFrozen, compareOwners, compareWithAgents, FaultBook } from './compare.ts';
import type { Operator } from './operator.ts';
import type { Traffic } from './traffic.ts';

/** What is compared after a step: which stores take writes. */
export type Compared = 'legacy' | 'both' | 'closed' | 'read_only';

export interface StageParts {
  readonly world: World;
  readonly operator: Operator;
  readonly traffic: Traffic;
  readonly ledger: Ledger;
  readonly journal: Database;
  readonly orchestratorStore: Database;
  readonly say: (what: string) => void;
}

/** What the steps of a run share. */
export class Stage {
  readonly parts: StageParts;
  readonly book = new FaultBook();
  /** Lists in legacy's store → what a writer past the proxy has added. */
  readonly foreign = new Map<string, string>();
  /** Services in which that writer was found and named. */
  foreignFound = 0;
  areCertificatesValid = false;
  #before: ReadonlyMap<string, List> = new Map();
  #frozen: ReadonlyMap<string, readonly string[]> = new Map();
  /** Times of flipping, by the clock of the calls. */
  readonly flipping: { readonly fromMs: number; readonly untilMs: number }[] = [];

  constructor(parts: StageParts) {
    this.parts = parts;
  }

  /** Pauses the agents, waits until both stores have what they have written, and compares item by item. */
  async compare(step: string, compared: Compared): Promise<void> {
    const { traffic, operator } = this.parts;
    await traffic.pause();
    try {
      if (compared !== 'legacy') await operator.settled();
      await this.#compareNow(step, compared);
    } finally {
      traffic.resume();
    }
  }

  async #compareNow(step: string, compared: Compared): Promise<void> {
    const { world, orchestratorStore, ledger } = this.parts;
    const legacy = readLegacyStores(world.folders.legacy);
    const orchestrator = await readOrchestratorStore(orchestratorStore);
    const lists = listsOf(ledger, { legacy, orchestrator });
    const { book } = this;
    const areLive = compared === 'legacy' || compared === 'both';
    if (areLive)
      compareWithAgents(lists, compared === 'both' ? ['legacy', 'orchestrator'] : ['legacy'], { step, book });
    else compareWithAgents(lists, ['orchestrator'], { step, book });
    if (compared !== 'legacy')
      compareOwners(ownersIn(ledger), ownersOf(orchestrator), { where: `${step}, orchestrator`, book });
    if (areLive) compareOwners(ownersIn(ledger), ownersOf(legacy), { where: `${step}, legacy`, book });
    if (compared === 'closed') compareClosed(this.#before, lists, { step, book });
    if (compared === 'read_only')
      compareFrozen(this.#frozen, itemsOf(legacy), { foreign: this.foreign, step, book });
    if (compared === 'closed') this.#frozen = itemsOf(legacy);
    this.#before = new Map(lists.map((list) => [list.name, copyOf(list)]));
  }

  /** Notes the time of the work as one in which lanes are flipped. */
  async whileFlipping(work: () => Promise<void>): Promise<void> {
    const fromMs = performance.now();
    await work();
    this.flipping.push({ fromMs, untilMs: performance.now() });
  }

  /** Lanes whose writes were moved, and were returned. Lanes that began on the orchestrator are not counted. */
  async moves(): Promise<{ readonly flipped: number; readonly flippedBack: number }> {
    const [row] = await this.parts.journal.query<{ flipped: number; flipped_back: number }>(
      `select count(*) filter (where primary_backend = 'orchestrator' and not facts ? 'is_born')::int as flipped,
         count(*) filter (where primary_backend = 'legacy')::int as flipped_back from flips`,
    );
    return { flipped: row?.flipped ?? 0, flippedBack: row?.flipped_back ?? 0 };
  }
}

function copyOf(list: List): List {
  return { ...list, expected: [...list.expected], removed: [...(list.removed ?? [])] };
}

function ownersIn({ sessions, contextual, jarvis }: Ledger): ReadonlySet<string> {
  return new Set([...sessions.keys(), ...contextual.keys(), ...jarvis.keys()]);
}

/** Owners that hold items. */
function ownersOf(contents: StoreContents): readonly string[] {
  return Object.values(sectionsOf(contents)).flatMap((section) =>
    [...section].flatMap(([owner, items]) => (items.length === 0 || owner.includes(':') ? [] : [owner])),
  );
}

function itemsOf(contents: StoreContents): ReadonlyMap<string, readonly string[]> {
  return new Map(
    Object.entries(sectionsOf(contents)).flatMap(([section, owners]) =>
      [...owners].map(([owner, items]) => [`${section}/${owner}`, [...items]] as const),
    ),
  );
}

function sectionsOf({ sessions, entries, decisions, memories }: StoreContents) {
  return { sessions, entries, decisions, memories };
}
