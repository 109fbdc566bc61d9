import type { RankingMeasure } from '../../domain/comparison.ts';
import { isJsonObject } from '../../domain/json.ts';
import type { RankingRule } from './compiled-rules.ts';
import type { ListPair } from './list-partners.ts';
import { plainOf } from './reply-values.ts';
import { overlapAt, rankBiasedOverlap, wordsOf } from './ranking.ts';
import type { Tally } from './tally.ts';

const FLOORS = { k: 10, overlap: 0.7, rankBiasedOverlap: 0.7, lexicalRecall: 0.99 } as const;

/** The items that both search answers contain, in legacy's order. */
export function sharedItems({ legacy, orchestrator }: ListPair, key: string): [unknown, unknown][] {
  const theirs = byKey(orchestrator, key);
  return [...byKey(legacy, key)].flatMap(([name, mine]): [unknown, unknown][] =>
    theirs.has(name) ? [[mine, theirs.get(name)]] : [],
  );
}

/** Whether two search answers are alike enough. Notes what was measured, and deleted items that came back. */
export function judgeRanking(lists: ListPair, rule: RankingRule, tally: Tally): boolean {
  const legacy = byKey(lists.legacy, rule.key);
  const orchestrator = byKey(lists.orchestrator, rule.key);
  const { k, ...floors } = { ...FLOORS, ...rule.floors };
  const mine = [...legacy.keys()];
  const theirs = [...orchestrator.keys()];
  const lexical = lexicalRecall({ legacy, orchestrator }, rule, tally);
  const measure: RankingMeasure = {
    overlap: overlapAt(k, mine, theirs),
    rankBiasedOverlap: rankBiasedOverlap(mine, theirs),
    ...(lexical !== undefined && { lexical }),
  };
  tally.ranking = measure;
  const isAlike =
    measure.overlap >= floors.overlap &&
    measure.rankBiasedOverlap >= floors.rankBiasedOverlap &&
    (lexical === undefined || lexical.found >= lexical.expected * floors.lexicalRecall);
  if (isAlike && measure.rankBiasedOverlap < 1) tally.accepted.push(rule);
  return isAlike;
}

type ByKey = ReadonlyMap<string, unknown>;

/** Items by key, the first of equal ones. An item without a key is identified by its place. */
function byKey(items: readonly unknown[], key: string): ByKey {
  const found = new Map<string, unknown>();
  items.forEach((item, index) => {
    const name = keyOfItem(item, key) ?? `at ${index}`;
    if (!found.has(name)) found.set(name, item);
  });
  return found;
}

/** The key of a list's item as text; undefined if it has none. */
function keyOfItem(item: unknown, key: string): string | undefined {
  const value = isJsonObject(item) ? plainOf(item[key]) : undefined;
  if (typeof value === 'string') return `string ${value}`;
  return typeof value === 'number' || typeof value === 'bigint' ? `number ${value}` : undefined;
}

function lexicalRecall(
  { legacy, orchestrator }: { readonly legacy: ByKey; readonly orchestrator: ByKey },
  { query, text }: RankingRule,
  { facts }: Tally,
): RankingMeasure['lexical'] {
  const question = query === undefined ? undefined : facts.request?.[query];
  if (typeof question !== 'string' || text === undefined) return undefined;
  const words = wordsOf(question);
  const expected = [...legacy].filter(([, item]) => holdsWords(item, text, words)).map(([key]) => key);
  return { expected: expected.length, found: expected.filter((key) => orchestrator.has(key)).length };
}

function holdsWords(item: unknown, text: string, words: readonly string[]): boolean {
  const value = isJsonObject(item) ? item[text] : undefined;
  if (typeof value !== 'string' || words.length === 0) return false;
  const lower = value.toLowerCase();
  return words.every((word) => lower.includes(word));
}
