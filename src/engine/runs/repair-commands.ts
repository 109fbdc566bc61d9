import { messageOf } from '../../domain/errors.ts';
import { laneKeyOf, type Owner, type ServiceName, sessionIdOf } from '../../domain/ids.ts';
import type { ReplyOutcome } from '../../domain/outcome.ts';
import { readReply, readText } from '../../domain/request.ts';
import { readJournaled } from '../copies/journaled-writes.ts';
import type { Lane } from '../lane/lane.ts';
import { auditedServices, type RepairLimits, type Run } from '../ports/run.ts';
import type { AuditStore } from '../guard/guard-ports.ts';
import { digestOfFields } from '../items/copy-plan.ts';
import { readContents, readSession } from '../items/lane-contents.ts';
import type { Clock } from '../../shared/clock.ts';
import type { Journal, Orchestrator, OrchestratorOptions } from '../ports/ports.ts';
import type { ServiceRuntime } from '../ports/service-runtime.ts';
import type { LostItem, LostItemName, LostItemStore } from '../ports/lost-items.ts';
import { notRestorable } from './restorable.ts';
import { type RunCommands, RunRefused } from './run-commands.ts';
import type { RunStore, StandingLanes } from './run-ports.ts';
import type { Divergence, DivergenceStore, RepairStore } from './divergence-ports.ts';
import type { LaneComparer } from './lane-comparer.ts';
import type { LaneRepairer } from './lane-repairer.ts';

const SHOWN = 1_000;
/** Limits of a repair unless the person raises them. */
const LIMITS: RepairLimits = { items: 1_000, share: 0.005 };

export interface RepairCommandParts {
  readonly services: ReadonlyMap<ServiceName, ServiceRuntime>;
  readonly store: RunStore;
  readonly desk: RunCommands;
  readonly divergences: DivergenceStore;
  readonly lostItems: LostItemStore;
  readonly repairs: RepairStore;
  readonly repairer: LaneRepairer;
  readonly comparer: LaneComparer;
  readonly audit: Pick<AuditStore, 'add'>;
  readonly orchestrator: Orchestrator;
  readonly journal: Pick<Journal, 'undelivered' | 'lanes'>;
  readonly clock: Clock;
  readonly timeoutMs: number;
  /** Sends a request as an agent would: journaled, and delivered like any other. Resolves with the reply's text. */
  readonly say: (service: ServiceName, text: string) => Promise<Buffer>;
}

/** Maximum difference between the clocks of the proxy and of legacy. */
const CLOCKS_DIFFER_MS = 5_000;

/** An item that is being restored on legacy. */
interface Restoring {
  readonly item: LostItem;
  readonly service: ServiceRuntime;
  readonly digest: string;
  readonly request: string;
}

interface Responsible {
  readonly person: string;
  readonly reason: string;
}

/** What a repair of a reconciliation's findings would do. */
export interface RepairPlan {
  readonly run: number;
  readonly lanes: readonly Divergence[];
  readonly findings: number;
  /** Share of all items that were compared. */
  readonly share: number;
  readonly limits: RepairLimits;
  /** Why it would be refused. */
  readonly refusal: string | undefined;
  /** Lanes of the run that no repair of it touches: those whose repair was undone, those with lost items, and flipped ones. */
  readonly untouched: Pick<StandingLanes, 'undone' | 'lost' | 'flipped'>;
}

/** Commands of people to repair, undo, and decide about lost items. @throws RunRefused; StorageError */
export class RepairCommands {
  readonly #parts: RepairCommandParts;

  constructor(parts: RepairCommandParts) {
    this.#parts = parts;
  }

  divergences(run: number, limit = SHOWN): Promise<readonly Divergence[]> {
    return this.#parts.divergences.ofRun(run, limit);
  }

  async plan(run: number, asked: Partial<RepairLimits> = {}): Promise<RepairPlan> {
    const { store, divergences } = this.#parts;
    const of = await store.get(run);
    if (of?.kind !== 'reconcile') throw new RunRefused('not_found', `there is no reconciliation ${run}`);
    const { services } = await store.progress(run);
    const compared = Object.values(services).reduce((sum, { counts }) => sum + (counts['items'] ?? 0), 0);
    const lanes = await divergences.open(run);
    const findings = lanes.reduce((sum, one) => sum + one.findings.length, 0);
    const share = compared === 0 ? 0 : findings / compared;
    const limits = { ...LIMITS, ...asked };
    const { undone = 0, lost = 0, flipped = 0 } = (await store.standing([run])).get(run) ?? {};
    const refusal = refusalOf(findings, share, limits);
    return { run, lanes, findings, share, limits, refusal, untouched: { undone, lost, flipped } };
  }

