import type { ComparisonRule } from '../../domain/comparison.ts';
import type { SessionId } from '../../domain/ids.ts';
import { parseTolerantly, rawMembers } from '../../domain/json.ts';
import type { OrchestratorAnswer, OrchestratorRead } from '../../domain/orchestrator-call.ts';
import type { ReadAnswer, ReadFacts } from '../../domain/service-definition.ts';
import {
  cutText,
  summarize,
  SUMMARIZED_ENTRIES,
  type SummarizedEntry,
  type Summary,
  type TokenCut,
  tokenCutOf,
} from './summary.ts';
import { epochTimestampOf } from '../local-time.ts';
import { respell, spellText } from '../python-spelling.ts';
import { countItems, hasMore, itemsOf, rawValueOf, type StoredItem } from '../stored-items.ts';

/*
 * Whenever an entry beyond the fiftieth arrives, the service makes a summary of those fifty and the new one. It answers only with
 * summaries. The orchestrator holds the entries, so the summary is made again when it is read. A copy adds the summary as it was
 * (tag `summary`, after all that the copy saw). What came before a copy cannot always be made again.
 */

const RULE = {
  owner: 'crossfade',
  reason: 'each backend uses its own clock for the times of what it stores',
};
const CUT_RULE = {
  owner: 'crossfade',
  reason: 'a read with a small max_tokens truncates the text that legacy stores',
};

export const CONTEXT_RULES: readonly ComparisonRule[] = [
  { ...RULE, kind: 'tolerance_seconds', path: 'last_updated', seconds: 5 },
  { ...RULE, kind: 'tolerance_seconds', path: 'key_decisions[].timestamp', seconds: 5 },
  { ...CUT_RULE, kind: 'prefix', path: 'code_context' },
  { ...CUT_RULE, kind: 'prefix', path: 'conversation_summary' },
];

/** The service's answer without a summary. */
const NO_SUMMARY = `{"status": "error", "message": "'NoneType' object has no attribute 'get'"}`;

const PAGE = 1_000;

interface Page {
  readonly tag: 'entry' | 'decision' | 'summary';
  readonly order: 'asc' | 'desc';
  readonly limit: number;
}

const NEWEST_ENTRIES: Page = { tag: 'entry', order: 'desc', limit: SUMMARIZED_ENTRIES };
const DECISIONS: Page = { tag: 'decision', order: 'asc', limit: PAGE };
const NEWEST_SUMMARY: Page = { tag: 'summary', order: 'desc', limit: 1 };

export function firstContextReads(sessionId: SessionId): readonly OrchestratorRead[] {
  return [NEWEST_ENTRIES, DECISIONS, NEWEST_SUMMARY].map((page) => readOf(sessionId, page));
}

function readOf(sessionId: SessionId, { tag, order, limit }: Page, offset = 0): OrchestratorRead {
  const sort = { field: 'position', order };
  const filter = { memory_type: 'context', tags: [tag], limit, offset, sort };
  return { action: 'batch_read', sessionId, payload: { filter, no_touch: true, count: false } };
}

const NOTHING: OrchestratorAnswer = { data: {}, text: '{}' };

/** The answers by request: after the first three come further pages of decisions, then of entries. */
function sortAnswers(answers: readonly OrchestratorAnswer[]): {
  readonly entries: readonly OrchestratorAnswer[];
  readonly decisions: readonly OrchestratorAnswer[];
  readonly summary: OrchestratorAnswer | undefined;
} {
  const [entries, decisions, summary, ...further] = answers;
  const complete = further.findIndex((_, index) => !hasMore(further[index - 1] ?? decisions ?? NOTHING));
  const ofDecisions = complete === -1 ? further.length : complete;
  return {
    entries: [...(entries === undefined ? [] : [entries]), ...further.slice(ofDecisions)],
    decisions: [...(decisions === undefined ? [] : [decisions]), ...further.slice(0, ofDecisions)],
    summary,
  };
}

function nextPage(
  sessionId: SessionId,
  pages: readonly OrchestratorAnswer[],
  page: Page,
): OrchestratorRead | undefined {
  const last = pages.at(-1);
  if (last === undefined || !hasMore(last)) return undefined;
  const offset = pages.reduce((total, answer) => total + countItems(answer), 0);
  return readOf(sessionId, page, offset);
}

