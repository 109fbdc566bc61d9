import { shapeOf } from '../engine/compare/reply-values.ts';

/** One line of a repair plan, as `GET /v1/runs/:run/repair-plan` shows it. */
export interface PrintedFinding {
  readonly side: string;
  readonly kind: string;
  readonly by?: string;
  readonly memory_id?: string;
  readonly at?: string;
  readonly place?: number;
  readonly before_fields?: Readonly<Record<string, string>>;
  readonly after_fields?: Readonly<Record<string, string>>;
}

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
