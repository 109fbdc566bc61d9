import { messageOf } from '../../domain/errors.ts';
import { sessionIdOf, type Owner, type ServiceName } from '../../domain/ids.ts';
import type { ReplyOutcome } from '../../domain/outcome.ts';
import { readReply, readText } from '../../domain/request.ts';
import { auditedServices } from '../guard/audited-services.ts';
import type { AuditStore } from '../guard/guard-ports.ts';
import { digestOfFields } from '../copies/copy-plan.ts';
import { readContents } from '../copies/lane-contents.ts';
import type { Clock, Orchestrator } from '../ports.ts';
import type { Run, RepairLimits } from '../runs/run.ts';
import { RunRefused } from '../runs/run-desk.ts';
import type { RunDesk } from '../runs/run-desk.ts';
import type { RunStore } from '../runs/run-ports.ts';
import type { ServiceRuntime } from '../service-runtime.ts';
import type {
  Divergence,
  DivergenceStore,
  LostDecision,
  LostItem,
  LostItemName,
  LostItemStore,
  RepairStore,
} from './divergence-ports.ts';
import type { LaneComparer } from './lane-comparer.ts';
import type { LaneRepairer } from './lane-repairer.ts';

const SHOWN = 1_000;
/** What a repair changes without being told that more is right. */
const LIMITS: RepairLimits = { items: 1_000, share: 0.005 };

export interface RepairDeskParts {
  readonly services: ReadonlyMap<ServiceName, ServiceRuntime>;
  readonly store: RunStore;
  readonly desk: RunDesk;
  readonly divergences: DivergenceStore;
  readonly lostItems: LostItemStore;
  readonly repairs: RepairStore;
  readonly repairer: LaneRepairer;
  readonly comparer: LaneComparer;
  readonly audit: Pick<AuditStore, 'add'>;
  readonly orchestrator: Orchestrator;
  readonly clock: Clock;
  readonly timeoutMs: number;
  /** A request as an agent would send it: journaled, and delivered as any other. Resolves with the reply's text. */
  readonly say: (service: ServiceName, text: string) => Promise<Buffer>;
}

/** Clocks of the proxy and of legacy may differ by so much. */
const CLOCKS_DIFFER_MS = 5_000;

interface Restoring {
  readonly request: string;
  /** Legacy has it already. */
  readonly isBack: boolean;
}

export interface Responsible {
  readonly person: string;
  readonly reason: string;
}

/** What a repair of a reconciliation's findings would do. */
export interface RepairPlan {
  readonly run: number;
  readonly lanes: readonly Divergence[];
  readonly findings: number;
  /** Of all items that were compared. */
  readonly share: number;
  readonly limits: RepairLimits;
  /** Why it would not be begun. */
  readonly refusal: string | undefined;
}

/** Where people repair, put back, and decide about what was lost. @throws RunRefused; StorageError */
export class RepairDesk {
  readonly #parts: RepairDeskParts;

  constructor(parts: RepairDeskParts) {
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
    return { run, lanes, findings, share, limits, refusal: refusalOf(findings, share, limits) };
  }

