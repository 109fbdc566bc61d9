import { createHash } from 'node:crypto';
import { type Backend, secondaryOf } from '../../domain/backend.ts';
import { messageOf } from '../../domain/errors.ts';
import { type LaneKey, laneKeyOf, type Owner, type ServiceName, sessionIdOf } from '../../domain/ids.ts';
import type { LegacyLane, StoredMemory } from '../../domain/service-definition.ts';
import { baselineOf, digestOfFields, type ListedMemory } from '../items/copy-plan.ts';
import { explainVanished } from '../copies/copy-judgement.ts';
import type { HoldLane } from '../lane/hold-lane.ts';
import { listedLost, readContents } from '../items/lane-contents.ts';
import { LegacyTimes } from '../copies/legacy-times.ts';
import { fenceOfRow } from '../lane/fence.ts';
import type { LostItemStore } from '../ports/lost-items.ts';
import type { Lanes } from '../lane/lanes.ts';
import { LOOK_AGAIN_MS } from '../compare/look-again.ts';
import type { Clock } from '../../shared/clock.ts';
import type { Journal, LaneView, Orchestrator } from '../ports/ports.ts';
import type { BaselineStore, WriteHistory } from '../ports/journal-facts.ts';
import type { Coverage, ServiceRuntime } from '../ports/service-runtime.ts';
import { attribute, type Attribution, detailed, type FoundItems, type ItemFinding } from './attribute.ts';
import type { SideSummary } from './divergence-ports.ts';
import { expectedList } from './expected-list.ts';

const HOLD_PATIENCE_MS = 10_000;
const CATCH_UP_MS = 5_000;
const CATCH_UP_LOOK_MS = 20;

export interface ComparerParts {
  readonly services: ReadonlyMap<ServiceName, ServiceRuntime>;
  readonly coverage: ReadonlyMap<ServiceName, Coverage>;
  readonly journal: Pick<Journal, 'fence' | 'lastApplied'>;
  readonly lanes: Pick<Lanes, 'load'>;
  readonly baselines: Pick<BaselineStore, 'of' | 'save'>;
  readonly history: WriteHistory;
  readonly lostItems: Pick<LostItemStore, 'waiting'>;
  readonly orchestrator: Pick<Orchestrator, 'read' | 'batchWrite'>;
  readonly clock: Clock;
  /** Longest time of one page of the orchestrator, milliseconds. */
  readonly timeoutMs: number;
  readonly hold: HoldLane;
  /** Requests that items which legacy forgot are marked on the orchestrator. Never waits. */
  readonly hideForgotten: (service: ServiceName, owner: Owner) => void;
  /** Whether there may be writes that the journal does not know. Then its facts about a lane prove nothing. */
  readonly isSpilling: () => boolean;
}

/** Limits of one comparison. */
export interface Patience {
  /** After it aborts, no further look is awaited. What is known by then counts. */
  readonly signal?: AbortSignal;
  /** Longest time that a held lane waits for its deliveries, while its agents' writes wait. */
  readonly catchUpMs: number;
  /** Longest time that it is held at all. What is read later counts only if nothing was written meanwhile. Absent: no limit. */
  readonly holdMs?: number;
  /** Called after each reading of the legacy store, with its duration. */
  readonly onRead?: (ms: number) => void;
}

/** The result for one lane. */
export type ComparedLane = {
  /** The backend against which a difference counts. In a flipped lane that is legacy. */
  readonly secondary: Backend;
} & (
  | { readonly verdict: 'not_comparable'; readonly reason: string }
  | ({ readonly verdict: 'equal' | 'different' } & LaneDifference)
);

type JudgedFacts = LaneFacts & Pick<LaneDifference, 'generation' | 'epoch'>;

export interface LaneDifference {
  readonly sequence: number;
  /** The lane's sequence at the look; 0 if it has no row. */
  readonly generation: number;
  /** The lane's epoch at the look. */
  readonly epoch: number;
  readonly source: LegacyLane;
  /** What the orchestrator showed. */
  readonly listed: readonly ListedMemory[];
  readonly findings: readonly ItemFinding[];
  /** What a repair may remove from the orchestrator. */
  readonly removable: readonly StoredMemory[];
  /** Items that a person must decide about. Empty for a flipped lane: there the findings say what legacy lacks. */
  readonly lost: readonly ListedMemory[];
  /** Items that legacy has forgotten as declared, and that are still on the orchestrator. Not a difference. */
  readonly forgotten: number;
  readonly before: SideSummary;
  readonly after: SideSummary;
}

