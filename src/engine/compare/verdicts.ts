import type { Comparison, ComparisonRule, NotComparable, Verdict } from '../../domain/comparison.ts';
import { messageOf } from '../../domain/errors.ts';
import type { ServiceName } from '../../domain/ids.ts';
import type { ServiceDefinition } from '../../domain/service-definition.ts';
import type { Emit } from '../ports/events.ts';
import type { Clock } from '../../shared/clock.ts';
import { ClockOffset, type ClockOffsetReport, naiveSecondsOf } from './clock-offset.ts';
import { compareReplies, type JudgedWith, type Judgement, type ReplyPair } from './compare-replies.ts';
import { type ActionCoverage, ComparedCoverage } from './compared-coverage.ts';
import type { RuleStore, SignatureStore } from './comparison-stores.ts';
import { DistinctEstimate, hashText } from './digest.ts';
import { ActionNoise, type PlaceNoise } from './noise.ts';
import { RuleBook, type RuleReport } from './rule-book.ts';
import { type ComparedOperation, SignatureBook } from './signature-book.ts';

/** Replies with a larger total are compared in another thread. 128 KiB take about 2 ms. */
const LARGE_BYTES = 128 * 1024;
/** Interval of the exchange with the store. A new rule is in force everywhere after it. A crash loses the hits of this time. */
const EXCHANGE_EVERY_MS = 5_000;

/** The stores of rules and signatures, and the comparer for pairs that are too large for this thread. */
export interface ComparisonEdges {
  readonly rules: Pick<RuleStore, 'rules' | 'changes' | 'addHits'>;
  readonly signatures: Pick<SignatureStore, 'add'>;
  readonly compareLarge: (pair: ReplyPair) => Promise<Judgement>;
}

interface VerdictParts {
  readonly services: ReadonlyMap<ServiceName, ComparedService>;
  readonly clock: Clock;
  readonly emit: Emit;
  /** Absent: nothing is stored, and everything is compared here. */
  readonly edges?: ComparisonEdges | undefined;
}

interface ComparedService {
  readonly definition: Pick<ServiceDefinition, 'actions' | 'lanes'>;
  readonly context: { readonly timeZone: string };
}

/** Two answers to one read of an agent. */
interface AnswerPair {
  readonly legacy: string;
  readonly orchestrator: string;
  /** The request's members. */
  readonly request?: Readonly<Record<string, unknown>>;
  /** Keys of the lane's items that were removed before either backend was asked. */
  readonly deleted?: ReadonlySet<string>;
  /** The lane is flipped. Legacy stamps its items when they are delivered, so times do not count. @defaultValue false */
  readonly isFlipped?: boolean;
}

/** The inputs of a comparison of two answers. */
export interface ConcludedLook {
  readonly legacyText: string;
  /** Equal for two looks that must show the same: the lane's position, and the request. */
  readonly asked: string;
}

/** What an operator may know of a service's comparisons, in this process since its start. */
export interface ComparisonReport {
  readonly actions: Readonly<Record<string, ActionReport>>;
  readonly rules: readonly RuleReport[];
  readonly clockOffset: ClockOffsetReport;
  /** Comparisons of whole lanes, and the estimated number of these lanes. */
  readonly wholeLanes: { readonly lanes: number; readonly verdicts: Readonly<Record<Verdict, number>> };
  /** Differences of all services that were not counted, because there were too many signatures. */
  readonly differencesUngrouped: number;
}

interface WholeLanes {
  readonly lanes: DistinctEstimate;
  readonly verdicts: Record<Verdict, number>;
}

interface ActionReport {
  readonly coverage: ActionCoverage;
  readonly repeats: number;
  readonly noise: readonly PlaceNoise[];
}

/** A comparison that was not made. */
export function notCompared(reason: NotComparable): Judgement {
  const comparison: Comparison = { verdict: 'not_comparable', reason, differences: [], suppressed: 0 };
  return { comparison, accepted: [], gapsSeconds: [] };
}

