import { ruleNameOf, type ComparisonRule } from '../../domain/comparison.ts';
import type { ServiceName } from '../../domain/ids.ts';
import type { ServiceDefinition } from '../../domain/service-definition.ts';
import { isExpired } from './compiled-rules.ts';
import type { OperatorRule, RuleChanges, RuleHits } from './comparison-stores.ts';
import { digestOf } from './digest.ts';

/** A rule as operators see it. */
export interface RuleReport {
  readonly action: string;
  readonly rule: ComparisonRule;
  /** Absent for a rule of the definition. */
  readonly id?: number;
  readonly isExpired: boolean;
  /** How many differences it accepted in this process since its start. */
  readonly hits: number;
  readonly lastHitAtMs?: number;
}

interface ActionRules {
  readonly defined: readonly ComparisonRule[];
  /** The rules of the definition and of operators, in one array that stays the same until they change. */
  all: readonly ComparisonRule[];
  readonly hits: Map<string, { total: number; unstored: number; lastAtMs: number }>;
}

const NONE: readonly ComparisonRule[] = [];

/** The rules of every action: those of the definition, and those that operators added. Counts what each accepted. */
export class RuleBook {
  readonly #actions = new Map<string, ActionRules>();
  readonly #warned = new Set<ComparisonRule>();
  #operators: readonly OperatorRule[] = [];
  #changes: ReadonlyMap<string, number> = new Map();

  constructor(definitions: ReadonlyMap<ServiceName, Pick<ServiceDefinition, 'actions'>>) {
    for (const [service, { actions }] of definitions) {
      for (const [name, action] of Object.entries(actions)) {
        if (action.kind !== 'read' || action.legacyOnly !== undefined) continue;
        this.#actions.set(keyOf(service, name), {
          defined: action.rules,
          all: action.rules,
          hits: new Map(),
        });
      }
    }
  }

  /** Every action that is compared. */
  actions(): readonly { service: ServiceName; action: string }[] {
    return [...this.#actions.keys()].map((key) => partsOf(key));
  }

  rulesOf(service: ServiceName, action: string): readonly ComparisonRule[] {
    return this.#actions.get(keyOf(service, action))?.all ?? NONE;
  }

  /** Applies what operators have added and removed. */
  adopt(rules: readonly OperatorRule[], changed: readonly RuleChanges[]): void {
    this.#changes = new Map(changed.map(({ service, action, changes }) => [keyOf(service, action), changes]));
    const isSame =
      rules.length === this.#operators.length && rules.every(({ id }, at) => id === this.#operators[at]?.id);
    if (isSame) return;
    this.#operators = rules;
    for (const [key, action] of this.#actions) {
      const added = rules.filter((rule) => keyOf(rule.service, rule.action) === key).map(({ rule }) => rule);
      if (added.length > 0 || action.all !== action.defined) action.all = [...action.defined, ...added];
    }
  }

  /** @param accepted indices of {@link rulesOf}, once per time */
  count(
    of: { readonly service: ServiceName; readonly action: string },
    accepted: readonly ComparisonRule[],
    atMs: number,
  ): void {
    const hits = this.#actions.get(keyOf(of.service, of.action))?.hits;
    if (hits === undefined) return;
    for (const rule of accepted) {
      const name = ruleNameOf(rule);
      const known = hits.get(name) ?? { total: 0, unstored: 0, lastAtMs: atMs };
      known.total += 1;
      known.unstored += 1;
      known.lastAtMs = atMs;
      hits.set(name, known);
    }
  }

  /** Takes the hits that are not stored yet. The caller stores them. */
  takeHits(): readonly RuleHits[] {
    return [...this.#actions].flatMap(([key, { hits }]) => {
      const { service, action } = partsOf(key);
      return [...hits].flatMap(([rule, counted]): RuleHits[] => {
        const { unstored, lastAtMs } = counted;
        counted.unstored = 0;
        return unstored === 0 ? [] : [{ service, action, rule, hits: unstored, lastHitAtMs: lastAtMs }];
      });
    });
  }

  /** Returns hits that could not be stored. */
  giveBack(hits: readonly RuleHits[]): void {
    for (const { service, action, rule, hits: unstored } of hits) {
      const counted = this.#actions.get(keyOf(service, action))?.hits.get(rule);
      if (counted !== undefined) counted.unstored += unstored;
    }
  }

  report(service: ServiceName, nowIso: string): readonly RuleReport[] {
    const ids = new Map(this.#operators.map(({ rule, id }) => [rule, id]));
    return [...this.#actions].flatMap(([key, { all, hits }]) => {
      const of = partsOf(key);
      if (of.service !== service) return [];
      return all.map((rule): RuleReport => {
        const counted = hits.get(ruleNameOf(rule));
        const id = ids.get(rule);
        return {
          action: of.action,
          rule,
          isExpired: isExpired(rule, nowIso),
          hits: counted?.total ?? 0,
          ...(id !== undefined && { id }),
          ...(counted !== undefined && { lastHitAtMs: counted.lastAtMs }),
        };
      });
    });
  }

  /** Rules that have expired since the last call. They are off, and an operator should know. */
  newlyExpired(nowIso: string): readonly { service: ServiceName; action: string; rule: ComparisonRule }[] {
    return [...this.#actions].flatMap(([key, { all }]) =>
      all.flatMap((rule) => {
        if (!isExpired(rule, nowIso) || this.#warned.has(rule)) return [];
        this.#warned.add(rule);
        return [{ ...partsOf(key), rule }];
      }),
    );
  }

  /**
   * Changes with the rules in force, because evidence gathered under other rules proves nothing. A value never comes back.
   * Otherwise, evidence from before a rule was added would count again after its removal, although differences in between were
   * not counted.
   */
  versionOf(service: ServiceName, action: string, nowIso: string): string {
    const inForce = this.rulesOf(service, action).filter((rule) => !isExpired(rule, nowIso));
    const changes = this.#changes.get(keyOf(service, action)) ?? 0;
    return digestOf(JSON.stringify(changes === 0 ? inForce : [...inForce, changes]));
  }
}

/** Neither a service nor an action contains a space. */
function keyOf(service: ServiceName, action: string): string {
  return `${service} ${action}`;
}

function partsOf(key: string): { service: ServiceName; action: string } {
  const [service = '', action = ''] = key.split(' ');
  return { service: service as ServiceName, action };
}
