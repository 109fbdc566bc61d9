import type { Comparison, ComparisonRule, Difference, ExplainedClass } from '../../domain/comparison.ts';
import { isJsonObject } from '../../domain/json.ts';
import { compileRules, type RuleNode } from './compiled-rules.ts';
import { countReturned } from './deleted-items.ts';
import { DifferenceWalk } from './difference-walk.ts';
import { Equality } from './equality.ts';
import { explainedByExpiry, type ExpiryFacts } from './expiry.ts';
import { Fingerprints } from './fingerprints.ts';
import { parseReply } from './reply-values.ts';
import { shapeOf } from './shape.ts';
import { Tally, type JudgingFacts } from './tally.ts';

/** Two answers to one read, each in the legacy dialect. Plain data: it crosses to another thread. */
export interface ReplyPair extends JudgingFacts {
  readonly legacy: Buffer | string;
  readonly orchestrator: Buffer | string;
  readonly rules: readonly ComparisonRule[];
  /** Decides which rules have expired. @defaultValue the present */
  readonly nowIso?: string;
}

/** A comparison, and what it noted on its way. */
export interface Judgement {
  readonly comparison: Comparison;
  /** The rules that accepted something, once for each time: places in {@link ReplyPair.rules}. */
  readonly accepted: readonly number[];
  /** Legacy's times minus the orchestrator's, where a tolerance was asked about them. */
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
 * Compares two replies as Python reads them: key order, escapes and the spelling of one number (1.50, 1.5) do not count; whether a
 * number is an int or a float does, and so does the sign of -0.0. Nothing of their content is in the result.
 * Replies nested so deeply that they cannot be walked (thousands of levels) are `not_comparable`.
 */
export function compareReplies(pair: ReplyPair): Judgement {
  const legacy = textOf(pair.legacy);
  const orchestrator = textOf(pair.orchestrator);
  if (legacy === orchestrator) return isErrorText(legacy) ? MATCHING_ERRORS : MATCH;
  try {
    return judge({ legacy: parsedOrText(legacy), orchestrator: parsedOrText(orchestrator) }, pair);
  } catch (error) {
    if (error instanceof RangeError) return TOO_LARGE;
    throw error;
  }
}

interface Values {
  readonly legacy: unknown;
  readonly orchestrator: unknown;
}

function judge(values: Values, pair: ReplyPair): Judgement {
  const { legacy, orchestrator } = values;
  const isError = isErrorReply(legacy);
  const rules: RuleNode = compileRules(pair.rules, pair.nowIso);
  const tally = new Tally(pair);
  const differences =
    isError === isErrorReply(orchestrator) ? differencesOf(values, rules, tally) : [parityOf(values)];
  const returned = pair.deleted === undefined ? 0 : countReturned(values, rules, pair.deleted);
  const comparison: Comparison = {
    ...verdictOf(differences, explanationOf(values, rules, { differences, expiry: pair.expiry })),
    suppressed: tally.accepted.length,
    ...(isError && isErrorReply(orchestrator) && { isErrorPair: true as const }),
    ...(tally.ranking !== undefined && { ranking: tally.ranking }),
    ...(returned > 0 && { deletedReturned: returned }),
  };
  return {
    comparison,
    accepted: tally.accepted.map((rule) => pair.rules.indexOf(rule)),
    gapsSeconds: tally.gapsSeconds,
  };
}

function differencesOf(
  { legacy, orchestrator }: Values,
  rules: RuleNode,
  tally: Tally,
): readonly Difference[] {
  const walk = new DifferenceWalk(tally, new Equality(tally, new Fingerprints()));
  walk.visit(legacy, orchestrator, rules);
  return walk.found;
}

function explanationOf(
  values: Values,
  rules: RuleNode,
  { differences, expiry }: { differences: readonly Difference[]; expiry: ExpiryFacts | undefined },
): ExplainedClass | undefined {
  if (differences.length === 0 || expiry === undefined) return undefined;
  return explainedByExpiry(values, rules, { differences, expiry });
}

function verdictOf(differences: readonly Difference[], by: ExplainedClass | undefined) {
  if (by === undefined) {
    return { verdict: differences.length === 0 ? ('match' as const) : ('mismatch' as const), differences };
  }
  const explained = differences.map((difference) => ({ difference, by }));
  return { verdict: 'not_comparable' as const, reason: by, differences: [], explained };
}

function textOf(reply: Buffer | string): string {
  return typeof reply === 'string' ? reply : reply.toString('utf8');
}

/** What is no JSON is compared as text. */
function parsedOrText(text: string): unknown {
  try {
    return parseReply(text);
  } catch (error) {
    if (error instanceof SyntaxError) return text;
    throw error;
  }
}

/** Longer replies hold memories, not errors. */
const ERROR_TEXT_LIMIT = 4_096;

/** Whether a reply says that something went wrong. Parses only what is short and looks like it. */
export function isErrorText(text: string): boolean {
  return text.length < ERROR_TEXT_LIMIT && /"error"/i.test(text) && isErrorReply(parsedOrText(text));
}

/** How services say that something went wrong: `status` is `error`, in any case; or there is an `error` and no `status`. */
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

function parityOf({ legacy, orchestrator }: Values): Difference {
  return { path: '', class: 'error_parity', legacy: shapeOf(legacy), orchestrator: shapeOf(orchestrator) };
}
