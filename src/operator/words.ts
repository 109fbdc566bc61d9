import { shapeOf } from '../engine/compare/reply-values.ts';
import type { Hint } from '../domain/comparison.ts';
import type { Survey } from '../engine/runs/survey.ts';
import { type Finding, isTrip, type Trigger } from '../engine/ports/finding.ts';
import type { ScratchInstance } from '../engine/ports/service-writes-ports.ts';
import type { PrintedFinding } from './api/repairs.ts';
import { counted, printedFigure, spoken } from './views/figures.ts';

/** Two of the names under which a person accepts a condition that is not met. */
export const UNPROVEN = 'unproven';
export const FOREIGN = 'foreign';

const UNKNOWN = '(cause unknown: no earlier baseline)';
const PAST_THE_PROXY = 'by a writer that bypassed the proxy';

/** By `side kind`. */
const SAYINGS: Readonly<Record<string, string>> = {
  'orchestrator altered': 'Changed on the orchestrator',
  'orchestrator added': `Written to the orchestrator ${PAST_THE_PROXY}`,
  'orchestrator removed': 'Missing on the orchestrator',
  'orchestrator reordered': 'Order changed on the orchestrator',
  'orchestrator resurrected': 'Deleted earlier, but still on the orchestrator',
  'legacy altered': `Changed on legacy ${PAST_THE_PROXY}`,
  'legacy added': `Written to legacy ${PAST_THE_PROXY}`,
  'legacy reordered': 'Order changed on legacy',
  'legacy lost': 'Lost by legacy',
  'unknown altered': `Different on both sides ${UNKNOWN}`,
  'unknown removed': `Missing on the orchestrator ${UNKNOWN}`,
  'unknown reordered': `Different order on both sides ${UNKNOWN}`,
  'unknown not_seeded': 'Lane not copied yet',
};

/** A finding, in a few words. */
export function findingWords({ side, kind, by }: Pick<PrintedFinding, 'side' | 'kind' | 'by'>): string {
  const saying = SAYINGS[`${side} ${kind}`] ?? `${kind.replaceAll('_', ' ')} on ${side}`;
  return by === undefined ? saying : `${saying}, by ${by}`;
}

/** The item: its id on the orchestrator, or its place on legacy if the orchestrator has no such item. */
export function itemWords({ memory_id: id, place }: PrintedFinding): string {
  if (id !== undefined) return id;
  return place === undefined ? 'the whole lane' : `item ${place} of legacy`;
}

/**
 * What the orchestrator holds of the item and what it should hold, without content. If both exist, only the fields that differ.
 */
export function changeWords(finding: PrintedFinding): { readonly before: string; readonly after: string } {
  const { before_fields: before, after_fields: after } = finding;
  const differs = (name: string): boolean => before?.[name] !== after?.[name];
  const isNarrowed =
    before !== undefined && after !== undefined && Object.keys({ ...before, ...after }).some(differs);
  const words = (fields: PrintedFinding['before_fields']): string =>
    fields === undefined
      ? shapeOf(undefined)
      : Object.entries(fields)
          .filter(([name]) => !isNarrowed || differs(name))
          .map(([name, shape]) => `${name} ${shape}`)
          .join(', ');
  if (before === undefined && after === undefined) return { before: '–', after: '–' };
  return { before: words(before), after: words(after) };
}

const SOURCES = {
  journal: 'the flags stored in the journal',
  files: 'the flag files, because the journal has no flags of this server',
} as const;

/** Which flags are active while their source cannot be read, and their age. */
export function flagsInUse(flags: {
  readonly from?: keyof typeof SOURCES;
  readonly age_seconds?: number;
}): string {
  const { from, age_seconds: seconds } = flags;
  if (from === undefined && seconds === undefined) return 'No flags are known, so all are off.';
  const source = from === undefined ? 'the flags that were last read' : SOURCES[from];
  return `Active flags: ${source}${seconds === undefined ? '' : ` (${printedFigure({ value: seconds, unit: 'seconds' })} old)`}.`;
}

/**
 * Where a person should look first. Only seeded lanes are compared. If the orchestrator lacks an item, a copy left it out, it was
 * removed there, or it was written to legacy without the proxy. The values do not show which.
 */
