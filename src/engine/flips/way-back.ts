import { messageOf } from '../../domain/errors.ts';
import { type LaneKey, type Owner, type ServiceName, type SessionId, sessionIdOf } from '../../domain/ids.ts';
import { isJsonObject } from '../../domain/json.ts';
import type { LaneState } from '../../domain/lane.ts';
import type { Clock } from '../../shared/clock.ts';
import type { CopyQueue } from '../copies/copy-queue.ts';
import type { Deliverer } from '../delivery/deliver.ts';
import type { Lane } from '../lane/lane.ts';
import type { Lanes } from '../lane/lanes.ts';
import type { ByPerson } from '../ports/decision-ports.ts';
import type { Emit } from '../ports/events.ts';
import { announceHold, HOLD_MS, LOOK_AGAIN_MS } from './flip-lane.ts';
import type { FlipShareStore, FlipStore } from '../ports/flip-ports.ts';
import type { Journal, Orchestrator } from '../ports/ports.ts';
import type { ReverseLedger, ReverseProof, ReverseProofs } from '../ports/reverse-ports.ts';
import type { ServiceRuntime } from '../ports/service-runtime.ts';
import type {
  DueReturn,
  ReturnChoice,
  ReturnObstacle,
  ReturnPlan,
  Rollback,
  WayBackReadiness,
  WayBackStore,
} from '../ports/way-back-ports.ts';

const TICK_MS = 250;
/** A lane that is written to all the time is held while legacy gets its last writes, if these are not more. */
const MOST_WHILE_HELD = 8;
/** What ends by itself within the hold. */
const ENDING: ReadonlySet<ReturnObstacle> = new Set(['open_write', 'writes_wait', 'busy']);
/** Own writes of the lane may take this long before. */
const TURN_PATIENCE_MS = 1_000;
const PLAN_TIMEOUT_MS = 5_000;
/** A statement whose answer was lost commits at most this much later. */
const LATE_COMMIT_MS = 60_000;
/** Lanes that return at the same time. */
const AT_ONCE = 8;
/** An orchestrator that has been away for this long counts as dead: writes without an outcome had no effect. */
const DEAD_AFTER_MS = 5_000;
/** Estimate: lanes that return per second once nothing waits. */
const LANES_PER_SECOND = 50;
/** Estimate where no send was measured. */
const DEFAULT_SEND_MS = 20;

export interface WayBackParts {
  readonly store: WayBackStore;
  readonly journal: Pick<Journal, 'lanes'>;
  readonly flips: FlipStore;
  readonly shares: Pick<FlipShareStore, 'hold'>;
  readonly reverse: Pick<ReverseLedger, 'decide'>;
  readonly proofs: Pick<ReverseProofs, 'provenAt'>;
  readonly lanes: Pick<Lanes, 'load'>;
  readonly deliverer: Pick<Deliverer, 'forget' | 'resumeForeign'>;
  readonly copies: Pick<CopyQueue, 'add'>;
  readonly orchestrator: Pick<Orchestrator, 'load' | 'read'>;
  readonly services: ReadonlyMap<ServiceName, ServiceRuntime>;
  readonly mayAct: () => boolean;
  readonly clock: Clock;
  readonly emit: Emit;
}

/** Items of a lane's session that no write of the lane has made: an agent wrote them to the orchestrator itself. */
export interface OwnItems {
  readonly owner: Owner;
  readonly items: number;
}

/** A plan, with the time that it would take, and with what only the orchestrator can tell. */
export interface TimedPlan extends ReturnPlan {
  readonly seconds: number;
  /** Undefined: the orchestrator did not answer. */
  readonly ownItems: readonly OwnItems[] | undefined;
}

/** How ready a service is to go back, and when that was last proven. */
export interface ProvenReadiness extends WayBackReadiness {
  readonly seconds: number;
  /** Undefined: never. */
  readonly proof: ReverseProof | undefined;
}

interface PerhapsReturned {
  readonly due: DueReturn;
  /** It cannot take effect after this. */
  readonly untilMs: number;
}

/** Brings lanes back to legacy, as a person asked: ../README.md, "Moving the writes of a lane". */
export class WayBack {
  readonly #parts: WayBackParts;
  readonly #stopping = new AbortController();
  /** Lanes that may have returned although the statement seemed to fail. */
  readonly #perhapsReturned = new Map<LaneKey, PerhapsReturned>();
  #orchestratorSeenAtMs: number;
  #loop: Promise<void> | undefined;

  constructor(parts: WayBackParts) {
    this.#parts = parts;
    this.#orchestratorSeenAtMs = parts.clock.now();
  }

  start(): void {
    this.#loop = this.#run();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#loop;
  }

