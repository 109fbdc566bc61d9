import type { ServiceDefinition } from '../../domain/service-definition.ts';
import { exactInterval, type Tally } from '../../engine/evidence/rate-bounds.ts';
import {
  addCounts,
  addedQuantile,
  type GuardCounts,
  noCounts,
  slowerThan,
} from '../../engine/guard/guard-counts.ts';
import type {
  DayEvent,
  DaySpan,
  EndedRun,
  HourCounts,
  ServiceDay,
} from '../../engine/report/report-ports.ts';
import { abNumbers } from '../ab-status.ts';
import { ActionArms } from '../arms.ts';
import { timeOf } from './calendar-day.ts';
import type {
  ActionAb,
  ActionTraffic,
  EventNumbers,
  HourNumbers,
  RateNumbers,
  RunNumbers,
  ServiceReport,
} from './report.ts';
import { counted } from '../views/figures.ts';

const HOUR_MS = 3_600_000;
const SLOW_MS = 100;

interface DayFacts {
  readonly definition: Pick<ServiceDefinition, 'actions'>;
  readonly hours: readonly HourCounts[];
  readonly span: DaySpan;
  readonly zone: string;
  readonly nowMs: number;
  readonly changes: Changes;
  /** The sums of a day that is not over are not compared with those of the day before. */
  readonly isWhole: boolean;
}

/** Sums of a day, of a service. */
export class DayNumbers {
  readonly all: GuardCounts = noCounts();
  readonly #facts: DayFacts;
  readonly #actions = new Map<string, GuardCounts>();
  readonly #hours = new Map<number, GuardCounts>();