/**
 * Judges pairs of answers by the rules in force, and records what a trustworthy verdict needs: noise, clocks, coverage,
 * signatures.
 */
export class Verdicts {
  readonly #parts: VerdictParts;
  readonly #rules: RuleBook;
  readonly #signatures = new SignatureBook();
  readonly #clocks = new Map<ServiceName, ClockOffset>();
  readonly #actions = new Map<string, { readonly coverage: ComparedCoverage; readonly noise: ActionNoise }>();
  readonly #wholeLanes = new Map<ServiceName, WholeLanes>();
  #spelled = { second: Number.NaN, iso: '' };
  readonly #looks = new RepeatedLooks();
  #timer: NodeJS.Timeout | undefined;
  #exchanging: Promise<void> = Promise.resolve();

  constructor(parts: VerdictParts) {
    this.#parts = parts;
    this.#rules = new RuleBook(
      new Map([...parts.services].map(([name, { definition }]) => [name, definition])),
    );
    for (const service of parts.services.keys()) this.#clocks.set(service, new ClockOffset());
    for (const { service, action } of this.#rules.actions()) {
      this.#actions.set(`${service} ${action}`, {
        coverage: new ComparedCoverage(),
        noise: new ActionNoise(),
      });
    }
  }

  /** Loads the operators' rules. @throws StorageError */
  async start(): Promise<void> {
    await this.#adoptRules();
    if (this.#parts.edges !== undefined) this.#timer = setInterval(() => this.#exchange(), EXCHANGE_EVERY_MS);
  }

  /** Stores what is not stored yet. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    this.#exchange();
    await this.#exchanging;
  }

  async compare(of: Pick<ComparedOperation, 'service' | 'action'>, pair: AnswerPair): Promise<Judgement> {
    const { edges } = this.#parts;
    const replies = this.#pairOf(of, pair);
    const isLarge =
      pair.legacy !== pair.orchestrator && pair.legacy.length + pair.orchestrator.length > LARGE_BYTES;
    const judgement = await (isLarge && edges !== undefined
      ? edges.compareLarge(replies)
      : compareReplies(replies));
    if (judgement.comparison.verdict !== 'mismatch') return judgement;
    const { nowIso, clockOffsetSeconds, expiry } = replies;
    return { ...judgement, judgedWith: { nowIso, clockOffsetSeconds, ...(expiry && { expiry }) } };
  }

  /** Records that the primary was asked twice while its lane did not change. Every difference is noise. */
  async repeated(
    of: Pick<ComparedOperation, 'service' | 'action'>,
    first: string,
    second: string,
  ): Promise<void> {
    const { comparison } = await this.compare(of, { legacy: first, orchestrator: second });
    this.#actions.get(`${of.service} ${of.action}`)?.noise.repeated(comparison);
  }

  /** The final result of a pair: noise is removed, and everything is recorded. Called once per read. */
  conclude(of: ComparedOperation, judgement: Judgement, look: ConcludedLook | undefined): Comparison {
    const { service, action } = of;
    const rules = this.#rules.rulesOf(service, action);
    const books = this.#actions.get(`${service} ${action}`);
    const found = books?.noise.subtract(judgement.comparison) ?? judgement.comparison;
    const comparison = this.#marked(found, look && `${of.lane} ${action} ${look.asked}`);
    const atMs = this.#parts.clock.wallMs();
    this.#rules.count(of, ruleObjects(rules, judgement.accepted), atMs);
    this.#clocks.get(service)?.add(judgement.gapsSeconds);
    this.#signatures.add(of, comparison, atMs);
    if (look !== undefined) books?.coverage.add(of.lane, comparison, { legacyText: look.legacyText, rules });
    const items = comparison.deletedReturned;
    if (items !== undefined) this.#parts.emit('comparison:deleted_returned', { ...of, items });
    return comparison;
  }

  /**
   * The same for a flipped lane. It is no evidence, and its times say nothing about the clocks. The signature of each difference says that
   * legacy is what differs.
   */
  concludeFlipped(of: ComparedOperation, { comparison: judged, accepted }: Judgement): Comparison {
    const { service, action } = of;
    const found = this.#actions.get(`${service} ${action}`)?.noise.subtract(judged) ?? judged;
    const differences = found.differences.map((one) => ({ ...one, hint: 'flipped_lane' as const }));
    const comparison = { ...found, differences };
    const atMs = this.#parts.clock.wallMs();
    this.#rules.count(of, ruleObjects(this.#rules.rulesOf(service, action), accepted), atMs);
    this.#signatures.add(of, comparison, atMs);
    const items = comparison.deletedReturned;
    if (items !== undefined) this.#parts.emit('flipped:deleted_returned', { ...of, items });
    return comparison;
  }

  /**
   * Records the comparison of a whole lane, at this sequence if it could be made there. Its differences are grouped like those of
   * answers.
   */
  concludeLane(of: ComparedOperation, found: Comparison, sequence?: number): Comparison {
    const comparison = this.#marked(found, sequence === undefined ? undefined : `${of.lane} ${sequence}`);
    this.#signatures.add(of, comparison, this.#parts.clock.wallMs());
    const { lanes, verdicts } = this.#wholeLanesOf(of.service);
    verdicts[comparison.verdict] += 1;
    lanes.add(of.lane);
    return comparison;
  }

  report(service: ServiceName): ComparisonReport {
    const { lanes, verdicts } = this.#wholeLanesOf(service);
    const actions = [...this.#actions].flatMap(([key, { coverage, noise }]) => {
      const [name, action = ''] = key.split(' ');
      if (name !== service) return [];
      return [
        [action, { coverage: coverage.report(), repeats: noise.repeats, noise: noise.report() }] as const,
      ];
    });
    return {
      actions: Object.fromEntries(actions),
      rules: this.#rules.report(service, this.#nowIso()),
      clockOffset: this.#clocks.get(service)?.report() ?? { seconds: 0, measuredFrom: 0 },
      wholeLanes: { lanes: lanes.count, verdicts: { ...verdicts } },
      differencesUngrouped: this.#signatures.dropped,
    };
  }

  /** Changes with the rules in force, because evidence gathered under other rules proves nothing. */
  rulesVersion(service: ServiceName, action: string): string {
    return this.#rules.versionOf(service, action, this.#nowIso());
  }

  /** A mismatch always counts. */
  #marked(comparison: Comparison, what: string | undefined): Comparison {
    if (comparison.verdict !== 'match' || what === undefined) return comparison;
    return this.#looks.isRepeat(what, this.#parts.clock.now())
      ? { ...comparison, isRepeat: true }
      : comparison;
  }

  #wholeLanesOf(service: ServiceName): WholeLanes {
    let known = this.#wholeLanes.get(service);
    if (known === undefined) {
      known = { lanes: new DistinctEstimate(), verdicts: { match: 0, mismatch: 0, not_comparable: 0 } };
      this.#wholeLanes.set(service, known);
    }
    return known;
  }

  #pairOf(
    { service, action }: Pick<ComparedOperation, 'service' | 'action'>,
    pair: AnswerPair,
  ): ReplyPair & JudgedWith {
    const compared = this.#parts.services.get(service);
    const nowMs = this.#parts.clock.wallMs();
    const rules = this.#rules.rulesOf(service, action);
    return {
      ...pair,
      ...(pair.deleted && itemsOf(compared, action)),
      ...expiryOf(compared, nowMs),
      rules: pair.isFlipped === true ? rules.map(atAnyTime) : rules,
      nowIso: this.#isoOf(nowMs),
      clockOffsetSeconds: this.#clocks.get(service)?.seconds ?? 0,
    };
  }

  #nowIso(): string {
    return this.#isoOf(this.#parts.clock.wallMs());
  }

  /** Formatting the time takes as long as a small comparison, so rules expire to the second. */
  #isoOf(wallMs: number): string {
    const second = Math.floor(wallMs / 1_000);
    if (second !== this.#spelled.second)
      this.#spelled = { second, iso: new Date(second * 1_000).toISOString() };
    return this.#spelled.iso;
  }

  async #adoptRules(): Promise<void> {
    const { edges, emit } = this.#parts;
    if (edges !== undefined) {
      const [rules, changes] = await Promise.all([edges.rules.rules(), edges.rules.changes()]);
      this.#rules.adopt(rules, changes);
    }
    for (const { service, action, rule } of this.#rules.newlyExpired(this.#nowIso())) {
      const { kind, path, owner, expires = '' } = rule;
      emit('rule:expired', { service, action, kind, path, owner, expires });
    }
  }

  /** One exchange with the store at a time. */
  #exchange(): void {
    const { emit } = this.#parts;
    this.#exchanging = this.#exchanging
      .then(() => this.#store())
      .catch((error: unknown) => emit('journal:failed', { reason: messageOf(error) }));
  }

  /**
   * What could not be stored is stored with the next exchange. Hits are returned, and signatures are taken only after hits are
   * stored.
   */
  async #store(): Promise<void> {
    const { edges } = this.#parts;
    await this.#adoptRules();
    const hits = this.#rules.takeHits();
    try {
      if (hits.length > 0) await edges?.rules.addHits(hits);
    } catch (error) {
      this.#rules.giveBack(hits);
      throw error;
    }
    const sightings = this.#signatures.take();
    // Examples and estimates cannot be merged back. If storing fails here, those of the last seconds are lost.
    if (sightings.length > 0) await edges?.signatures.add(sightings);
  }
}