/** Compares a lane on both stores: ../README.md, "Comparing". A difference counts only if a second look shows it again. */
export class LaneComparer {
  readonly #parts: ComparerParts;
  readonly #times: LegacyTimes;

  constructor(parts: ComparerParts) {
    this.#parts = parts;
    this.#times = new LegacyTimes(parts);
  }

  /**
   * Compares a lane. A racy lane is looked at again, the last time while it is held. Items that legacy forgot are hidden soon,
   * because agents read them.
   * @throws CrossfadeError if a side cannot be read
   */
  async compare(
    name: ServiceName,
    owner: Owner,
    patience: Patience = { catchUpMs: CATCH_UP_MS },
  ): Promise<ComparedLane> {
    const compared = await this.#compare(name, owner, patience);
    if (compared.verdict === 'equal') await this.#remember(laneKeyOf(name, owner), compared);
    // Nothing is copied over the orchestrator while it is primary: neither legacy's times nor what legacy has forgotten.
    if (compared.verdict === 'not_comparable' || compared.secondary === 'legacy') return compared;
    await this.#takeOverTimes(name, owner, compared);
    const hasForgotten = compared.forgotten > 0;
    // A lane with lost items waits for a person. A copy would stop it.
    if (hasForgotten && compared.lost.length === 0) this.#parts.hideForgotten(name, owner);
    return compared;
  }

