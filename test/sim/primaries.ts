import { laneKeyOf, sessionIdOf, type LaneKey, type OperationId, type Owner } from '../../src/domain/ids.ts';
import { readReply } from '../../src/domain/request.ts';
import type { NumberedLane } from '../../src/orchestrator/memories/lane-row.ts';
import type { Database } from './database.ts';
import type { Faults } from './faults.ts';
import { allWrites, numberOf, primaryAt, type LaneRow } from './lane-row.ts';
import { replyOf } from './legacy/effects.ts';
import { adoptLegacy, checkReturn } from './return-check.ts';
import type { Plant } from './plant.ts';
import type { Random } from './random.ts';
import { ownerIn } from './requests.ts';
import type { Scheduler } from './scheduler.ts';
import type { Received } from './server.ts';
import type { Violations } from './violations.ts';
import type { SimService, World } from './world.ts';

/** A service as its legacy program holds it, and as the primaries of its lanes do. */
type Models = Pick<SimService, 'name' | 'model' | 'truth'>;

interface PrimariesParts {
  readonly database: Database;
  readonly scheduler: Scheduler;
  readonly faults: Faults;
  readonly random: Random;
  readonly plant: Plant;
}

const DEADLINE_MS = 4_500;
const CLEARS: ReadonlySet<unknown> = new Set(['clear_session', 'clear_memories']);

/** Other agents write to the service at least so often. */
const LATEST_COMMIT_MS = 30_000;

/** A request, as it reached legacy. */
type LegacyRequest = Omit<Received, 'respond'>;

/** Gives each write to the model of its service when the primary of its lane takes it. */
export class Primaries {
  readonly #parts: PrimariesParts;
  /** Of each service, the write that its store could not take. */
  readonly #locked = new Map<string, () => void>();
  /** The newest write of each lane that reverse delivery has sent. */
  readonly #reversed = new Map<LaneKey, number>();
  /**
   * Writes that the network held until after their deadline, if they passed unjournaled or by reverse delivery. Legacy has no fence, so
   * that only a comparison finds what such a write did.
   */
  readonly late = new Set<number>();
  /** Items that came back because legacy never got their delete, and a person has accepted that. */
  readonly revived = new Set<number>();
  /** Lanes that returned to legacy after a person gave up some of their writes. */
  readonly givenUp = new Set<LaneKey>();
  /** What the orchestrator took as the primary. */
  readonly #taken = new Set<OperationId>();
  violations: Violations | undefined;

  constructor(parts: PrimariesParts) {
    this.#parts = parts;
  }

  /** A request arrives at legacy. A write that finds the store locked is stored with the next one. */
  onLegacy(service: Models, request: LegacyRequest): Buffer {
    if (!this.#isWrite(service, request)) return this.#execute(service, request);
    this.#unlock(service);
    if (!this.#isLocked(service, request)) return this.#execute(service, request);
    this.#locked.set(service.name, () => this.#execute(service, request));
    const { scheduler, random } = this.#parts;
    scheduler.after(random.whole(0, LATEST_COMMIT_MS), `unlock ${service.name}`, () => this.#unlock(service));
    return replyOf({ status: 'error' });
  }

  /** Only of a journaled write is it known that it may still be stored. Its agent may have sent it before, or again, without the journal. */
  #isLocked(service: Models, { body }: LegacyRequest): boolean {
    const { faults } = this.#parts;
    const lane = this.#laneOf(service, body);
    if (service.model.locksRows !== true || lane === undefined) return false;
    const number = numberOf(body.toString());
    const journaled = allWrites(lane).filter(({ write }) => numberOf(write.request) === number);
    return journaled.length > service.model.effects.times(number) && faults.happens('locked', 0.05);
  }

  #unlock({ name }: Models): void {
    const store = this.#locked.get(name);
    this.#locked.delete(name);
    store?.();
  }

  /** A write that was sent after the flip of its lane reaches legacy only by reverse delivery. */
  #execute(service: Models, request: LegacyRequest): Buffer {
    const { body, sentMs } = request;
    const lane = this.#laneOf(service, body);
    this.#noteLate(lane, request);
    this.#checkOpen(service, lane, request);
    if (lane !== undefined && isReverse(request)) return this.#reverse(service, lane, body);
    if (lane !== undefined && primaryAt(lane, sentMs) === 'orchestrator')
      this.violations?.add('I6', `${lane.key} was flipped, and legacy got as its primary ${body.toString()}`);
    if (lane?.primary !== 'orchestrator') service.truth.execute(body);
    return service.model.execute(body);
  }

