import type { Comparison, ComparisonRule } from '../../domain/comparison.ts';
import type { LaneKey } from '../../domain/ids.ts';
import { isJsonObject } from '../../domain/json.ts';
import { isErrorReply } from './compare-replies.ts';
import { compileRules, type RuleNode } from './compiled-rules.ts';
import { digestOf, DistinctEstimate } from './digest.ts';
import { nameOf } from './reply-values.ts';

/** Most paths and error cases of an action that are counted separately. */
const PATH_LIMIT = 500;
const ERROR_LIMIT = 50;
/**
 * Looking at the paths of a reply costs as much as comparing it. So the first replies are all looked at, later ones by this
 * interval.
 */
const FIRST = 200;
const ONE_IN = 50;
const LARGEST_REPLY = 64 * 1024;

/** What was compared of one action's answers, and what never was. */
export interface ActionCoverage {
  readonly comparable: number;
  /** Comparisons of two errors. */
  readonly errorPairs: number;
  readonly paths: number;
  /** Paths that answers contain and that were never compared, because a rule ignores them. */
  readonly neverCompared: readonly string[];
  /** Errors that agents got, as digests of their text, and whether one of each was ever compared. */
  readonly errorCases: number;
  readonly errorCasesNeverCompared: readonly string[];
  /** Number of lanes compared, estimated. */
  readonly lanes: number;
  /** The lane with the most comparisons, and its share of them, 0–1. */
  readonly giant?: { readonly lane: LaneKey; readonly share: number };
}

/** Records which parts of answers comparisons have looked at. Bounded. */
export class ComparedCoverage {
  readonly #paths = new Compared(PATH_LIMIT);
  readonly #errors = new Compared(ERROR_LIMIT);
  readonly #lanes = new DistinctEstimate();
  readonly #giants = new HeavyLanes();
  #comparable = 0;
  #errorPairs = 0;
  #seen = 0;

  /** @param legacyText legacy's reply */
  add(lane: LaneKey, comparison: Comparison, { legacyText, rules }: LookedAt): void {
    this.#seen += 1;
    const isComparable = comparison.verdict !== 'not_comparable';
    if (isComparable) {
      this.#comparable += 1;
      this.#lanes.add(lane);
      this.#giants.add(lane);
    }
    if (comparison.isErrorPair === true) this.#errorPairs += 1;
    if (this.#isWorthALook(legacyText)) this.#look(legacyText, rules, isComparable);
  }

  report(): ActionCoverage {
    const giant = this.#giants.largest();
    return {
      comparable: this.#comparable,
      errorPairs: this.#errorPairs,
      paths: this.#paths.size,
      neverCompared: this.#paths.never(),
      errorCases: this.#errors.size,
      errorCasesNeverCompared: this.#errors.never(),
      lanes: this.#lanes.count,
      ...(giant !== undefined && {
        giant: { lane: giant.lane, share: Math.min(1, giant.count / this.#comparable) },
      }),
    };
  }

  #isWorthALook(text: string): boolean {
    return text.length <= LARGEST_REPLY && (this.#seen <= FIRST || this.#seen % ONE_IN === 0);
  }

  #look(text: string, rules: readonly ComparisonRule[], isComparable: boolean): void {
    const value = parsed(text);
    if (isErrorReply(value)) this.#errors.note(errorCaseOf(value), isComparable);
    else this.#walk(value, compileRules(rules, undefined), { path: '', isComparable });
  }

  #walk(value: unknown, node: RuleNode | undefined, at: { path: string; isComparable: boolean }): void {
    const isIgnored = node?.rules.some(({ kind }) => kind === 'ignore') ?? false;
    const isComparable = at.isComparable && !isIgnored;
    if (Array.isArray(value)) {
      // The elements of a list are alike, so the newest element shows the members of today.
      this.#walk(value.at(-1) ?? null, node?.elements, { path: `${at.path}[]`, isComparable });
    } else if (isJsonObject(value)) {
      for (const [key, member] of Object.entries(value)) {
        const path = joined(at.path, nameOf(key));
        this.#walk(member, node?.members.get(key), { path, isComparable });
      }
    } else this.#paths.note(at.path, isComparable);
  }
}

function joined(path: string, name: string): string {
  return path === '' ? name : `${path}.${name}`;
}

interface LookedAt {
  readonly legacyText: string;
  readonly rules: readonly ComparisonRule[];
}

/** Names, each with whether it was ever compared. */
class Compared {
  readonly #known = new Map<string, boolean>();
  readonly #limit: number;

  constructor(limit: number) {
    this.#limit = limit;
  }

  note(name: string, isCompared: boolean): void {
    const before = this.#known.get(name);
    if (before === true || (before === undefined && this.#known.size >= this.#limit)) return;
    this.#known.set(name, isCompared);
  }

  get size(): number {
    return this.#known.size;
  }

  never(): string[] {
    return [...this.#known].flatMap(([name, isCompared]) => (isCompared ? [] : [name]));
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}

const VARYING = /\d+|'[^']*'|"[^"]*"/g;

/** One name for an error, whatever item it mentions: a digest of its text without numbers and quotations. */
function errorCaseOf(reply: unknown): string {
  const texts = isJsonObject(reply)
    ? Object.values(reply).filter((member) => typeof member === 'string')
    : [];
  return digestOf(texts.join(' ').replaceAll(VARYING, ''));
}

const COUNTERS = 16;

/** The most frequent lanes in constant space, by "space saving" counters, which never count too low. */
class HeavyLanes {
  readonly #counts = new Map<LaneKey, number>();

  add(lane: LaneKey): void {
    const known = this.#counts.get(lane);
    if (known !== undefined || this.#counts.size < COUNTERS) {
      this.#counts.set(lane, (known ?? 0) + 1);
      return;
    }
    const least = this.#least();
    if (least === undefined) return;
    this.#counts.delete(least.lane);
    this.#counts.set(lane, least.count + 1);
  }

  #least(): { readonly lane: LaneKey; readonly count: number } | undefined {
    let least: { readonly lane: LaneKey; readonly count: number } | undefined;
    for (const [lane, count] of this.#counts)
      if (least === undefined || count < least.count) least = { lane, count };
    return least;
  }

  largest(): { readonly lane: LaneKey; readonly count: number } | undefined {
    const [first] = [...this.#counts].toSorted(([, a], [, b]) => b - a);
    return first === undefined ? undefined : { lane: first[0], count: first[1] };
  }
}
