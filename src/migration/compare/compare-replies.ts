import type { Comparison, ComparisonRule, Difference } from '../../domain/comparison.ts';
import { isJsonObject } from '../../domain/json.ts';
import { compileRules, type RuleNode } from './compiled-rules.ts';
import { DifferenceWalk } from './difference-walk.ts';
import { Equality } from './equality.ts';
import { Fingerprints } from './fingerprints.ts';
import { parseReply } from './reply-values.ts';
import { shapeOf } from './shape.ts';

/** Two answers to one read, each in the legacy dialect. */
export interface ReplyPair {
  readonly legacy: Buffer | string;
  readonly orchestrator: Buffer | string;
  readonly rules: readonly ComparisonRule[];
  /** Decides which rules have expired. @defaultValue the present */
  readonly nowIso?: string;
  /** Whether a parsed reply is an error in the service's dialect. @defaultValue its `status` is `error`, in any case */
  readonly isError?: (reply: unknown) => boolean;
}

const MATCH: Comparison = { verdict: 'match', differences: [], suppressed: 0 };
const TOO_LARGE: Comparison = {
  verdict: 'not_comparable',
  reason: 'too_large',
  differences: [],
  suppressed: 0,
};

/**
 * Compares two replies by value: key order, spelling of numbers and escapes do not count. Nothing of their content is in the result.
 * Replies nested so deeply that they cannot be walked (thousands of levels) are `not_comparable`.
 */
export function compareReplies(pair: ReplyPair): Comparison {
  const legacy = textOf(pair.legacy);
  const orchestrator = textOf(pair.orchestrator);
  if (legacy === orchestrator) return MATCH;
  try {
    const values = { legacy: parsedOrText(legacy), orchestrator: parsedOrText(orchestrator) };
    const parity = errorParity(values, pair.isError ?? isStatusError);
    if (parity !== undefined) return mismatch([parity], 0);
    return compareValues(values, compileRules(pair.rules, pair.nowIso));
  } catch (error) {
    if (error instanceof RangeError) return TOO_LARGE;
    throw error;
  }
}

interface Values {
  readonly legacy: unknown;
  readonly orchestrator: unknown;
}

/** Compares two parsed replies. Equality first: most pairs differ only where rules let them. */
function compareValues({ legacy, orchestrator }: Values, rules: RuleNode): Comparison {
  const fingerprints = new Fingerprints();
  const tally = { suppressed: 0 };
  if (new Equality(tally, fingerprints).holds(legacy, orchestrator, rules)) {
    return { verdict: 'match', differences: [], suppressed: tally.suppressed };
  }
  const thorough = { suppressed: 0 };
  const walk = new DifferenceWalk(thorough, fingerprints);
  walk.visit(legacy, orchestrator, rules);
  return mismatch(walk.found, thorough.suppressed);
}

function mismatch(differences: readonly Difference[], suppressed: number): Comparison {
  return { verdict: differences.length === 0 ? 'match' : 'mismatch', differences, suppressed };
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

function isStatusError(reply: unknown): boolean {
  const status = isJsonObject(reply) ? reply['status'] : undefined;
  return typeof status === 'string' && status.toLowerCase() === 'error';
}

function errorParity(values: Values, isError: (reply: unknown) => boolean): Difference | undefined {
  if (isError(values.legacy) === isError(values.orchestrator)) return undefined;
  return {
    path: '',
    class: 'error_parity',
    legacy: shapeOf(values.legacy),
    orchestrator: shapeOf(values.orchestrator),
  };
}
