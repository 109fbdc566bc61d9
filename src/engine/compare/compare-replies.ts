import {
  type Comparison,
  type ComparisonRule,
  type Difference,
  type ExplainedClass,
  itemKeyOf,
  type ShownItems,
} from '../../domain/comparison.ts';
import { isJsonObject } from '../../domain/json.ts';
import { compileRules, type RuleNode } from './compiled-rules.ts';
import { DifferenceWalk, type FoundDifference } from './difference-walk.ts';
import { Equality } from './equality.ts';
import { type ExpiryFacts, explainedByExpiry } from './expiry.ts';
import { likelyCauseOf } from './likely-cause.ts';
import { isSpelledUnlikeNumbers, parseLoosely, parseReply, plainOf, shapeOf } from './reply-values.ts';
import { type JudgingFacts, Tally } from './tally.ts';

/** Two answers to one read, both in the legacy dialect. Plain data, because it is sent to another thread. */
export interface ReplyPair extends JudgingFacts {
  readonly legacy: Buffer | string;
  readonly orchestrator: Buffer | string;
  readonly rules: readonly ComparisonRule[];
  /** The time for which expired rules are determined. @defaultValue now */
  readonly nowIso?: string;
}

/**
 * What a pair was judged with, besides its rules and its request. It is stored with a difference, so that the difference can be
 * judged again in the same way. It holds nothing of a memory. Keys of deleted items are left out, because they do not decide
 * about a difference.
 */
export interface JudgedWith extends Pick<JudgingFacts, 'expiry'> {
  readonly nowIso: string;
  readonly clockOffsetSeconds: number;
}

/** A comparison, and what was noted during it. */
export interface Judgement {
  readonly comparison: Comparison;
  /** Present if live answers differ. */
  readonly judgedWith?: JudgedWith;
  /** The rules that accepted a difference, once per time, as indices of {@link ReplyPair.rules}. */
  readonly accepted: readonly number[];
  /** Legacy's times minus the orchestrator's, where a rule with a tolerance compared them. */
  readonly gapsSeconds: readonly number[];
}

const NOTHING_NOTED = { accepted: [], gapsSeconds: [] } as const;
const MATCH: Judgement = {
  comparison: { verdict: 'match', differences: [], suppressed: 0 },
  ...NOTHING_NOTED,
};
export const TOO_LARGE: Judgement = {
  comparison: { verdict: 'not_comparable', reason: 'too_large', differences: [], suppressed: 0 },
  ...NOTHING_NOTED,
};

/**
 * Compares two replies as Python reads them. Key order, escapes and the spelling of a number (1.50, 1.5) do not count. Whether a
 * number is an int or a float counts, and so does the sign of -0.0. The result holds no content after its differences are
 * described. They are described late, because most differences turn out to be racy on a second look. Replies that are nested too
 * deeply to walk (thousands of levels) are `not_comparable`.
 */
export function compareReplies(pair: ReplyPair): Judgement {
  const legacy = textOf(pair.legacy);
  const orchestrator = textOf(pair.orchestrator);
  if (legacy === orchestrator) return isErrorText(legacy) ? MATCHING_ERRORS : MATCH;
  try {
    return judgeTexts({ legacy, orchestrator }, pair);
  } catch (error) {
    if (error instanceof RangeError) return TOO_LARGE;
    throw error;
  }
}

interface Sides<Value> {
  readonly legacy: Value;
  readonly orchestrator: Value;
}
type Values = Sides<unknown>;

/** If no number was compared, the spelling of numbers need not be checked. */
function judgeTexts(texts: Sides<string>, pair: ReplyPair): Judgement {
  const parsed = (parse: (text: string) => unknown): Values => ({
    legacy: parsedOrText(texts.legacy, parse),
    orchestrator: parsedOrText(texts.orchestrator, parse),
  });
  const tally = new Tally(pair);
  const judgement = judge(parsed(parseLoosely), pair, tally);
  const mayBeInexact = tally.hasMetNumber || (pair.deleted !== undefined && pair.deleted.size > 0);
  const isInexact =
    mayBeInexact && (isSpelledUnlikeNumbers(texts.legacy) || isSpelledUnlikeNumbers(texts.orchestrator));
  return isInexact ? judge(parsed(parseReply), pair, new Tally(pair)) : judgement;
}

function judge(values: Values, pair: ReplyPair, tally: Tally): Judgement {
  const { legacy, orchestrator } = values;
  const isError = isErrorReply(legacy);
  const rules = compileRules(pair.rules, pair.nowIso);
  const found =
    isError === isErrorReply(orchestrator) ? differencesOf(values, rules, tally) : [parityOf(values)];
  const returned = pair.deleted === undefined ? 0 : countReturned(values, { ...pair, rules }, pair.deleted);
  const { ranking } = tally;
  return {
    comparison: withDifferences(found, {
      by: explanationOf(values, rules, { differences: found, expiry: pair.expiry }),
      suppressed: tally.accepted.length,
      ...(isError && isErrorReply(orchestrator) && { isErrorPair: true as const }),
      ...(ranking !== undefined && { ranking }),
      ...(returned > 0 && { deletedReturned: returned }),
    }),
    accepted: tally.accepted.map((rule) => pair.rules.indexOf(rule)),
    gapsSeconds: tally.gapsSeconds,
  };
}

function differencesOf(
  { legacy, orchestrator }: Values,
  rules: RuleNode,
  tally: Tally,
): readonly FoundDifference[] {
  const walk = new DifferenceWalk(tally, new Equality(tally));
  walk.visit(legacy, orchestrator, { path: '', node: rules });
  return walk.found;
}

