import { setImmediate as nextTurn } from 'node:timers/promises';
import type { FastifyInstance } from 'fastify';
import { type ComparisonRule, ruleNameOf } from '../../domain/comparison.ts';
import type { ServiceName } from '../../domain/ids.ts';
import type { ServiceDefinition } from '../../domain/service-definition.ts';
import type { RuleStore, StoredDifference } from '../../engine/compare/comparison-stores.ts';
import { isExpired } from '../../engine/compare/compiled-rules.ts';
import { parseRules, type ProposedRule, RuleTrial, type TriedRules } from '../../engine/compare/try-rules.ts';
import type { AuditStore } from '../../engine/guard/guard-ports.ts';
import { type Answered, type Asked, ENDPOINTS } from '../api/endpoints.ts';
import type { ListedRule, TriedAction } from '../api/rules.ts';
import { knownService } from '../known-service.ts';
import { Refusal } from '../refusal.ts';
import { serve } from './serve.ts';

export interface RuleRouteParts {
  readonly services: ReadonlyMap<ServiceName, { readonly definition: Pick<ServiceDefinition, 'actions'> }>;
  readonly rules: Pick<RuleStore, 'rules' | 'add' | 'remove' | 'hits'>;
  readonly differences: {
    /** Newest first. @throws StorageError */
    withSamples(service: ServiceName, limit: number): Promise<readonly StoredDifference[]>;
  };
  readonly audit: Pick<AuditStore, 'add'>;
  readonly nowMs: () => number;
}

const DEFAULT_TRIED = 500;
/** Stored differences are judged in steps of this length, so that agents are served meanwhile. */
const TURN_MS = 5;

/** Comparison rules: those in force, and routes to try, add and remove rules while the proxy runs. */
export function registerRuleRoutes(app: FastifyInstance, parts: RuleRouteParts): void {
  const routes = new RuleRoutes(parts);
  serve(app, ENDPOINTS.listRules, ({ query }) => routes.list(query.service));
  serve(app, ENDPOINTS.tryRules, ({ body }) => routes.try(body));
  serve(app, ENDPOINTS.addRules, ({ body }) => routes.add(body));
  serve(app, ENDPOINTS.removeRule, ({ params, body }) => routes.remove(Number(params.rule), body));
}

type BodyOf<Name extends 'tryRules' | 'addRules' | 'removeRule'> = Asked<Name>['body'];

class RuleRoutes {
  readonly #parts: RuleRouteParts;

  constructor(parts: RuleRouteParts) {
    this.#parts = parts;
  }

  async list(name: string): Promise<Answered<'listRules'>> {
    const { rules, nowMs } = this.#parts;
    const service = this.#known(name);
    const hits = new Map(
      (await rules.hits()).map((each) => [`${each.service} ${each.action} ${each.rule}`, each.hits]),
    );
    const nowIso = new Date(nowMs()).toISOString();
    const listed = (action: string, rule: ComparisonRule, id: number | null): ListedRule => ({
      id,
      action,
      rule,
      expired: isExpired(rule, nowIso),
      hits: hits.get(`${service} ${action} ${ruleNameOf(rule)}`) ?? 0,
    });
    const defined = [...this.#definedRules(service)].flatMap(([action, each]) =>
      each.map((rule) => listed(action, rule, null)),
    );
    const added = (await rules.rules()).filter((each) => each.service === service);
    return { service, rules: [...defined, ...added.map(({ action, rule, id }) => listed(action, rule, id))] };
  }