  constructor(facts: DayFacts) {
    this.#facts = facts;
    for (const { action, hour, counts } of facts.hours) {
      addCounts(this.all, counts);
      addTo(this.#actions, action, counts);
      addTo(this.#hours, hour, counts);
    }
  }

  get mismatches(): Tally {
    return { hits: this.all.mismatches, tries: this.all.comparable };
  }

  get notComparable(): Tally {
    return { hits: this.all.notComparable, tries: this.all.comparable + this.all.notComparable };
  }

  get proxyErrors(): Tally {
    return { hits: this.all.proxyFailures, tries: this.all.operations };
  }

  get orchestratorErrors(): Tally {
    return { hits: this.all.orchestratorFailures, tries: this.all.orchestratorReads };
  }

  /** Reads of agents. */
  get reads(): number {
    return this.#ofKind('read');
  }

  traffic(): ServiceReport['traffic'] {
    const { operations, orchestratorReads, orchestratorFailures } = this.all;
    const [reads, writes] = [this.reads, this.#ofKind('write')];
    return {
      operations,
      operations_change: this.#change('operations', operations),
      reads,
      writes,
      other: operations - reads - writes,
      reads_from_orchestrator: orchestratorReads - orchestratorFailures,
      actions: [...this.#actions]
        .map(([action, counts]) => this.#action(action, counts))
        .toSorted((a, b) => b.operations - a.operations || a.action.localeCompare(b.action)),
      hours: this.#hourNumbers(),
    };
  }

  latency(): ServiceReport['added_latency'] {
    const { tries, hits } = slowerThan(this.all.added, SLOW_MS);
    const p95 = quantile(this.all, 0.95);
    return {
      measured: tries,
      p50_ms: quantile(this.all, 0.5),
      p95_ms: p95,
      p99_ms: quantile(this.all, 0.99),
      p95_change_ms: p95 === null ? null : this.#change('added_p95', p95),
      slower_than_100_ms: hits,
    };
  }

  mismatchesChange(): number | null {
    return this.#change('mismatches', this.all.mismatches);
  }

  #change(name: string, value: number): number | null {
    const change = this.#facts.changes.of(name, value);
    return this.#facts.isWhole ? change : null;
  }

  #kindOf(action: string): ActionTraffic['kind'] {
    const kind = this.#facts.definition.actions[action]?.kind;
    return kind === 'read' || kind === 'write' ? kind : 'other';
  }

  #ofKind(kind: ActionTraffic['kind']): number {
    const those = [...this.#actions].filter(([action]) => this.#kindOf(action) === kind);
    return those.reduce((sum, [, { operations }]) => sum + operations, 0);
  }

  #action(action: string, counts: GuardCounts): ActionTraffic {
    const { operations, comparable, mismatches } = counts;
    const added = quantile(counts, 0.95);
    return { action, kind: this.#kindOf(action), operations, comparable, mismatches, added_p95_ms: added };
  }

  /** Every hour of the day, also those without traffic and those still to come. */
  #hourNumbers(): HourNumbers[] {
    const { span, zone, nowMs } = this.#facts;
    const hours = Math.ceil((span.toMs - span.fromMs) / HOUR_MS);
    return Array.from({ length: hours }, (_, index) => {
      const beginsAtMs = span.fromMs + index * HOUR_MS;
      const hour = timeOf(beginsAtMs, zone);
      if (beginsAtMs >= nowMs)
        return { hour, operations: null, comparable: null, mismatches: null, added_p95_ms: null };
      const counts = this.#hours.get(index) ?? noCounts();
      const { operations, comparable, mismatches } = counts;
      return { hour, operations, comparable, mismatches, added_p95_ms: quantile(counts, 0.95) };
    });
  }
}

function addTo<Key>(sums: Map<Key, GuardCounts>, key: Key, counts: GuardCounts): void {
  let sum = sums.get(key);
  if (sum === undefined) sums.set(key, (sum = noCounts()));
  addCounts(sum, counts);
}

/** Interpolated within its bucket. Null above the last bucket, or without a measurement. */
function quantile(counts: GuardCounts, share: number): number | null {
  const found = addedQuantile(counts, share);
  return found === null || !Number.isFinite(found) ? null : found;
}

/** Hits, tries, and the confidence interval of their rate. */
export function rateNumbers({ hits, tries }: Tally): RateNumbers {
  if (tries === 0) return { hits, of: tries, rate: null, interval: null };
  const { lower, upper } = exactInterval({ hits, tries });
  return { hits, of: tries, rate: hits / tries, interval: [lower, upper] };
}

/** What happened to a service on a day: one sentence for managers, each event for engineers. */
export function storyOf(day: ServiceDay, { span, zone, moved }: StoryFacts): ServiceReport['today'] {
  const moves = day.events
    .flatMap((event) => moveOf(event))
    .concat(day.trips.flatMap((trip) => tripMoves(trip, span)))
    .toSorted((one, other) => one.atMs - other.atMs)
    .slice(0, MOVES_TOLD)
    .map(({ atMs, what }) => `${what} at ${timeOf(atMs, zone)}`);
  return {
    sentence: `${moves.length === 0 ? unauditedWords(moved) : movesWords(moves)} ${lossWords(day)}`,
    events: day.events.map(eventNumbers),
  };
}

interface StoryFacts {
  readonly span: DaySpan;
  readonly zone: string;
  /** Active percent of read-cutover: in the report of the day before, and now. */
  readonly moved: { readonly before: number | undefined; readonly now: number };
}

/** If a server keeps the flags, the audit does not hold their changes. Only the active shares show them. */
function unauditedWords({ before = 0, now }: StoryFacts['moved']): string {
  if (before === now) return 'No reads were moved.';
  return `Reads moved from ${before} % to ${now} % since the last report.`;
}

/** Further moves are only in the table of events. */
const MOVES_TOLD = 6;

interface Move {
  readonly atMs: number;
  readonly what: string;
}

function movesWords(moves: readonly string[]): string {
  const [first = '', ...others] = moves;
  const last = others.pop();
  const between = others.map((move) => `, ${move}`).join('');
  return `Reads were ${first}${between}${last === undefined ? '' : `, and ${last}`}.`;
}

/** A change of read-cutover, or the release of a latch. */
function moveOf({ atMs, person, command, details }: DayEvent): Move[] {
  const { flag, from, to } = details;
  if (command === 'flags set' && String(flag).endsWith('.read-cutover'))
    return [
      { atMs, what: `${Number(to) > Number(from) ? 'raised' : 'lowered'} to ${Number(to)} % by ${person}` },
    ];
  return command === 'guard release' ? [{ atMs, what: `released by ${person}` }] : [];
}

function tripMoves({ trigger, trippedAtMs }: ServiceDay['trips'][number], span: DaySpan): Move[] {
  const isToday = trippedAtMs >= span.fromMs && trippedAtMs < span.toMs;
  return isToday
    ? [{ atMs: trippedAtMs, what: `moved back by the guard (${trigger.replaceAll('_', ' ')})` }]
    : [];
}

/** Whether agents lost data. Open items wait for a person. */
function lossWords({ lost, unknown }: ServiceDay): string {
  const open = [
    ...(lost.open > 0
      ? [
          counted(
            lost.open,
            'item that legacy lost waits for a decision',
            'items that legacy lost wait for a decision',
          ),
        ]
      : []),
    ...(unknown.open > 0
      ? [counted(unknown.open, 'write has an unknown result', 'writes have an unknown result')]
      : []),
  ];
  return open.length === 0 ? 'No agent lost data.' : `${open.join('; ')}.`;
}

function eventNumbers({ atMs, person, command, reason, details }: DayEvent): EventNumbers {
  const { flag, from, to } = details;
  const change = typeof flag === 'string' ? ` ${flag}: ${String(from)} % → ${String(to)} %` : '';
  return { at: new Date(atMs).toISOString(), person, what: `${command}${change}`, reason };
}

/** Numbers of reconciliations, backfills and repairs. */
export function reconciliationOf(day: ServiceDay, nowMs: number): ServiceReport['reconciliation'] {
  const { lastFull, runs, divergences, lost, repairs, differing } = day;
  return {
    last_full:
      lastFull === null
        ? null
        : {
            ...runNumbers(lastFull),
            age_seconds: Math.max(0, Math.round((nowMs - lastFull.finishedAtMs) / 1_000)),
          },
    runs: runs.map(runNumbers),
    unequal_lanes: {
      open: divergences.open,
      found: divergences.found,
      repaired: divergences.repaired,
      equal_again: divergences.gone,
    },
    lost_items: { open: lost.open, found: lost.found, decided: lost.decided },
    repairs: { lanes: repairs.lanes, undone: repairs.undone },
    differing: differing.map(({ owner, run, state }) => ({ owner, run: String(run), state })),
  };
}

function runNumbers({ id, kind, scope, finishedAtMs, counts }: EndedRun): RunNumbers {
  const count = (name: string): number => counts[name] ?? 0;
  return {
    run: String(id),
    kind,
    scope,
    finished_at: new Date(finishedAtMs).toISOString(),
    lanes: count('lanes'),
    items: count('items') + count('items_changed'),
    // For a backfill or a repair: lanes that were left out.
    different: count('lanes_different') + count('lanes_left'),
    not_comparable: count('lanes_not_comparable'),
  };
}

/** Compares the totals of a report with those of the report before. */
export class Changes {
  readonly #service: string;
  readonly #before: Readonly<Record<string, number>> | undefined;
  readonly #totals: Record<string, number>;

  /**
   * @param before totals of the report before; undefined if there is none
   * @param totals receives the totals of this report, for the next one
   */
  constructor(
    service: string,
    before: Readonly<Record<string, number>> | undefined,
    totals: Record<string, number>,
  ) {
    this.#service = service;
    const isKnown = before !== undefined && `${service} known` in before;
    this.#before = isKnown ? before : undefined;
    this.#totals = totals;
    totals[`${service} known`] = 1;
  }

  /** The increase since the report before. The full value if it was not counted before. Null without a report before. */
  of(name: string, value: number): number | null {
    const key = `${this.#service} ${name}`;
    this.#totals[key] = value;
    return this.#before === undefined ? null : value - (this.#before[key] ?? 0);
  }
}

/** The sums of a day's slices, over all replicas. */
export function actionAbs(slices: ServiceDay['arms']): ActionAb[] {
  const sums = new Map<string, ActionArms>();
  for (const { action, counts } of slices) {
    const sum = sums.get(action) ?? new ActionArms();
    sum.add(counts);
    sums.set(action, sum);
  }
  return [...sums]
    .map(([action, arms]) => ({ action, ...abNumbers(arms) }))
    .toSorted((a, b) => a.action.localeCompare(b.action));
}