function explanationOf(
  values: Values,
  rules: RuleNode,
  { differences, expiry }: { differences: readonly FoundDifference[]; expiry: ExpiryFacts | undefined },
): ExplainedClass | undefined {
  if (differences.length === 0 || expiry === undefined) return undefined;
  return explainedByExpiry(values, rules, { differences, expiry });
}

type Rest = Omit<Comparison, 'verdict' | 'reason' | 'differences' | 'explained'> & {
  readonly by: ExplainedClass | undefined;
};

function withDifferences(found: readonly FoundDifference[], { by, ...rest }: Rest): Comparison {
  if (found.length === 0) return { ...rest, verdict: 'match', differences: [] };
  if (by === undefined) return describedLater(found, rest);
  const explained = found.map((each) => ({ difference: describe(each), by }));
  return { ...rest, verdict: 'not_comparable', reason: by, differences: [], explained };
}

/** Digests cost more than finding the differences, so they are made on the first use. The values are released then. */
function describedLater(found: readonly FoundDifference[], rest: Omit<Rest, 'by'>): Comparison {
  let undescribed = found;
  let described: readonly Difference[] = [];
  return {
    ...rest,
    verdict: 'mismatch',
    get differences() {
      if (undescribed.length > 0) described = undescribed.map(describe);
      undescribed = [];
      return described;
    },
  };
}

function describe(found: FoundDifference): Difference {
  const { path, class: kind, legacy, orchestrator } = found;
  return {
    path,
    class: kind,
    legacy: shapeOf(legacy),
    orchestrator: shapeOf(orchestrator),
    ...(kind === 'error_parity' ? {} : likelyCauseOf(found)),
  };
}

function textOf(reply: Buffer | string): string {
  return typeof reply === 'string' ? reply : reply.toString('utf8');
}

/** A reply that is not JSON is compared as text. */
function parsedOrText(text: string, parse: (text: string) => unknown): unknown {
  try {
    return parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return text;
    throw error;
  }
}

/** Longer replies hold memories and not errors. */
const ERROR_TEXT_LIMIT = 4_096;

/** Whether a reply reports an error. Parses only short replies that look like one. */
export function isErrorText(text: string): boolean {
  return (
    text.length < ERROR_TEXT_LIMIT && /"error"/i.test(text) && isErrorReply(parsedOrText(text, parseLoosely))
  );
}

/** How services report an error: `status` is `error`, in any case, or there is an `error` and no `status`. */
export function isErrorReply(reply: unknown): boolean {
  if (!isJsonObject(reply)) return false;
  const { status, error } = reply;
  if (typeof status === 'string') return status.toLowerCase() === 'error';
  return status === undefined && (isJsonObject(error) || (typeof error === 'string' && error !== ''));
}

const MATCHING_ERRORS: Judgement = {
  ...MATCH,
  comparison: { ...MATCH.comparison, isErrorPair: true },
};

function parityOf(values: Values): FoundDifference {
  return { path: '', class: 'error_parity', ...values };
}

/** How the items of an answer are identified. */
interface Naming {
  readonly rules: RuleNode;
  readonly items?: ShownItems;
}

/**
 * Counts the removed items that the orchestrator's answer shows and legacy's does not. In a flipped lane, also those that only legacy's
 * shows. Looks only at lists whose rules name a key, or whose definition identifies an item. An item that both show was written again.
 */
function countReturned(
  { legacy, orchestrator }: { readonly legacy: unknown; readonly orchestrator: unknown },
  naming: Naming & Pick<JudgingFacts, 'isFlipped'>,
  deleted: ReadonlySet<string>,
): number {
  if (deleted.size === 0) return 0;
  const ofOrchestrator = shownKeys(orchestrator, naming, deleted);
  if (ofOrchestrator.size === 0 && naming.isFlipped !== true) return 0;
  const ofLegacy = shownKeys(legacy, naming, deleted);
  const onlyThere = [...ofOrchestrator].filter((key) => !ofLegacy.has(key)).length;
  if (naming.isFlipped !== true) return onlyThere;
  return onlyThere + [...ofLegacy].filter((key) => !ofOrchestrator.has(key)).length;
}

function shownKeys(
  value: unknown,
  { rules, items }: Naming,
  deleted: ReadonlySet<string>,
): ReadonlySet<string> {
  const found = new Set<string>();
  const tell = (key: string): void => {
    if (deleted.has(key)) found.add(key);
  };
  collect(value, rules, tell);
  if (items !== undefined) collectItems(value, items, tell);
  return found;
}

function collectItems(value: unknown, { list, members }: ShownItems, tell: (key: string) => void): void {
  const items = isJsonObject(value) ? value[list] : undefined;
  if (!Array.isArray(items)) return;
  for (const item of items) if (isJsonObject(item)) tell(itemKeyOf(members.map((member) => item[member])));
}

/** Calls back with every key of the lists whose rules name one. */
function collect(value: unknown, node: RuleNode | undefined, tell: (key: string) => void): void {
  if (node === undefined) return;
  if (Array.isArray(value)) return collectList(value, node, tell);
  if (!isJsonObject(value)) return;
  for (const [name, below] of node.members) collect(value[name], below, tell);
}

function collectList(list: readonly unknown[], node: RuleNode, tell: (key: string) => void): void {
  const key = node.key ?? node.ranking?.key;
  for (const item of list) {
    if (key !== undefined && isJsonObject(item)) tell(String(plainOf(item[key])));
    collect(item, node.elements, tell);
  }
}