  async readiness(service: ServiceName): Promise<ProvenReadiness> {
    const { store, proofs } = this.#parts;
    const [readiness, proof] = await Promise.all([store.readiness(service), proofs.provenAt(service)]);
    return { ...readiness, proof, seconds: secondsOf(readiness, readiness.lanes.orchestrator) };
  }

  /** What going back now would mean. Changes nothing. */
  async plan(service: ServiceName, choice: ReturnChoice): Promise<TimedPlan> {
    const plan = await this.#parts.store.plan(service, choice);
    const ownItems = await this.#ownItems(service, choice).catch(() => undefined);
    return { ...plan, seconds: secondsOf(plan, plan.lanes), ownItems };
  }

  /** Legacy never had them, and does not get them. @throws CrossfadeError if the orchestrator is away */
  async #ownItems(service: ServiceName, choice: ReturnChoice): Promise<readonly OwnItems[]> {
    const { store, services } = this.#parts;
    const prefix = services.get(service)?.definition.lanes.sessionPrefix ?? '';
    const found: OwnItems[] = [];
    for (let after = ''; ;) {
      const owners = await store.owners(service, choice, after);
      const last = owners.at(-1);
      if (last === undefined) return found;
      const sessions = new Map(owners.map((owner) => [sessionIdOf(prefix, owner), owner]));
      found.push(...(await this.#ownItemsOf(sessions)));
      after = last;
    }
  }

  async #ownItemsOf(sessions: ReadonlyMap<SessionId, Owner>): Promise<readonly OwnItems[]> {
    const { orchestrator, clock } = this.#parts;
    const payload = { fields: ['text'], session_ids: [...sessions.keys()], without_lane: true };
    const options = { purpose: 'probe', deadlineAtMs: clock.now() + PLAN_TIMEOUT_MS } as const;
    const { data } = await orchestrator.read({ action: 'digest', payload }, options);
    const rows = Array.isArray(data['sessions']) ? data['sessions'].filter(isJsonObject) : [];
    return rows.flatMap(({ session_id: id, count }) => {
      const owner = sessions.get(String(id) as SessionId);
      return owner === undefined || Number(count) === 0 ? [] : [{ owner, items: Number(count) }];
    });
  }

  /**
   * Holds further flips of the service, then begins the return of the lanes.
   * @returns undefined if lanes of the service are returning already
   */
  async begin(
    service: ServiceName,
    choice: ReturnChoice,
    by: ByPerson & { readonly acceptsLoss: boolean },
  ): Promise<Rollback | undefined> {
    const { store, shares } = this.#parts;
    await shares.hold(service, { person: by.person, reason: by.reason });
    return store.begin(service, choice, by);
  }

  find(id: number): Promise<Rollback | undefined> {
    return this.#parts.store.find(id);
  }

  list(limit: number): Promise<readonly Rollback[]> {
    return this.#parts.store.list(limit);
  }

  /** Lanes that have not returned stay where they are, with reverse delivery. */
  halt(id: number, by: ByPerson): Promise<boolean> {
    return this.#parts.store.stop(id, by);
  }