  async try({
    service: name,
    rules,
    limit = DEFAULT_TRIED,
  }: BodyOf<'tryRules'>): Promise<Answered<'tryRules'>> {
    const service = this.#known(name);
    const proposed = this.#proposed(service, rules);
    this.#refuseExpired(proposed);
    const stored = await this.#parts.differences.withSamples(service, limit);
    const added = (await this.#parts.rules.rules()).filter((each) => each.service === service);
    const defined = this.#definedRules(service);
    const actions: TriedAction[] = [];
    for (const action of new Set(proposed.map((each) => each.action))) {
      const trial = new RuleTrial({
        inForce: [...(defined.get(action) ?? []), ...rulesOf(action, added)],
        proposed: rulesOf(action, proposed),
      });
      await judgeAll(
        stored.filter((difference) => difference.action === action),
        trial,
      );
      actions.push(triedAction(action, trial.result));
    }
    return { service, actions };
  }

  async add({ service: name, rules, person, reason }: BodyOf<'addRules'>): Promise<Answered<'addRules'>> {
    const service = this.#known(name);
    const proposed = this.#proposed(service, rules);
    this.#refuseExpired(proposed);
    const added: number[] = [];
    for (const { action, rule } of proposed)
      added.push(await this.#parts.rules.add({ service, action, rule }));
    const names = proposed.map(({ action, rule }) => `${action}: ${ruleNameOf(rule)}`);
    await this.#audit('rules add', { person, reason }, { service, details: { added, rules: names } });
    return { service, added };
  }

  async remove(id: number, by: BodyOf<'removeRule'>): Promise<Answered<'removeRule'>> {
    const { rules } = this.#parts;
    const wanted = by.service === undefined ? undefined : this.#known(by.service);
    const found = (await rules.rules()).find((each) => each.id === id);
    if (found !== undefined && wanted !== undefined && found.service !== wanted)
      throw new Refusal(409, 'other_service', `rule ${id} belongs to ${found.service}, not to ${wanted}`);
    if (found === undefined || !(await rules.remove(id, by.person)))
      throw new Refusal(
        404,
        'rule_not_found',
        `unknown rule ${id}: the list of rules shows the numbers of added rules`,
      );
    const { service, action, rule } = found;
    const details = { removed: id, rule: `${action}: ${ruleNameOf(rule)}` };
    await this.#audit('rules remove', by, { service, details });
    return { service, removed: id };
  }

  async #audit(
    command: string,
    { person, reason }: { readonly person: string; readonly reason: string },
    what: { readonly service: ServiceName; readonly details: Readonly<Record<string, unknown>> },
  ): Promise<void> {
    await this.#parts.audit.add({ command, person: person.trim(), reason: reason.trim(), ...what });
  }

  #known(name: string): ServiceName {
    return knownService(name, this.#parts.services.keys());
  }

  /** @throws Refusal if they are not valid rules, or name an action that is not compared */
  #proposed(service: ServiceName, rules: readonly unknown[]): readonly ProposedRule[] {
    const proposed = parsed(rules);
    const compared = this.#definedRules(service);
    const stranger = proposed.find(({ action }) => !compared.has(action));
    if (stranger === undefined) return proposed;
    const actions = [...compared.keys()].join(', ');
    throw new Refusal(
      400,
      'invalid_request',
      `${service} does not compare an action "${stranger.action}": use ${actions}`,
    );
  }

  #refuseExpired(proposed: readonly ProposedRule[]): void {
    const nowIso = new Date(this.#parts.nowMs()).toISOString();
    const expired = proposed.find(({ rule }) => isExpired(rule, nowIso));
    if (expired === undefined) return;
    const { action, rule } = expired;
    const which = `${action}: ${ruleNameOf(rule)}`;
    throw new Refusal(400, 'invalid_request', `rule "${which}" has already expired (${rule.expires})`);
  }

  /** The definition's rules, by each action that is compared. */
  #definedRules(service: ServiceName): ReadonlyMap<string, readonly ComparisonRule[]> {
    const actions = Object.entries(this.#parts.services.get(service)?.definition.actions ?? {});
    return new Map(
      actions.flatMap(([name, action]): [string, readonly ComparisonRule[]][] =>
        action.kind === 'read' && action.legacyOnly === undefined ? [[name, action.rules]] : [],
      ),
    );
  }
}

function triedAction(action: string, tried: TriedRules): TriedAction {
  const { comparisons, undecided, signatures } = tried;
  const counts = {
    from_samples: tried.fromSamples,
    would_match: tried.wouldMatch,
    still_mismatch: tried.stillMismatch,
    not_comparable: tried.notComparable,
    undecided,
    not_judged: tried.notJudged,
  };
  return { action, comparisons, ...counts, signatures };
}

function parsed(rules: readonly unknown[]): readonly ProposedRule[] {
  try {
    return parseRules(rules);
  } catch (error) {
    throw new Refusal(400, 'invalid_request', error instanceof Error ? error.message : String(error));
  }
}

function rulesOf(
  action: string,
  all: readonly { readonly action: string; readonly rule: ComparisonRule }[],
): ComparisonRule[] {
  return all.filter((each) => each.action === action).map(({ rule }) => rule);
}

async function judgeAll(stored: readonly StoredDifference[], trial: RuleTrial): Promise<void> {
  let turnEndsAtMs = performance.now() + TURN_MS;
  for (const difference of stored) {
    trial.judge(difference);
    if (performance.now() < turnEndsAtMs) continue;
    await nextTurn();
    turnEndsAtMs = performance.now() + TURN_MS;
  }
}