/** The times of a flipped lane on legacy are those of the deliveries. */
function atAnyTime(rule: ComparisonRule): ComparisonRule {
  return rule.kind === 'tolerance_seconds' ? { ...rule, seconds: Infinity } : rule;
}

function itemsOf(service: ComparedService | undefined, action: string): Pick<ReplyPair, 'items'> {
  const read = service?.definition.actions[action];
  const items = read?.kind === 'read' && read.legacyOnly === undefined ? read.items : undefined;
  return items === undefined ? {} : { items };
}

function expiryOf(service: ComparedService | undefined, nowMs: number): Pick<ReplyPair, 'expiry'> {
  const idleSeconds = service?.definition.lanes.retention.idleSeconds;
  if (service === undefined || idleSeconds === undefined) return {};
  const naiveNowSeconds = naiveSecondsOf(nowMs, service.context.timeZone);
  return { expiry: { idleSeconds, nowSeconds: nowMs / 1_000, naiveNowSeconds } };
}

function ruleObjects(rules: readonly ComparisonRule[], places: readonly number[]): ComparisonRule[] {
  return places.flatMap((place) => rules[place] ?? []);
}

/** After this time the stores may have changed by themselves, so another look proves something again. */
const SAME_FOR_MS = 15 * 60_000;
/** Looks that are remembered. If there are more, the oldest count again. */
const LIMIT = 100_000;

/**
 * What was compared lately. An unchanged lane that gets the same request shows the same answer, so repeats count as one proof.
 * Kept in the memory of this replica, so each replica may count it once.
 */
export class RepeatedLooks {
  /** By hash, oldest first: when it was counted. */
  readonly #countedAtMs = new Map<number, number>();

  /**
   * @param what identifies the lane, its position, and the request. @returns false if it is new. It is remembered
   */
  isRepeat(what: string, nowMs: number): boolean {
    const key = hashText(what);
    const atMs = this.#countedAtMs.get(key);
    if (atMs !== undefined && nowMs - atMs < SAME_FOR_MS) return true;
    this.#countedAtMs.delete(key);
    this.#countedAtMs.set(key, nowMs);
    const [oldest] = this.#countedAtMs.keys();
    if (this.#countedAtMs.size > LIMIT && oldest !== undefined) this.#countedAtMs.delete(oldest);
    return false;
  }
}
