import { rawElements } from '../../domain/json.ts';
import { laneKeyOf, type Owner, type ReplicaId, type ServiceName } from '../../domain/ids.ts';
import { EMPTY_TALLY, type Page, type Run, type Skipped, type Tally } from '../ports/run.ts';
import {
  inParallel,
  type ListedLane,
  type PageOutcome,
  type RunControl,
  RunInterrupted,
  type RunWork,
} from './run-work.ts';
import { lanesOf } from './legacy-lanes.ts';
import type { LaneDirectory } from './run-ports.ts';
import type { ItemFinding } from './attribute.ts';
import type { Divergence, DivergenceStore, RepairStore } from './divergence-ports.ts';
import type { ComparedLane, LaneComparer } from './lane-comparer.ts';
import type { LaneRepairer } from './lane-repairer.ts';

interface RepairParts {
  readonly divergences: DivergenceStore;
  readonly directory: LaneDirectory;
  readonly comparer: Pick<LaneComparer, 'compare'>;
  readonly repairer: Pick<LaneRepairer, 'repair'>;
  readonly repairs: Pick<RepairStore, 'steps'>;
}

/** The result for one lane. */
interface Repaired {
  readonly owner: Owner;
  readonly result: 'repaired' | 'equal' | 'left' | 'not_tried';
  readonly changed: number;
  readonly findings: number;
  readonly reason?: string;
  readonly isSurprise?: true;
}

const LANES_PER_PAGE = 20;
/** Most lanes of a reconciliation that a repair accepts. */
const MOST_FOUND = 100_000;

/**
 * Repairs the lanes that a reconciliation found different. Each is read again before, and compared again afterwards. After a
 * surprise no further lane is begun.
 */
export class RepairWork implements RunWork {
  readonly pagesAtOnce = 1;
  readonly #parts: RepairParts;

  constructor(parts: RepairParts) {
    this.#parts = parts;
  }

  lanesPerPage(): number {
    return LANES_PER_PAGE;
  }

  async *list(
    { request }: Pick<Run, 'request'>,
    name: ServiceName,
  ): AsyncGenerator<readonly ListedLane[], object> {
    const planned = await this.#parts.divergences.open(request.of ?? 0, name);
    yield lanesOf(
      planned.map(({ owner }) => owner),
      request,
    );
    return { findings: planned.reduce((sum, { findings }) => sum + findings.length, 0) };
  }

  async page(run: Run, { service, owners }: Page, control: RunControl): Promise<PageOutcome> {
    const { divergences, directory } = this.#parts;
    const planned = new Map(
      (await divergences.open(run.request.of ?? 0, service)).map((one) => [one.owner, one]),
    );
    const homes = await directory.homesElsewhere(owners.map((owner) => laneKeyOf(service, owner)));
    const isUnplanned = owners.some((owner) => !planned.has(owner));
    const before = isUnplanned ? await this.#repairedBefore(run, service) : new Map<Owner, Repaired>();
    const elsewhere = new Map<ReplicaId, Owner[]>();
    const repaired: Repaired[] = [];
    let surprise: Repaired | undefined;
    const isWhole = await inParallel(owners, control, async (owner) => {
      const [plan, home] = [planned.get(owner), homes.get(laneKeyOf(service, owner))];
      // Settled since it was listed, by an earlier attempt at this page.
      if (plan === undefined) {
        const done = before.get(owner);
        if (done !== undefined) repaired.push(done);
        return;
      }
      if (home !== undefined) {
        elsewhere.set(home, [...(elsewhere.get(home) ?? []), owner]);
        return;
      }
      const one = surprise === undefined ? await this.#repair(run.id, plan) : notTried(plan);
      repaired.push(one);
      if (one.isSurprise === true) surprise ??= one;
    });
    if (!isWhole) throw new RunInterrupted('the run was stopped');
    return {
      tally: { ...EMPTY_TALLY, ...tallied(repaired) },
      elsewhere,
      ...haltAt(service, surprise),
    };
  }