  async apply(run: number, limits: Partial<RepairLimits>, by: Responsible): Promise<Run> {
    const plan = await this.plan(run, limits);
    if (plan.refusal !== undefined) throw new RunRefused('conflict', plan.refusal);
    if (plan.lanes.length === 0) throw new RunRefused('conflict', nothingToRepair(plan));
    const services = [...new Set(plan.lanes.map(({ service }) => service))];
    const begun = await this.#parts.desk.begin('repair', { services, of: run, limits: plan.limits, ...by });
    await this.#parts.audit.add({
      ...by,
      command: 'repair apply',
      ...auditedServices(services, { run: begun.id, of: run }),
    });
    return begun;
  }

  /** Undoes what a repair changed. The lanes differ from legacy again, and are stopped. */
  async undo(
    run: number,
    by: Responsible,
  ): Promise<{ readonly undone: number; readonly left: readonly string[] }> {
    const { store, repairs, repairer, divergences, audit } = this.#parts;
    const steps = await repairs.steps(run);
    if (steps.length === 0) throw new RunRefused('not_found', nothingToUndo(run, await store.get(run)));
    // Before anything is undone, so that the person is recorded, however it ends.
    const services = [...new Set(steps.map((step) => step.service))];
    await audit.add({ ...by, command: 'repair undo', ...auditedServices(services, { run }) });
    const left: string[] = [];
    for (const step of steps) {
      const { service, owner } = step;
      // One lane that cannot be undone must not block the others.
      const reason = await repairer.undo(step).catch(messageOf);
      if (reason === undefined) await divergences.undone(service, owner);
      else left.push(`${service}/${owner}: ${reason}`);
    }
    return { undone: steps.length - left.length, left };
  }

  /**
   * The difference does not keep the lane's reads on legacy any more. A different difference counts again later.
   * @returns why the lane is stopped, if it is: then its reads stay on legacy
   */
  async accept(
    service: ServiceName,
    owner: Owner,
    by: Responsible,
  ): Promise<{ readonly run: number; readonly findings: number; readonly stopped?: string }> {
    const acceptance = await this.#parts.divergences.accept(service, owner, by);
    const { result } = acceptance;
    if (result === 'accepted') {
      const key = laneKeyOf(service, owner);
      const lane = (await this.#parts.journal.lanes([key])).get(key);
      const stopped = lane?.condition === 'stopped' && { stopped: lane.reason };
      return { run: acceptance.run, findings: acceptance.findings, ...stopped };
    }
    throw result === 'lost_first'
      ? new RunRefused(
          'conflict',
          `${service}/${owner} has items that legacy lost: decide about each of them first (crossfade lost list)`,
        )
      : new RunRefused(
          'not_found',
          `${service}/${owner} has no open difference: no reconciliation found one, or it is already resolved`,
        );
  }

  lost(): Promise<readonly LostItem[]> {
    return this.#parts.lostItems.open(SHOWN);
  }

  /** Accepts the loss of one item. The last decision about a lane's lost items starts its repair. */
  async giveUp(item: LostItemName, by: Responsible): Promise<{ readonly waiting: number }> {
    const { lostItems, repairer } = this.#parts;
    await this.#refuseFlipped(item);
    if (!(await lostItems.accept(item, by))) throw noneWaits(item);
    const waiting = await lostItems.waiting(item.service, item.owner);
    if (waiting.length > 0) return { waiting: waiting.length };
    await repairer.repair(undefined, item.service, item.owner);
    return this.#decided(item);
  }

  /** Stores one item, or all lost items of a lane in their old order, on legacy again. Each becomes the lane's last item. */
  async restore(
    lane: Pick<LostItemName, 'service' | 'owner'>,
    memoryId: string | undefined,
    by: Responsible,
  ): Promise<{ readonly restored: number; readonly waiting: number }> {
    const { service, owner } = lane;
    const waiting = await this.#parts.lostItems.waiting(service, owner);
    const items = waiting.filter((item) => item.memoryId === (memoryId ?? item.memoryId));
    if (items.length === 0) throw noneWaits({ ...lane, memoryId });
    await this.#refuseFlipped(lane);
    const restorings = await this.#restorings(lane, items);
    await this.#parts.repairer.restoring(service, owner, async (paused) => {
      await this.#restoreOwner(lane);
      const back = await this.#back(paused, { restorings, waiting });
      for (const restoring of restorings) await this.#restore(restoring, by, back);
    });
    return { restored: items.length, ...(await this.#decided(lane)) };
  }

  /** Both decisions end with a copy. @throws RunRefused */
  async #refuseFlipped({ service, owner }: Pick<LostItemName, 'service' | 'owner'>): Promise<void> {
    const key = laneKeyOf(service, owner);
    const state = (await this.#parts.journal.lanes([key])).get(key);
    if (state?.primary !== 'orchestrator') return;
    throw new RunRefused(
      'conflict',
      `the orchestrator is primary for the writes of ${key}, and nothing is copied over a primary`,
    );
  }

  /**
   * Legacy takes no items for an owner that is gone. If the service does not create the owner with its first item, the owner is
   * created again.
   */
  async #restoreOwner({ service: name, owner }: Pick<LostItemName, 'service' | 'owner'>): Promise<void> {
    const service = this.#parts.services.get(name);
    const lanes = service?.definition.lanes;
    if (service === undefined || lanes?.restoreOwner === undefined) return;
    const read = () => lanes.readLegacy(owner, service.access, service.context);
    if ((await read()).exists) return;
    const sessionId = sessionIdOf(lanes.sessionPrefix, owner);
    const { orchestrator } = this.#parts;
    const session = await readSession({ orchestrator, sessionId, options: () => this.#options() });
    if (session === undefined)
      throw new RunRefused('not_found', `the orchestrator has no session of ${name}/${owner}`);
    if ((await this.#taking({ service: name }, lanes.restoreOwner(owner, session))) !== 'applied')
      throw new RunRefused(
        'conflict',
        `${name} did not confirm that it created ${owner} again, so nothing is restored: retry in a minute`,
      );
    const { items } = await read();
    if (items.length > 0)
      throw new RunRefused(
        'conflict',
        `${name} shows ${items.length} items of ${owner} after it created the owner again. Nothing else is restored. Run "crossfade reconcile", then restore what is still lost`,
      );
  }

  /**
   * What legacy shows again, since another restore or a person brought it back.
   * @throws RunRefused where an agent has deleted one of the items since
   */
  async #back(
    lane: Lane,
    {
      restorings,
      waiting,
    }: { readonly restorings: readonly Restoring[]; readonly waiting: readonly LostItem[] },
  ): Promise<ReadonlySet<string>> {
    const { journal, orchestrator } = this.#parts;
    const service = restorings[0]?.service;
    if (service === undefined) return new Set();
    const { definition, access, context } = service;
    const { lanes } = definition;
    const { items: source } = await lanes.readLegacy(lane.owner, access, context);
    const sessionId = sessionIdOf(lanes.sessionPrefix, lane.owner);
    const { listed } = await readContents({ orchestrator, sessionId, lanes, options: () => this.#options() });
    const writes = await journal.undelivered(lane.key, lane.sequence);
    const journaled = readJournaled({ service, owner: lane.owner, writes, sequence: lane.sequence });
    const ids = (items: readonly LostItem[]) => new Set(items.map(({ memoryId }) => memoryId));
    const wanted = ids(restorings.map(({ item }) => item));
    const { deleted, back } = notRestorable({ wanted, waiting: ids(waiting), listed, source, journaled });
    if (deleted.length === 0) return back;
    throw new RunRefused(
      'conflict',
      `an agent has deleted ${deleted.length} of these items of ${lane.key} since (${deleted[0]}): nothing is restored; give them up with "crossfade lost accept"`,
    );
  }

  #options(): OrchestratorOptions {
    const { clock, timeoutMs } = this.#parts;
    return { purpose: 'probe', deadlineAtMs: clock.now() + timeoutMs };
  }

  async #decided({
    service,
    owner,
  }: Pick<LostItemName, 'service' | 'owner'>): Promise<{ readonly waiting: number }> {
    const { lostItems, comparer, divergences } = this.#parts;
    const waiting = await lostItems.waiting(service, owner);
    if (waiting.length > 0) return { waiting: waiting.length };
    const after = await comparer.compare(service, owner);
    if (after.verdict === 'equal') await divergences.resolve(service, owner, 'repaired');
    return { waiting: 0 };
  }

  /**
   * How each item is stored on legacy again. Determined for all items before the first is stored, so that a known problem stops
   * nothing halfway.
   */
  async #restorings(
    { service: name, owner }: Pick<LostItemName, 'service' | 'owner'>,
    items: readonly LostItem[],
  ): Promise<readonly Restoring[]> {
    const { services, orchestrator } = this.#parts;
    const service = services.get(name);
    const lanes = service?.definition.lanes;
    const requestOf = lanes?.restoreRequest?.bind(lanes);
    if (service === undefined || lanes === undefined || requestOf === undefined)
      throw new RunRefused(
        'conflict',
        `the protocol of ${name} cannot restore an item: accept the loss instead`,
      );
    const { listed } = await readContents({
      orchestrator,
      sessionId: sessionIdOf(lanes.sessionPrefix, owner),
      lanes,
      options: () => this.#options(),
    });
    const held = new Map(listed.map(({ memory, fields }) => [memory.memory_id, fields]));
    return items.map((item) => {
      const fields = held.get(item.memoryId);
      if (fields === undefined)
        throw new RunRefused(
          'not_found',
          `the orchestrator does not hold ${item.memoryId} of ${name}/${owner}`,
        );
      return { item, service, digest: digestOfFields(fields), request: requestOf(fields, owner) };
    });
  }

  /** An earlier restore may have died, or may not have seen the reply, after legacy took the item. Then legacy shows it since. */
  async #isBack(
    { definition, access, context }: ServiceRuntime,
    item: LostItemName,
    digest: string,
  ): Promise<boolean> {
    const sinceMs = await this.#parts.lostItems.restoringSinceMs(item);
    if (sinceMs === undefined) return false;
    const { items } = await definition.lanes.readLegacy(item.owner, access, context);
    return items.some(
      ({ fields, at, isTimeUnknown }) =>
        isTimeUnknown !== true &&
        Date.parse(at) >= sinceMs - CLOCKS_DIFFER_MS &&
        digestOfFields(fields) === digest,
    );
  }

  /** Until legacy has taken the item, the orchestrator's copy may be the last one, so nothing is decided before. */
  async #restore(
    { item, service, digest, request }: Restoring,
    by: Responsible,
    back: ReadonlySet<string>,
  ): Promise<void> {
    const { lostItems } = this.#parts;
    const isBack = back.has(item.memoryId) || (await this.#isBack(service, item, digest));
    if (!(await lostItems.beginRestoring(item, by))) throw noneWaits(item);
    const outcome = isBack ? 'applied' : await this.#taking(item, request);
    // Otherwise the result is unknown. The next restore first checks whether legacy has the item.
    if (outcome === 'applied' || outcome === 'refused')
      await lostItems.endRestoring(item, outcome === 'applied');
    if (outcome === 'applied') return;
    throw new RunRefused(
      'conflict',
      outcome === 'refused'
        ? `${item.service} refused to store ${item.memoryId} again: the item waits for a decision`
        : `${item.service} did not confirm that it stored ${item.memoryId} again: retry in a minute; the proxy first checks whether legacy has it`,
    );
  }

  async #taking({ service }: Pick<LostItemName, 'service'>, text: string): Promise<ReplyOutcome> {
    const definition = this.#parts.services.get(service)?.definition;
    const request = readText(text);
    const action = definition?.actions[String(request.fields[definition.selector ?? 'action'])];
    const reply = readReply(await this.#parts.say(service, text));
    return action?.kind === 'write' ? action.outcome(reply, request) : 'unknown';
  }
}