const HINT_WORDS: Readonly<Record<Hint, string>> = {
  clock: 'different clock or time zone',
  default_value: 'a default value',
  rounding: 'rounding',
  missing_backfill: 'never copied, removed on the orchestrator, or written without the proxy',
  order: 'different order',
  encoding: 'different encoding',
  cut_text: 'truncated text',
  flipped_lane: 'legacy differs: the orchestrator is primary for the lane',
  spelling_of_numbers: 'different spelling of numbers',
};

/** A hint in words. An unknown hint, stored by a newer replica, is shown as it is. */
export function hintWords(hint: string): string {
  return HINT_WORDS[hint as Hint] ?? hint.replaceAll('_', ' ');
}

const WORDS: Readonly<Record<string, string>> = {
  racy: 'lane changed meanwhile',
  repeat: 'repeats within 15 minutes',
  shadow_timeout: 'timed out',
  shadow_error: 'not answered',
  unknown_lane: 'owners without writes',
};

/** Why comparisons are not proof, most frequent first: `180 lane changed meanwhile`. */
export function noProofWords(by: Readonly<Record<string, number>>): string[] {
  return Object.entries(by)
    .toSorted(([, a], [, b]) => b - a)
    .map(([reason, times]) => `${times} ${WORDS[reason] ?? reason.replaceAll('_', ' ')}`);
}

type ConcernName = keyof Survey['concerns'];

/** What a person should know of a survey, and its consequence. The number is shown before it. */
const CONCERN_WORDS: Readonly<Record<ConcernName, string>> = {
  unreadable: 'lanes that cannot be read: left out',
  oversize_items: 'items longer than 1 MiB: left out',
  escaped_items: 'items with characters that a database cannot store: copied in a reversible spelling',
  shortened_ids: 'owners whose id is too long for a session: copied under a shortened id',
  repeated_items: 'items equal to another item of their lane: copied as often as legacy shows them',
  about_to_be_forgotten: 'lanes that legacy may forget at any moment: copied while legacy shows them',
  times_going_backwards: 'items older than the item before them: copied in the order of legacy',
  unknown_times: 'items or sessions without a readable time: copied in the order of legacy',
};

interface ShownConcern {
  readonly words: string;
  readonly count: number;
  /** The first of them. */
  readonly owners: readonly string[];
}

/** A survey as an answer holds it, perhaps from another version. */
export type ShownSurvey = Partial<Survey> | { readonly not_listed: string };

/** What a person should know before anything is written. Empty if there is nothing. */
export function concernsOf(survey: Partial<Survey>): ShownConcern[] {
  const concerns = Object.entries(survey.concerns ?? {}).map(([name, { count, owners }]) => ({
    words: CONCERN_WORDS[name as ConcernName] ?? name.replaceAll('_', ' '),
    count,
    owners,
  }));
  const strays = Object.entries(survey.strays ?? {}).map(([what, count]) => ({
    words: `${what}: no lane shows them, so they stay on legacy`,
    count,
    owners: [],
  }));
  return [...concerns, ...strays].filter(({ count }) => count > 0);
}

type Numbers = Readonly<Record<string, number>>;

/** The verb for the hits, as in "21 of 25 differ". */
const VERBS: Partial<Record<Trigger, string>> = {
  inconsistency: 'differ',
  errors: 'failed',
  not_comparable: 'could not be compared',
};

/** What a trigger counted, with its limit. With too few hits to trip, it adds the least number of hits. */
export function countedWords(trigger: Trigger, numbers: Numbers): string {
  const { hits, of = 0, found, lanes, of_items: ofItems, limit } = numbers;
  if (ofItems !== undefined) return storesWords(numbers);
  if (found !== undefined) return `${found} of ${limit ?? '?'}`;
  if (hits !== undefined) return rateWords(VERBS[trigger] ?? 'counted', hits, { ...numbers, of });
  if (lanes !== undefined) return counted(lanes, 'lane');
  const words = Object.entries(numbers).map(([name, value]) => `${spoken(name)} ${value}`);
  return words.length === 0 ? 'nothing' : words.join(', ');
}

