import type { Ledger } from './ledger.ts';
import { canonical, type StoreContents } from './stores.ts';

export interface Counts {
  missing_on_legacy: number;
  missing_on_orchestrator: number;
  extra_on_orchestrator: number;
  misordered: number;
  /** On the orchestrator, and forgotten by legacy as it declares. */
  forgotten: number;
  /** Acknowledged, and on neither store. */
  lost: number;
}

export interface Judgement {
  readonly counts: Counts;
  /** The first findings in words. */
  readonly findings: string[];
}

const FINDINGS = 20;

/** One owner's items, as agents know them and as both stores hold them. */
export interface List {
  readonly name: string;
  /** What agents were told is stored. */
  readonly expected: readonly string[];
  readonly legacy: readonly string[];
  readonly orchestrator: readonly string[];
  /** Only one agent wrote: the order is the agent's. */
  readonly isOrdered: boolean;
  /** Whether legacy's declared retention explains that it does not show everything. */
  readonly mayForget: boolean;
  /** What may be there: the write got an error. */
  readonly maybe?: readonly string[];
  /** What an agent has deleted. */
  readonly removed?: readonly string[];
  /** What legacy may have forgotten before dual writes began: nobody could have copied it. */
  readonly beforeCoverage?: readonly string[];
}

/** Holds both stores against what agents were told, item by item. */
export function judge(ledger: Ledger, legacy: StoreContents, orchestrator: StoreContents): Judgement {
  const counts = {
    missing_on_legacy: 0,
    missing_on_orchestrator: 0,
    extra_on_orchestrator: 0,
    misordered: 0,
    forgotten: 0,
    lost: 0,
  };
  const judgement: Judgement = { counts, findings: [] };
  for (const list of listsOf(ledger, { legacy, orchestrator })) judgeList(judgement, list);
  return judgement;
}

interface Stores {
  readonly legacy: StoreContents;
  readonly orchestrator: StoreContents;
}

/** Every list whose contents agents know. */
export function listsOf(ledger: Ledger, stores: Stores): List[] {
  return [
    ...sessionLists(ledger, stores),
    ...contextualLists(ledger, stores),
    ...jarvisLists(ledger, stores),
  ];
}

function sessionLists(ledger: Ledger, { legacy, orchestrator }: Stores): List[] {
  return [...ledger.sessions.values()].map(({ sessionId, items, removed, isOpen }) => ({
    removed,
    name: `session-memory/${sessionId}`,
    expected: items.map(({ role, content }) => `${role}\n${content}`),
    legacy: legacy.sessions.get(sessionId) ?? [],
    orchestrator: orchestrator.sessions.get(sessionId) ?? [],
    isOrdered: true,
    mayForget: isOpen && !legacy.sessions.has(sessionId),
  }));
}

/** Several agents write to one contextual session, and the original keeps its newest 50 entries. */
function contextualLists(ledger: Ledger, { legacy, orchestrator }: Stores): List[] {
  return [...ledger.contextual.values()].flatMap(({ sessionId, entries, uncovered, decisions, maybe }) => {
    const name = `contextual-memory/${sessionId}`;
    const shown = legacy.entries.get(sessionId) ?? [];
    const stored = orchestrator.entries.get(sessionId) ?? [];
    return [
      {
        name,
        expected: entries,
        maybe: maybe.entries,
        legacy: shown,
        orchestrator: stored,
        isOrdered: false,
        mayForget: shown.length === 50,
        beforeCoverage: entries.slice(0, uncovered),
      },
      {
        name: `${name} decisions`,
        expected: decisions,
        maybe: maybe.decisions,
        legacy: legacy.decisions.get(sessionId) ?? [],
        orchestrator: orchestrator.decisions.get(sessionId) ?? [],
        isOrdered: false,
        mayForget: false,
      },
    ];
  });
}

function jarvisLists(ledger: Ledger, { legacy, orchestrator }: Stores): List[] {
  return [...ledger.jarvis.values()].map(({ userId, memories, maybe, removed, isShared }) => ({
    name: `jarvis-memory/${userId}`,
    expected: memories.map(asStored),
    maybe: maybe.map(asStored),
    removed: removed.map(asStored),
    legacy: legacy.memories.get(userId) ?? [],
    orchestrator: orchestrator.memories.get(userId) ?? [],
    isOrdered: !isShared,
    mayForget: false,
  }));
}

function asStored(text: string): string {
  return canonical(JSON.parse(text));
}

function judgeList({ counts, findings }: Judgement, list: List): void {
  const { expected, legacy, orchestrator } = list;
  const notOnLegacy = minus(expected, legacy);
  const goneBefore = forgottenUnseen(list);
  const onNeither = minus(minus(notOnLegacy, orchestrator), goneBefore).length;
  const missing = list.mayForget ? 0 : notOnLegacy.length;
  const unseen = minus(minus(expected, orchestrator), goneBefore).length;
  const extra = minus(orchestrator, expected).length;
  counts.forgotten += list.mayForget ? notOnLegacy.length - onNeither : 0;
  counts.missing_on_legacy += missing;
  counts.missing_on_orchestrator += unseen;
  counts.extra_on_orchestrator += extra;
  counts.lost += onNeither;
  const isComplete = missing + unseen + extra === 0;
  const isMisordered = isOutOfOrder(list);
  if (isComplete && isMisordered) counts.misordered += 1;
  if ((isComplete && !isMisordered) || findings.length >= FINDINGS) return;
  findings.push(
    `${list.name}: ${expected.length} acknowledged, ${legacy.length} on legacy, ${orchestrator.length} on the orchestrator; ` +
      `missing ${missing} and ${unseen}, extra ${extra}${isMisordered ? ', order differs' : ''}`,
  );
}

function forgottenUnseen({ mayForget, beforeCoverage = [] }: List): readonly string[] {
  return mayForget ? beforeCoverage : [];
}

function isOutOfOrder({ legacy, orchestrator, expected, isOrdered }: List): boolean {
  return !isTail(legacy, orchestrator) || (isOrdered && !isTail(legacy, expected));
}

/** What stands in the first list more often than in the second. */
export function minus(list: readonly string[], other: readonly string[]): string[] {
  const counts = new Map<string, number>();
  for (const item of other) counts.set(item, (counts.get(item) ?? 0) + 1);
  return list.filter((item) => {
    const left = counts.get(item) ?? 0;
    counts.set(item, left - 1);
    return left <= 0;
  });
}

/** Whether the shorter list is the end of the longer one: legacy keeps the newest. */
function isTail(shown: readonly string[], all: readonly string[]): boolean {
  const from = all.length - shown.length;
  return from >= 0 && shown.every((item, index) => item === all[from + index]);
}