  /** Later differences are attributed by what both sides hold now. What legacy has forgotten, the orchestrator still holds. */
  async #remember(lane: LaneKey, { forgotten, sequence, source }: LaneDifference): Promise<void> {
    if (forgotten > 0) return;
    await this.#parts.baselines.save({ lane, sequence, items: baselineOf(source.items) });
  }

  async #takeOverTimes(
    name: ServiceName,
    owner: Owner,
    { source: { items }, sequence, listed }: LaneDifference,
  ): Promise<void> {
    const service = this.#parts.services.get(name);
    if (service !== undefined) await this.#times.takeOver({ service, owner, sequence, items }, listed);
  }

  async #compare(name: ServiceName, owner: Owner, patience: Patience): Promise<ComparedLane> {
    const { signal } = patience;
    const service = this.#parts.services.get(name);
    if (service === undefined) throw new Error(`Unknown service "${name}"`);
    const looks = new LaneLooks();
    for (const waitMs of LOOK_AGAIN_MS) {
      const compared = await this.#once(service, owner, patience);
      if (!looks.isWorthAnother(compared)) return compared;
      await this.#parts.clock.sleep(waitMs, signal);
      if (signal?.aborted === true) return compared;
    }
    return this.#held(service, owner, { ...patience, looks });
  }

  /** The lane is held only for the read of legacy. Agents' writes wait meanwhile. */
  async #held(
    service: ServiceRuntime,
    owner: Owner,
    { looks, ...patience }: Patience & { readonly looks: LaneLooks },
  ): Promise<ComparedLane> {
    const { lanes, hold, clock } = this.#parts;
    const { catchUpMs, holdMs } = patience;
    const lane = await lanes.load(service.name, owner);
    const held = await hold(lane, clock.now() + HOLD_PATIENCE_MS);
    const ended = new AbortController();
    const letGo = once(() => held.release());
    if (holdMs !== undefined) void clock.sleep(holdMs, ended.signal).then(letGo);
    try {
      const untilMs = clock.now() + catchUpMs;
      let compared = await this.#once(service, owner, patience);
      while (compared.verdict === 'not_comparable' && compared.reason === 'behind' && clock.now() < untilMs) {
        await clock.sleep(CATCH_UP_LOOK_MS);
        compared = await this.#once(service, owner, patience);
      }
      // A difference that no earlier look has shown is looked at again while nothing can change.
      if (compared.verdict !== 'different' || !looks.isWorthAnother(compared)) return compared;
      return looks.surviving(await this.#once(service, owner, patience));
    } finally {
      ended.abort();
      letGo();
    }
  }

  async #once(service: ServiceRuntime, owner: Owner, patience: Patience): Promise<ComparedLane> {
    const { isSpilling } = this.#parts;
    const compared = isSpilling() ? undefined : await this.#look(service, owner, patience);
    return compared && !isSpilling() ? compared : notComparable('spilling', undefined);
  }

  async #look(service: ServiceRuntime, owner: Owner, { onRead }: Patience): Promise<ComparedLane> {
    const { journal, coverage, clock } = this.#parts;
    const key = laneKeyOf(service.name, owner);
    const number = coverage.get(service.name)?.number ?? 0;
    const before = await journal.fence(key);
    const obstacle = fenceOfRow(before, number, 'compare_stores');
    if (obstacle !== undefined && obstacle !== 'not_seeded') return notComparable(obstacle, before);
    const startedAtMs = clock.now();
    const source = await this.#read(service, owner);
    onRead?.(clock.now() - startedAtMs);
    if (typeof source === 'string') return notComparable(source, before);
    const copied = obstacle === 'not_seeded' ? stoppedIn(before) : before;
    if (copied === undefined) return notSeeded(source, before);
    const listed = await this.#listed(service, owner);
    const after = await journal.fence(key);
    if (!isSame(copied, after)) return notComparable('racy', before);
    return this.#judge(service, { owner, key, source, listed, ...copied.state });
  }

  async #read({ definition, access, context }: ServiceRuntime, owner: Owner): Promise<LegacyLane | string> {
    try {
      return await definition.lanes.readLegacy(owner, access, context);
    } catch (error) {
      return error instanceof SyntaxError
        ? 'unreadable: the JSON is incomplete or invalid'
        : `unreadable: ${messageOf(error)}`;
    }
  }

  async #listed({ definition: { lanes } }: ServiceRuntime, owner: Owner): Promise<readonly ListedMemory[]> {
    const { orchestrator, clock, timeoutMs } = this.#parts;
    const sessionId = sessionIdOf(lanes.sessionPrefix, owner);
    const options = () => ({ purpose: 'probe' as const, deadlineAtMs: clock.now() + timeoutMs });
    return (await readContents({ orchestrator, sessionId, lanes, owner, options })).listed;
  }

  async #judge(service: ServiceRuntime, facts: JudgedFacts): Promise<ComparedLane> {
    const { source, listed, sequence, generation, epoch, primary } = facts;
    const attribution = await this.attribute(service, facts);
    const { forgotten, lost } = await this.#explain(service, facts, attribution);
    const ofLost = lost.map((orchestrator): [ItemFinding, FoundItems] => [
      lostFinding(orchestrator),
      { orchestrator },
    ]);
    const findings = detailed(
      [...attribution.findings, ...ofLost.map(([finding]) => finding)],
      new Map([...attribution.itemsOf, ...ofLost]),
    );
    return {
      secondary: secondaryOf(primary),
      verdict: findings.length === 0 ? 'equal' : 'different',
      sequence,
      generation,
      epoch,
      source,
      listed,
      findings,
      removable: attribution.removable,
      lost: primary === 'legacy' ? lost : [],
      forgotten,
      before: summaryOf(listed),
      after: summaryOf(source.items),
    };
  }

  /** Attributes the differences to a side, by what both sides were last seen to hold. */
  async attribute(
    service: ServiceRuntime,
    { owner, key, source, listed, sequence }: Omit<LaneFacts, 'primary'>,
  ): Promise<Attribution> {
    const { baselines, history } = this.#parts;
    const sides = {
      legacy: source.items,
      orchestrator: listed,
      laneKey: key,
      writerOf: (item: LegacyLane['items'][number]) => service.definition.lanes.writerOf?.(item),
    };
    const blind = attribute({ ...sides, base: undefined });
    // Nothing differs, so what both sides once held is not needed.
    if (blind.findings.length + blind.vanished.length === 0) return blind;
    const baseline = await baselines.of(key);
    const writes = baseline && (await history.between(key, baseline.sequence, sequence));
    const shown = [...source.items, ...listed];
    return attribute({ ...sides, base: expectedList(service, owner, { baseline, writes, shown }) });
  }

  /** What is listed as lost stays lost, whatever retention could explain by now. */
  async #explain(
    { name, definition, access, context }: ServiceRuntime,
    { owner, key, source, listed }: LaneFacts,
    { vanished }: Attribution,
  ): Promise<{ forgotten: number; lost: readonly ListedMemory[] }> {
    const explained = await explainVanished({
      context,
      retention: definition.lanes.retention,
      source,
      vanished: vanished.map(({ memory }) => memory),
      existing: listed,
      lastApplied: (before, from) => this.#parts.journal.lastApplied(key, before, from),
      emptyBelow: 0,
      ownersAround: async (instant) => definition.lanes.ownersAround?.(instant, access, context),
    });
    const waiting = explained.forgotten.length === 0 ? [] : await this.#parts.lostItems.waiting(name, owner);
    const before = listedLost(listed, waiting);
    const forgotten = explained.forgotten.filter(({ memory_id: id }) => !before.has(id));
    const lost = new Set(vanished.map(({ memory }) => memory).filter((one) => !forgotten.includes(one)));
    return {
      forgotten: forgotten.length,
      lost: vanished.filter(({ memory }) => lost.has(memory)),
    };
  }
}