function rateWords(verb: string, hits: number, numbers: Numbers & { readonly of: number }): string {
  const { of, lower_bound: bound = 0, limit = 0, least_hits: least = 0 } = numbers;
  if (hits === 0) return `0 of ${of} ${verb}`;
  const rate = `${hits} of ${of} ${verb} (${percent(hits / of)}; lower bound ${percent(bound)}, limit ${percent(limit)})`;
  return hits < least ? `${rate}; needs at least ${least} to trip` : rate;
}

/** What a reconciliation found in the stores. Without a full reconciliation, the number of all items and lanes is not known. */
function storesWords({
  items = 0,
  lanes = 0,
  of_items: ofItems = 0,
  of_lanes: ofLanes = 0,
  limit,
}: Numbers): string {
  const of = (all: number): string => (all === 0 ? '' : ` of ${all}`);
  const within = limit === undefined ? '' : `, limit ${percent(limit)}`;
  return `${counted(items, 'item')}${of(ofItems)} in ${counted(lanes, 'lane')}${of(ofLanes)}${within}`;
}

const percent = (value: number): string => printedFigure({ value, unit: 'rate' });

/** What a trip or the kill switch does not do. Undefined if it moves every lane. */
export function notMovedWords(flipped: number | undefined): string | undefined {
  if (flipped === undefined || flipped === 0) return undefined;
  const lanes = counted(flipped, 'flipped lane stays', 'flipped lanes stay');
  return `${lanes} on the orchestrator: neither a trip nor the kill switch moves them`;
}

/** Events that stay found until the release. They do not describe the present. */
const EVENTS: ReadonlySet<Trigger> = new Set(['external', 'deleted_item_seen']);
const PAST_WINDOW = /(?:15m|6h)$/;

/** Findings that would trip the guard by the counts of the last minutes. */
export function standingFindings(findings: readonly Finding[]): Finding[] {
  return findings.filter(
    (finding) => isTrip(finding) && !EVENTS.has(finding.trigger) && !PAST_WINDOW.test(finding.detail ?? ''),
  );
}

/** The triggers that are still found, and what each counted. */
export function standingWords(findings: readonly Finding[]): string {
  return groupedFindings(findings)
    .map(({ trigger, actions, numbers }) => {
      const where = actions.length === 0 ? '' : ` of ${actions.join(', ')}`;
      return `${spoken(trigger)}${where}: ${countedWords(trigger, numbers)}`;
    })
    .join('; ');
}

/** What one trigger found. Windows and actions with the same result become one finding for people. */
export interface FindingGroup {
  readonly trigger: Finding['trigger'];
  readonly steps: Finding['steps'];
  /** The numbers of the window with the highest lower bound. */
  readonly numbers: Finding['numbers'];
  /** Empty: the finding is about the service as a whole. */
  readonly actions: readonly string[];
  /** The windows, or the words of a signal. */
  readonly details: readonly string[];
}

/** A rate is watched in three windows, for the service and for each action, so one cause can make six findings. */
export function groupedFindings(findings: readonly Finding[]): FindingGroup[] {
  const groups = Map.groupBy(findings, ({ trigger, steps }) => `${trigger} ${steps.join()}`);
  return [...groups.values()].flatMap((group) => {
    const [gravest] = group.toSorted((a, b) => boundOf(b) - boundOf(a));
    if (gravest === undefined) return [];
    const { trigger, steps, numbers } = gravest;
    return [{ trigger, steps, numbers, actions: all(group, 'action'), details: all(group, 'detail') }];
  });
}

const boundOf = ({ numbers }: Finding): number => numbers['lower_bound'] ?? 0;

function all(group: readonly Finding[], member: 'action' | 'detail'): string[] {
  return [...new Set(group.flatMap((finding) => finding[member] ?? []))];
}

/** Whether a backup was read through an instance of its service, and why not. */
export const SCRATCH_WORDS: Readonly<Record<ScratchInstance, string>> = {
  equal: 'a scratch instance showed every lane the same',
  not_configured: 'no scratch instance was asked, because no command starts one (legacy.scratchCommand)',
  cannot_be_asked: 'no scratch instance was asked, because reading would change the service',
};