export function answerContext(
  answers: readonly OrchestratorAnswer[],
  { request, sessionId }: ReadFacts,
): ReadAnswer {
  const { entries, decisions, summary } = sortAnswers(answers);
  const moreDecisions = nextPage(sessionId, decisions, DECISIONS);
  if (moreDecisions !== undefined) return { next: [moreDecisions] };
  const copied = summary === undefined ? undefined : itemsOf(summary).at(0);
  const made = makeSummary(entries.flatMap(itemsOf), copied);
  if (made === 'needs_more') {
    const moreEntries = nextPage(sessionId, entries, { ...NEWEST_ENTRIES, limit: PAGE });
    if (moreEntries !== undefined) return { next: [moreEntries] };
  }
  const cut = tokenCutOf(request.raw['max_tokens']);
  const texts =
    made === undefined || made === 'needs_more' ? copiedMembers(copied, cut) : madeMembers(made, cut);
  return { reply: replyOf(texts, decisions.flatMap(itemsOf)) };
}

interface MadeSummary {
  readonly summary: Summary;
  /** The entry whose arrival started the summary. */
  readonly newest: StoredItem;
}

/**
 * The summary of the newest entries since the copy. If the service failed to make it, it kept the previous one, so the entries
 * before the failing one are tried. Undefined: the copied summary is valid. `needs_more`: older entries decide, if there are any.
 */
function makeSummary(
  entries: readonly StoredItem[],
  copied: StoredItem | undefined,
): MadeSummary | 'needs_more' | undefined {
  const copiedPosition = copied?.position ?? -1;
  let start = 0;
  for (;;) {
    const newest = entries[start];
    if (newest !== undefined && newest.position < copiedPosition) return undefined;
    const window = entries.slice(start, start + SUMMARIZED_ENTRIES);
    if (newest === undefined || window.length < SUMMARIZED_ENTRIES) return 'needs_more';
    const summarized = window.map((entry) => summarizedEntryOf(entry));
    const summary = summarize(summarized);
    if (summary !== undefined) return { summary, newest };
    start += summarized.findIndex(({ type, isText }) => type === 'code' && !isText) + 1;
  }
}

function summarizedEntryOf({ content }: StoredItem): SummarizedEntry {
  const { type, text, value } = content.fields;
  const isText = value === undefined && typeof text === 'string';
  return { type, isText, content: isText ? text : rawValueOf(content) };
}

type Members = Readonly<Record<string, string>>;

/** Undefined if the service answers as if it had no summary. */
function madeMembers({ summary, newest }: MadeSummary, cut: TokenCut): Members | undefined {
  const { codeContext, conversationSummary, errorsEncountered } = summary;
  const texts = Object.entries({ code_context: codeContext, conversation_summary: conversationSummary });
  const shown = texts.filter((entry): entry is [string, string] => entry[1] !== undefined);
  if (cut.kind === 'fails' && shown.length > 0) return undefined;
  return {
    last_updated: epochTimestampOf(newest),
    ...Object.fromEntries(shown.map(([key, text]) => [key, spellText(cutText(text, cut))])),
    errors_encountered: `[${errorsEncountered.map((error) => spellText(error)).join(', ')}]`,
  };
}

const CUT_MEMBERS = ['code_context', 'conversation_summary'];

function copiedMembers(copied: StoredItem | undefined, cut: TokenCut): Members | undefined {
  const members = Object.entries(rawMembers(copied?.content.raw['summary'] ?? '{}'));
  if (cut.kind === 'fails' && members.some(([key]) => CUT_MEMBERS.includes(key))) return undefined;
  return Object.fromEntries(members.map(([key, text]) => [key, spellMember(key, text, cut)]));
}

function spellMember(key: string, raw: string, cut: TokenCut): string {
  const isCut = CUT_MEMBERS.includes(key) && raw.startsWith('"');
  return isCut ? spellText(cutText(String(parseTolerantly(raw)), cut)) : respell(raw);
}

function replyOf(members: Members | undefined, decisions: readonly StoredItem[]): string {
  if (members === undefined) return NO_SUMMARY;
  const shown = Object.entries(members).map(([key, text]) => `${spellText(key)}: ${text}`);
  if (shown.length === 0 && decisions.length === 0) return NO_SUMMARY;
  return `{${[...shown, `"key_decisions": [${decisions.map(spellDecision).join(', ')}]`].join(', ')}}`;
}

function spellDecision(item: StoredItem): string {
  const decision = respell(rawValueOf(item.content));
  return `{"timestamp": ${epochTimestampOf(item)}, "decision": ${decision}}`;
}
