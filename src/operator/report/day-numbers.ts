import type { ServiceDefinition } from '../../domain/service-definition.ts';
import { exactInterval, type Tally } from '../../engine/evidence/rate-bounds.ts';
import {
  addCounts,
  addedQuantile,
  noCounts,
  slowerThan,
  type GuardCounts,
} from '../../engine/guard/guard-counts.ts';
import type { DaySpan, HourCounts } from '../../engine/report/report-ports.ts';
import { timeOf } from './calendar-day.ts';
import type { Changes } from './changes.ts';
import type { ActionTraffic, HourNumbers, RateNumbers, ServiceReport } from './report.ts';

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