  async #run(): Promise<void> {
    const { clock, emit } = this.#parts;
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      await clock.sleep(TICK_MS, signal);
      if (signal.aborted) return;
      await this.#tick().catch((error: unknown) => emit('rollback:failed', { reason: messageOf(error) }));
    }
  }

  async #tick(): Promise<void> {
    const { store, orchestrator, clock, emit } = this.#parts;
    const { isConnected, breaker } = orchestrator.load('probe');
    // A half-open breaker tries a call, and has no answer yet.
    if (isConnected && breaker === 'closed') this.#orchestratorSeenAtMs = clock.now();
    await this.#lookAgain();
    const due = await store.due();
    for (let from = 0; from < due.length && !this.#stopping.signal.aborted; from += AT_ONCE)
      await Promise.all(due.slice(from, from + AT_ONCE).map((one) => this.#try(one)));
    for (const { id, service, lanes, returned } of await store.settle())
      emit('rollback:ended', { rollback: id, service, lanes, returned });
  }

  async #try(due: DueReturn): Promise<void> {
    const { store, lanes, mayAct } = this.#parts;
    if (!mayAct()) return;
    const lane = await lanes.load(due.service, due.owner);
    const obstacle = await store.obstacle(lane.key);
    const overcome = obstacle !== undefined && (await this.#overcomes(lane, obstacle, due));
    const mayReturn = obstacle === undefined || overcome || endsSoon(lane, obstacle);
    const left = mayReturn ? await this.#return(lane, due, overcome ? obstacle : undefined) : obstacle;
    if (left !== undefined) await store.failed(due, left);
  }

  /** Whether the lane may return in spite of this. */
  async #overcomes(lane: Lane, obstacle: ReturnObstacle, due: DueReturn): Promise<boolean> {
    const { store, reverse, deliverer } = this.#parts;
    if (obstacle === 'open_write') return this.#isDead && due.ageMs > DEAD_AFTER_MS;
    if (obstacle === 'would_lose') return due.acceptsLoss;
    if (obstacle === 'halted' && due.acceptsLoss) {
      const operation = await store.halted(lane.key);
      if (operation !== undefined) await reverse.decide(operation, 'skip', due.by);
    }
    // The lane's writes go to legacy first.
    if (obstacle === 'halted' || obstacle === 'writes_wait') {
      this.#parts.emit('return:draining', factsOf(lane));
      deliverer.resumeForeign(lane);
    }
    return false;
  }

  get #isDead(): boolean {
    return this.#parts.clock.now() - this.#orchestratorSeenAtMs > DEAD_AFTER_MS;
  }

  /** @returns what keeps the lane, undefined if it has returned */
  async #return(
    lane: Lane,
    due: DueReturn,
    overcome: ReturnObstacle | undefined,
  ): Promise<ReturnObstacle | undefined> {
    const { store, flips, clock, emit } = this.#parts;
    const release = await lane.turn.take(clock.now() + TURN_PATIENCE_MS).catch(() => undefined);
    if (release === undefined) return 'busy';
    try {
      if (overcome === 'open_write')
        await store.giveUpOpen(lane.key, { above: lane.applied, ofDeadReplicas: due.acceptsLoss });
      const untilMs = clock.now() + HOLD_MS;
      const held = await announceHold({ store: flips, clock }, { lane, untilMs });
      if (held === undefined) return (await store.obstacle(lane.key)) ?? 'busy';
      emit('return:announced', factsOf(lane));
      if (overcome === 'would_lose') await store.giveUpWrites(lane.key);
      else await this.#drain(lane, untilMs);
      emit('return:committing', factsOf(lane));
      const { epoch, sequence } = held.state;
      const flipped = flips.flip(lane.key, { to: 'legacy', epoch, sequence, claim: held.claim });
      const state = await flipped.catch((error: unknown) => {
        this.#perhapsReturned.set(lane.key, { due, untilMs: clock.now() + LATE_COMMIT_MS });
        throw error;
      });
      if (state === undefined) {
        await flips.withdraw(lane.key);
        return (await store.obstacle(lane.key)) ?? 'busy';
      }
      this.#returned(lane, state, due);
      return undefined;
    } finally {
      release();
    }
  }

  /** New writes wait. Legacy gets those that it lacks. What is left when the time is over keeps the lane. */
  async #drain(lane: Lane, untilMs: number): Promise<void> {
    const { store, clock, deliverer } = this.#parts;
    let isDraining = false;
    while (clock.now() < untilMs) {
      const obstacle = await store.obstacle(lane.key);
      if (obstacle === undefined || !ENDING.has(obstacle)) return;
      if (obstacle === 'writes_wait' && !isDraining) {
        isDraining = true;
        this.#parts.emit('return:draining', factsOf(lane));
        deliverer.resumeForeign(lane);
      }
      await clock.sleep(LOOK_AGAIN_MS);
    }
  }

  /** A statement whose answer was lost may have taken effect, or may still do so. */
  async #lookAgain(): Promise<void> {
    const { journal, lanes, clock } = this.#parts;
    for (const [key, { due, untilMs }] of this.#perhapsReturned) {
      const nowMs = clock.now();
      const state = (await journal.lanes([key])).get(key);
      const isReturned = state?.primary === 'legacy';
      if (isReturned || nowMs >= untilMs) this.#perhapsReturned.delete(key);
      if (isReturned) this.#returned(await lanes.load(due.service, due.owner), state, due);
    }
  }

  #returned(lane: Lane, state: LaneState, { rollback }: DueReturn): void {
    const { deliverer, copies, emit } = this.#parts;
    this.#perhapsReturned.delete(lane.key);
    // What waits for the orchestrator's word about a write of the old epoch does not wait any more.
    lane.forget();
    deliverer.forget(lane);
    emit('lane:returned', { ...factsOf(lane), rollback });
    lane.adopt(state);
    lane.unseed();
    // Before anything is delivered to the orchestrator, it gets what legacy holds.
    copies.add(lane, 'unseeded');
  }
}

function endsSoon({ sequence, delivered }: Lane, obstacle: ReturnObstacle): boolean {
  return ENDING.has(obstacle) && sequence - delivered <= MOST_WHILE_HELD;
}

function factsOf({ service, key }: Lane) {
  return { service, lane: key };
}

function secondsOf(
  { waitingWrites, sendMs }: Pick<ReturnPlan, 'waitingWrites' | 'sendMs'>,
  lanes: number,
): number {
  return Math.ceil((waitingWrites * (sendMs ?? DEFAULT_SEND_MS)) / 1_000 + lanes / LANES_PER_SECOND);
}
