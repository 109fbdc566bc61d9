import type { ComparisonRule } from '../../domain/comparison.ts';
import type { SessionId } from '../../domain/ids.ts';
import type { OrchestratorAnswer, OrchestratorRead } from '../../domain/orchestrator-call.ts';
import type { Message } from '../../domain/request.ts';
import type { ReadFacts } from '../../domain/service-definition.ts';
import { countCodePoints, respell, spellText } from '../python-spelling.ts';
import { localTimeOf } from '../local-time.ts';
import { countItems, hasMore, itemsOf, type StoredItem } from '../stored-items.ts';

/** The service counts four characters as a token, and stops at the first interaction that does not fit. */
const CHARACTERS_PER_TOKEN = 4;
const DEFAULT_TOKENS = 2_000;

/** Few budgets need more than the first page. */
const FIRST_PAGE = 32;
const NEXT_PAGE = 1_000;

export const CONTEXT_RULES: readonly ComparisonRule[] = [
  {
    kind: 'tolerance_seconds',
    path: 'context[].timestamp',
    seconds: 5,
    owner: 'crossfade',
    reason:
      'legacy uses the time of storing an interaction, the orchestrator the time at which the proxy accepted it',
  },
];

export function firstContextPage(sessionId: SessionId): OrchestratorRead {
  return pageOf(sessionId, 0, FIRST_PAGE);
}

function pageOf(sessionId: SessionId, offset: number, limit: number): OrchestratorRead {
  const sort = { field: 'position', order: 'desc' };
  return {
    action: 'batch_read',
    sessionId,
    payload: {
      filter: { memory_type: 'conversation', limit, offset, sort },
      no_touch: true,
      count: false,
    },
  };
}

/** The newest interactions that fit the request's budget, oldest first, as JSON texts, or the next page to read. */
export function answerContext(
  answers: readonly OrchestratorAnswer[],
  { request, sessionId, context }: ReadFacts,
): string[] | { readonly next: readonly OrchestratorRead[] } {
  const budget = budgetOf(request.raw['max_tokens']);
  if (budget === undefined) return [];
  const selection = select(answers.flatMap(itemsOf), budget);
  if (selection === undefined) return [];
  const last = answers.at(-1);
  if (!selection.isFull && last !== undefined && hasMore(last)) {
    const offset = answers.reduce((total, answer) => total + countItems(answer), 0);
    return { next: [pageOf(sessionId, offset, NEXT_PAGE)] };
  }
  return selection.items.toReversed().map((item) => spellInteraction(item, context.timeZone));
}

const BUDGET_WORDS: Readonly<Record<string, number>> = {
  true: 1,
  false: 0,
  // Nothing is greater than NaN.
  NaN: Number.POSITIVE_INFINITY,
  Infinity: Number.POSITIVE_INFINITY,
  '-Infinity': Number.NEGATIVE_INFINITY,
};

/** The budget in tokens. Undefined if the service cannot compare the given value, and answers nothing. */
function budgetOf(raw: string | undefined): number | undefined {
  if (raw === undefined) return DEFAULT_TOKENS;
  if (/^-?\d/.test(raw)) return Number(raw);
  return BUDGET_WORDS[raw];
}

interface Selection {
  /** Newest first. */
  readonly items: readonly StoredItem[];
  readonly isFull: boolean;
}

/** Undefined if the service fails: it cannot count the characters of a value that is not text, and answers nothing. */
function select(newestFirst: readonly StoredItem[], budget: number): Selection | undefined {
  const items: StoredItem[] = [];
  let spent = 0;
  for (const item of newestFirst) {
    const { text, value, role } = item.content.fields;
    if (value !== undefined) return undefined;
    if (typeof text !== 'string' || role === undefined) continue;
    spent += Math.floor(countCodePoints(text) / CHARACTERS_PER_TOKEN);
    if (spent > budget) return { items, isFull: true };
    items.push(item);
  }
  return { items, isFull: false };
}

function spellInteraction({ content, legacyTimestamp, createdAt }: StoredItem, timeZone: string): string {
  const timestamp = spellText(legacyTimestamp ?? localTimeOf(createdAt, timeZone));
  return `{"role": ${spellRole(content)}, "content": ${spellText(String(content.fields['text']))}, "timestamp": ${timestamp}}`;
}

function spellRole({ fields, raw }: Message): string {
  const { role } = fields;
  return typeof role === 'string' ? spellText(role) : respell(raw['role'] ?? 'null');
}