function noneWaits({
  service,
  owner,
  memoryId,
}: Pick<LostItemName, 'service' | 'owner'> & { readonly memoryId: string | undefined }): RunRefused {
  const what = memoryId === undefined ? 'no lost item' : `no item ${memoryId}`;
  return new RunRefused(
    'not_found',
    `${what} of ${service}/${owner} waits for a decision: it does not exist, is already decided, or was restored less than a minute ago`,
  );
}

function nothingToRepair({ run, untouched: { undone, lost, flipped } }: RepairPlan): string {
  const why = [
    ...(undone > 0 ? [`the repair of ${undone} of its lanes was undone: reconcile them again`] : []),
    ...(lost > 0 ? [`${lost} of its lanes have lost items: see "crossfade lost list"`] : []),
    ...(flipped > 0
      ? [`in ${flipped} of its lanes the orchestrator is primary, and no repair changes a primary`]
      : []),
  ];
  return [`there is nothing to repair of run ${run}`, ...why].join('; ');
}

function nothingToUndo(run: number, found: Run | undefined): string {
  if (found === undefined) return `there is no run ${run}: see the list of runs`;
  if (found.kind !== 'repair') return `run ${run} is not a repair: see "crossfade runs list"`;
  return `run ${run} has changed nothing, or is already undone`;
}

function refusalOf(findings: number, share: number, limits: RepairLimits): string | undefined {
  if (findings > limits.items)
    return `${findings} findings are more than the limit of ${limits.items}: check the plan, then raise --limit-items`;
  if (share <= limits.share) return undefined;
  const [have, most] = [share, limits.share].map((one) => `${Number((one * 100).toPrecision(3))} %`);
  return `${have} of the compared items differ, more than the limit of ${most}: check the plan, then raise --limit-share`;
}