  async apply(run: number, limits: Partial<RepairLimits>, by: Responsible): Promise<Run> {
    const plan = await this.plan(run, limits);
    if (plan.refusal !== undefined) throw new RunRefused('conflict', plan.refusal);
    if (plan.lanes.length === 0) throw new RunRefused('conflict', `there is nothing to repair of run ${run}`);
    const services = [...new Set(plan.lanes.map(({ service }) => service))];
    const begun = await this.#parts.desk.begin('repair', { services, of: run, limits: plan.limits, ...by });
    await this.#parts.audit.add({
      ...by,
      command: 'repair apply',
      ...auditedServices(services, { run: begun.id, of: run }),
    });
    return begun;
  }

  /** Puts back what a repair changed: the lanes differ from legacy again, and stop there. */
  async undo(
    run: number,
    by: Responsible,
  ): Promise<{ readonly undone: number; readonly left: readonly string[] }> {
    const { store, repairs, repairer, divergences, audit } = this.#parts;
    const steps = await repairs.steps(run);
    if (steps.length === 0) throw new RunRefused('not_found', nothingToUndo(run, await store.get(run)));
    // Before anything is put back: who wanted it is known, however it ends.
    const services = [...new Set(steps.map((step) => step.service))];
    await audit.add({ ...by, command: 'repair undo', ...auditedServices(services, { run }) });
    const left: string[] = [];
    for (const step of steps) {
      const { service, owner } = step;
      // One lane that cannot be put back must not keep the others from it.
      const reason = await repairer.undo(step).catch(messageOf);
      if (reason === undefined) await divergences.undone(service, owner);
      else left.push(`${service}/${owner}: ${reason}`);
    }
    return { undone: steps.length - left.length, left };
  }

  /** The lane's reads may move although it differs. What differs in another way later counts again. */
  async accept(
    service: ServiceName,
    owner: Owner,
    by: Responsible,
  ): Promise<{ readonly run: number; readonly findings: number }> {
    const acceptance = await this.#parts.divergences.accept(service, owner, by);
    const { result } = acceptance;
    if (result === 'accepted') return { run: acceptance.run, findings: acceptance.findings };
    throw result === 'lost_first'
      ? new RunRefused(
          'conflict',
          `${service}/${owner} has items that legacy lost: decide about each first, "crossfade lost list" shows them`,
        )
      : new RunRefused(
          'not_found',
          `no difference of ${service}/${owner} waits for a decision: the stores were not found unequal, or it is settled`,
        );
  }

  lost(): Promise<readonly LostItem[]> {
    return this.#parts.lostItems.open(SHOWN);
  }

  /** The last decision about a lane's lost items lets it be repaired. */
  async decide(
    item: LostItemName,
    decision: LostDecision,
    by: Responsible,
  ): Promise<{ readonly waiting: number }> {
    const { lostItems, repairer, comparer, divergences } = this.#parts;
    const { service, owner } = item;
    const restoring = decision === 'restored' ? await this.#restoring(item) : undefined;
    const isBegun =
      restoring === undefined ? await lostItems.accept(item, by) : await lostItems.beginRestoring(item, by);
    if (!isBegun)
      throw new RunRefused(
        'not_found',
        `no item ${item.memoryId} of ${service}/${owner} waits for a decision: there is none, it is decided, or somebody restored it less than a minute ago`,
      );
    if (restoring !== undefined) await this.#restore(item, restoring);
    const waiting = (await lostItems.open(SHOWN)).filter(
      (one) => one.service === service && one.owner === owner,
    );
    if (waiting.length > 0) return { waiting: waiting.length };
    await repairer.repair(undefined, service, owner);
    const after = await comparer.compare(service, owner);
    if (after.verdict === 'equal') await divergences.settle(service, owner, 'repaired');
    return { waiting: 0 };
  }

  /** How the item is stored on legacy anew, as the lane's last one. */
  async #restoring(item: LostItemName): Promise<Restoring> {
    const { services, orchestrator, clock, timeoutMs } = this.#parts;
    const { service: name, owner, memoryId } = item;
    const service = services.get(name);
    const lanes = service?.definition.lanes;
    if (service === undefined || lanes?.restoreRequest === undefined)
      throw new RunRefused(
        'conflict',
        `${name} takes no item back through its protocol: it can only be accepted`,
      );
    const { listed } = await readContents({
      orchestrator,
      sessionId: sessionIdOf(lanes.sessionPrefix, owner),
      lanes,
      options: () => ({ purpose: 'probe', deadlineAtMs: clock.now() + timeoutMs }),
    });
    const found = listed.find(({ memory }) => memory.memory_id === memoryId);
    if (found === undefined)
      throw new RunRefused('not_found', `the orchestrator does not hold ${memoryId} of ${name}/${owner}`);
    const isBack = await this.#isBack(service, item, digestOfFields(found.fields));
    return { request: lanes.restoreRequest(found.fields, owner), isBack };
  }

  /** Whoever restored it before may have died, or not have heard of it, when legacy had taken it: then legacy shows it since. */
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

  /** Until legacy has taken it, the orchestrator's may be the last that there is: nothing is decided before. */
  async #restore(item: LostItemName, { request, isBack }: Restoring): Promise<void> {
    const outcome = isBack ? 'applied' : await this.#taking(item, request);
    // How it ended nobody knows otherwise: whoever restores it again looks first whether legacy has it.
    if (outcome === 'applied' || outcome === 'refused')
      await this.#parts.lostItems.endRestoring(item, outcome === 'applied');
    if (outcome === 'applied') return;
    throw new RunRefused(
      'conflict',
      outcome === 'refused'
        ? `${item.service} did not take the item back: it waits for a decision again`
        : `${item.service} did not say that it took the item back: decide again in a minute; whether it has it is looked at first`,
    );
  }

  async #taking({ service }: LostItemName, text: string): Promise<ReplyOutcome> {
    const definition = this.#parts.services.get(service)?.definition;
    const request = readText(text);
    const action = definition?.actions[String(request.fields[definition.selector ?? 'action'])];
    const reply = readReply(await this.#parts.say(service, text));
    return action?.kind === 'write' ? action.outcome(reply, request) : 'unknown';
  }
}

function nothingToUndo(run: number, found: Run | undefined): string {
  if (found === undefined) return `there is no run ${run}: the list of runs shows those there are`;
  if (found.kind !== 'repair') return `run ${run} is no repair: "crossfade runs list" shows which are`;
  return `run ${run} has changed nothing, or it is put back already`;
}

function refusalOf(findings: number, share: number, limits: RepairLimits): string | undefined {
  if (findings > limits.items)
    return `${findings} findings are more than the limit of ${limits.items}: look at the plan, then raise --limit-items`;
  if (share <= limits.share) return undefined;
  const [have, most] = [share, limits.share].map((one) => `${Number((one * 100).toPrecision(3))} %`);
  return `${have} of the compared items differ, more than the limit of ${most}: look at the plan, then raise --limit-share`;
}