function lostFinding({ memory, fields }: ListedMemory): ItemFinding {
  return { side: 'legacy', kind: 'lost', before: digestOfFields(fields), memoryId: memory.memory_id };
}

/** A lane as both sides showed it at one sequence. */
interface LaneFacts {
  readonly owner: Owner;
  readonly key: LaneKey;
  readonly source: LegacyLane;
  readonly listed: readonly ListedMemory[];
  readonly sequence: number;
  /** The backend that is primary for its writes. */
  readonly primary: Backend;
}

/** Releasing a hold twice could end another call's hold. */
function once(action: () => void): () => void {
  let isDone = false;
  return () => {
    if (!isDone) action();
    isDone = true;
  };
}

export function isSame(before: LaneView | undefined, after: LaneView | undefined): boolean {
  return (
    before !== undefined &&
    after !== undefined &&
    !after.isBehind &&
    after.state.sequence === before.state.sequence &&
    after.state.generation === before.state.generation &&
    after.state.epoch === before.state.epoch &&
    after.state.condition === before.state.condition
  );
}

/** A first copy stops only after it has written lost items to the orchestrator. */
function stoppedIn(view: LaneView | undefined): LaneView | undefined {
  return view?.state.condition === 'stopped' ? view : undefined;
}

function notComparable(reason: string, view: LaneView | undefined): ComparedLane {
  return { secondary: secondaryOf(view?.state.primary ?? 'legacy'), verdict: 'not_comparable', reason };
}

/** Nothing of it need be on the orchestrator yet. Everything that legacy shows must be copied. */
function notSeeded(source: LegacyLane, view: LaneView | undefined): ComparedLane {
  const { generation = 0, epoch = 0 } = view?.state ?? {};
  const nothing = summaryOf([]);
  const found = { removable: [], lost: [], forgotten: 0, before: nothing };
  const secondary = 'orchestrator';
  const base = { secondary, source, listed: [], sequence: 0, generation, epoch, ...found } as const;
  if (!source.exists) return { verdict: 'equal', ...base, findings: [], after: nothing };
  const findings: ItemFinding[] = [{ side: 'unknown', kind: 'not_seeded' }];
  return { verdict: 'different', ...base, findings, after: summaryOf(source.items) };
}

function summaryOf(list: readonly { readonly fields: Readonly<Record<string, string>> }[]): SideSummary {
  const hash = createHash('sha256');
  for (const { fields } of list) hash.update(digestOfFields(fields));
  return { items: list.length, digest: hash.digest('hex').slice(0, 32) };
}

/** Results that may change a moment later. */
const MAY_PASS: ReadonlySet<string> = new Set(['racy', 'behind', 'dirty', 'copying']);

/** The results of the looks at one lane. A difference counts only if two looks show it. */
class LaneLooks {
  readonly #shown = new Set<string>();

  /** Whether another look may give another result. Records the result of this one. */
  isWorthAnother(compared: ComparedLane): boolean {
    if (compared.verdict === 'not_comparable') return MAY_PASS.has(compared.reason);
    const shown = compared.findings.map(identityOf);
    const isNews = shown.some((finding) => !this.#shown.has(finding));
    for (const finding of shown) this.#shown.add(finding);
    return isNews;
  }

  /** The final result. If no earlier look has shown any difference of this one, the lane proves nothing. */
  surviving(compared: ComparedLane): ComparedLane {
    if (compared.verdict !== 'different') return compared;
    const isKnown = compared.findings.some((finding) => this.#shown.has(identityOf(finding)));
    return isKnown ? compared : { secondary: compared.secondary, verdict: 'not_comparable', reason: 'racy' };
  }
}

/** The side may be attributed differently at the next look. */
function identityOf({ kind, memoryId = '', before = '', after = '' }: ItemFinding): string {
  return `${kind} ${memoryId} ${before} ${after}`;
}