  /** I6 of the write mode: legacy gets no write that came after its service had become read-only. */
  #checkOpen({ name }: Models, lane: LaneRow | undefined, { body, sentMs }: LegacyRequest): void {
    const { database } = this.#parts;
    const writes = database.serviceWrites.get(name);
    if (lane === undefined || writes === undefined || !database.isClosedTo(name)) return;
    const number = numberOf(body.toString());
    const last = database.lastForLegacy(lane.key);
    const isLater = allWrites(lane).some(
      ({ write }) => numberOf(write.request) === number && write.sequence <= last,
    );
    if (!isLater && database.clock.wallOf(sentMs) >= writes.sinceMs)
      this.violations?.add('I6', `legacy is ${writes.state}, and got ${body.toString()}`);
  }

  #isWrite({ model }: Models, { body }: LegacyRequest): boolean {
    return model.definition.actions[String(readReply(body).fields['action'])]?.kind === 'write';
  }

  #noteLate(lane: LaneRow | undefined, request: LegacyRequest): void {
    const { scheduler, database } = this.#parts;
    const number = numberOf(request.body.toString());
    const isForward = lane !== undefined && database.holds(lane.key, number) && !isReverse(request);
    if (scheduler.nowMs - request.sentMs > DEADLINE_MS && !isForward) this.late.add(number);
  }

  #reverse(service: Models, lane: LaneRow, body: Buffer): Buffer {
    if (lane.primary === 'orchestrator') return this.#reverseSend(service, lane, body);
    // The network held it until its lane had returned. Only a comparison finds what it did.
    const reply = service.model.execute(body);
    service.truth.adopt(lane.owner, service.model);
    return reply;
  }

  #reverseSend(service: Models, lane: LaneRow, body: Buffer): Buffer {
    const { plant } = this.#parts;
    const number = numberOf(body.toString());
    this.#checkReverse(service, lane, number);
    if (plant.losesDeletes) return service.model.execute(withoutEffect(body));
    const reply = service.model.execute(body);
    if (plant.reversesTwice()) {
      this.#checkReverse(service, lane, number);
      service.model.execute(body);
    }
    return reply;
  }

  /** I3 and I4 of reverse delivery: in sequence, and only what the orchestrator has applied before. */
  #checkReverse({ model, truth }: Models, lane: LaneRow, number: number): void {
    if (this.late.has(number)) return;
    const sequences = allWrites(lane)
      .filter(({ write }) => numberOf(write.request) === number)
      .map(({ write }) => write.sequence);
    const before = this.#reversed.get(lane.key) ?? 0;
    if (Math.max(0, ...sequences) < before)
      this.violations?.add('I3', `write ${number} of ${lane.key} was sent to legacy after write ${before}`);
    this.#reversed.set(lane.key, Math.max(before, Math.min(...sequences)));
    // What legacy lost before it had answered is sent again.
    const isLost = model.effects.lost.has(number);
    const isThere = model.effects.stored.has(number) && !isLost;
    if (isThere && model.effects.times(number) >= truth.effects.times(number))
      this.violations?.add(
        'I4',
        `write ${number} of ${lane.key} takes effect on legacy more often than on its primary`,
      );
  }

  /** Whether legacy is the primary of an owner's writes. */
  isOnLegacy({ name }: Models, owner: string): boolean {
    return this.#parts.database.lane(laneKeyOf(name, owner as Owner))?.primary !== 'orchestrator';
  }

  /** The orchestrator takes a write as the primary of its lane. */
  onOrchestrator(services: readonly Models[], taken: NumberedLane): void {
    const { key, epoch, sequence } = taken;
    const journaled = this.#journaled(taken);
    if (journaled === undefined)
      return this.violations?.add('I2', `write ${sequence} of ${key} was sent and is not in the journal`);
    const { lane, write } = journaled;
    // Its lane has returned without it: no agent has a reply, and the copy of the lane removes it.
    if (lane.primary === 'legacy' && lane.outcomes.get(sequence) === 'not_applied') return undefined;
    if (lane.primary !== 'orchestrator' || lane.epoch !== epoch)
      this.violations?.add(
        'I6',
        `write ${sequence} of ${key} took effect under epoch ${epoch}, and its lane has ${lane.epoch}`,
      );
    if (this.#isTakenAgain(write)) return undefined;
    const service = services.find(({ name }) => name === lane.service);
    service?.truth.execute(Buffer.from(write.request));
  }

  /** An orchestrator that was set back takes a write for which its caller still waits once more. */
  #isTakenAgain({ operationId }: { readonly operationId: OperationId }): boolean {
    const isAgain = this.#taken.has(operationId);
    this.#taken.add(operationId);
    return isAgain;
  }

  #journaled({ key, sequence, operation_id: id }: NumberedLane) {
    const lane = this.#parts.database.lane(key as LaneKey);
    const write = lane?.writes.get(sequence);
    return lane === undefined || write?.operationId !== id || write === undefined
      ? undefined
      : { lane, write };
  }

  /** The orchestrator keeps an owner that legacy has forgotten, and shows agents what they wrote there. */
  flipped(world: Pick<World, 'services' | 'store' | 'database'>, lane: LaneRow): void {
    const { services, store } = world;
    const { service: name, owner, primary } = lane;
    const service = services.find((one) => one.name === name);
    if (service === undefined) return;
    const { truth } = service;
    if (primary === 'legacy') {
      if (this.violations !== undefined)
        checkReturn({ lane, service, database: world.database, late: this.late }, this.violations);
      const { revived, isGivenUp } = adoptLegacy(lane, service, world.database);
      for (const number of revived) this.revived.add(number);
      if (isGivenUp) this.givenUp.add(lane.key);
      return;
    }
    const session = store.session(sessionIdOf(truth.definition.lanes.sessionPrefix, owner));
    if (session?.endedAt === null) truth.revive?.(owner);
  }

  /** The lane of a write, also of one that only reverse delivery sends. */
  #laneOf({ name, model }: Models, body: Buffer): LaneRow | undefined {
    const message = readReply(body);
    const action = model.definition.actions[String(message.fields['action'])];
    const owner = action === undefined || action.kind === 'write' ? ownerIn(name, message) : undefined;
    return owner === undefined ? undefined : this.#parts.database.lane(laneKeyOf(name, owner));
  }
}

/** A clear of another owner, where it is one. */
function withoutEffect(body: Buffer): Buffer {
  const { fields } = readReply(body);
  if (!CLEARS.has(fields['action'])) return body;
  const nobody = { session_id: 'nobody', user_id: 'nobody' };
  return Buffer.from(JSON.stringify({ ...fields, ...nobody }));
}

/** Of writes: shadow reads come over the same channel. */
function isReverse({ channel }: LegacyRequest): boolean {
  return channel.endsWith('(shadow)');
}