  /** For a page that was interrupted by a crash or a stop: lanes that were repaired then count as repaired now. */
  async #repairedBefore({ id, request }: Run, service: ServiceName): Promise<ReadonlyMap<Owner, Repaired>> {
    const { repairs, divergences } = this.#parts;
    const steps = (await repairs.steps(id)).filter((step) => step.service === service);
    const found = await divergences.ofRun(request.of ?? 0, MOST_FOUND);
    const findings = new Map(
      found
        .filter((one) => one.service === service && one.state === 'repaired')
        .map((one) => [one.owner, one.findings.length]),
    );
    return new Map(
      steps.flatMap(({ owner, inverse }): [Owner, Repaired][] => {
        const count = findings.get(owner);
        if (count === undefined) return [];
        const changed = rawElements(inverse).length;
        return [[owner, { owner, result: 'repaired', changed, findings: count }]];
      }),
    );
  }

  async document({ request }: Run, tallies: Readonly<Record<string, Tally>>): Promise<object> {
    return {
      of: request.of,
      services: Object.fromEntries(
        request.services.map((name) => {
          const { counts, skipped } = tallies[name] ?? EMPTY_TALLY;
          return [name, { ...counts, left: skipped }];
        }),
      ),
    };
  }

  async #repair(run: number, { service, owner, findings }: Divergence): Promise<Repaired> {
    const { comparer, repairer, divergences } = this.#parts;
    const facts = { owner, changed: 0, findings: findings.length };
    const left = (reason: string): Repaired => ({ ...facts, result: 'left', reason });
    const found = await comparer.compare(service, owner);
    if (found.secondary === 'legacy') return left(FLIPPED);
    if (found.verdict === 'not_comparable') return left(found.reason);
    if (found.verdict === 'equal') {
      await divergences.resolve(service, owner, 'gone');
      return { ...facts, result: 'equal' };
    }
    if (nameOf(found.findings) !== nameOf(findings))
      return { ...left('its difference is not the one that was found'), isSurprise: true };
    const changed = await repairer.repair(run, service, owner);
    const after = await comparer.compare(service, owner);
    if (after.verdict !== 'equal') return { ...left(notEqual(after)), changed, isSurprise: true };
    await divergences.resolve(service, owner, 'repaired');
    return { ...facts, result: 'repaired', changed };
  }
}

function haltAt(service: ServiceName, surprise: Repaired | undefined): Pick<PageOutcome, 'halt'> {
  if (surprise === undefined) return {};
  return {
    halt: `${service}/${surprise.owner}: ${surprise.reason ?? ''}. Check the lane, then reconcile again`,
  };
}

/** Why a lane is not repaired. */
const FLIPPED = 'the orchestrator is primary for its writes, and no repair changes a primary';

/** It stays open. The next repair takes it. */
function notTried({ owner, findings }: Divergence): Repaired {
  const reason = 'not tried, because an earlier lane was not as expected';
  return { owner, result: 'not_tried', changed: 0, findings: findings.length, reason };
}

function notEqual(after: ComparedLane): string {
  return after.verdict === 'not_comparable'
    ? `after the repair it could not be compared: ${after.reason}`
    : 'it still differs after the repair';
}

/** Whether two lists have the same findings. */
function nameOf(findings: readonly ItemFinding[]): string {
  return findings
    .map(({ side, kind, before, after }) => [side, kind, before ?? '', after ?? ''].join(':'))
    .sort()
    .join();
}

function tallied(repaired: readonly Repaired[]): { counts: Record<string, number>; skipped: Skipped[] } {
  const of = (...results: readonly Repaired['result'][]): Repaired[] =>
    repaired.filter(({ result }) => results.includes(result));
  const sum = (some: readonly Repaired[], number: (one: Repaired) => number): number =>
    some.reduce((total, one) => total + number(one), 0);
  return {
    counts: {
      lanes: repaired.length,
      lanes_repaired: of('repaired').length,
      lanes_equal_by_then: of('equal').length,
      lanes_left: of('left', 'not_tried').length,
      lanes_not_tried: of('not_tried').length,
      findings_repaired: sum(of('repaired'), ({ findings }) => findings),
      items_changed: sum(repaired, ({ changed }) => changed),
    },
    skipped: of('left', 'not_tried').map(({ owner, reason = '' }) => ({ owner, reason })),
  };
}
