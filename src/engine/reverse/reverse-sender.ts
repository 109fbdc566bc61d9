import { CrossfadeError, messageOf } from '../../domain/errors.ts';
import type { LaneKey, ServiceName } from '../../domain/ids.ts';
import { type Message, readReply, readText } from '../../domain/request.ts';
import { isReadable, type LegacyLane, type WriteAction } from '../../domain/service-definition.ts';
import { isOwnerForgotten } from '../copies/copy-judgement.ts';
import { placesOfNamed } from '../items/copy-plan.ts';
import { writeFactsOf } from '../items/write-facts.ts';
import type { Lane } from '../lane/lane.ts';
import type { Emit } from '../ports/events.ts';
import type { Journal, PendingWrite, Reply } from '../ports/ports.ts';
import type { HaltReason, ReverseEnding, ReverseProofs, ReverseSends } from '../ports/reverse-ports.ts';
import type { ServiceRuntime } from '../ports/service-runtime.ts';
import type { Clock } from '../../shared/clock.ts';
import type { Signals } from '../signals.ts';
import { KnownTails } from './known-tails.ts';
import { effectOf, type LegacyTail, type ReverseEffect, shownOf, tailAfter, tailOf } from './legacy-tail.ts';

/** After this many attempts that had no outcome and no effect, a person decides. */
const MOST_ATTEMPTS = 5;
/** Legacy may refuse everything for a moment, such as while it starts. */
const MOST_REFUSALS = 6;
const MOST_FLUSHES = 5;
const FLUSH_PAUSE_MS = 200;
/** How often a write is read back on legacy although its outcome is known, by service. */
const PROOF_EVERY_MS = 10 * 60_000;

/**
 * `refused`: legacy refuses it for now. `halted`: it waits for a person. `lost`: nothing of the lane is sent any more. `left`: another
 * replica sends it, or the process ends.
 */
export type Sent = ReverseEnding | 'refused' | 'halted' | 'lost' | 'left';

/** The place of a send among those of its service. */
export interface ReverseSeat {
  /** Runs the send when legacy has room for it. */
  inTurn<Result>(send: () => Promise<Result>): Promise<Result>;
  /** Whether enough sends wait for their turn to keep legacy busy while a commit waits for others. */
  isCrowded(): boolean;
  /** The send waits for legacy's probes from now on, so others may continue. */
  giveUp(): void;
}

export interface ReverseSenderParts {
  readonly sends: ReverseSends;
  readonly proofs: Pick<ReverseProofs, 'proved'>;
  readonly journal: Pick<Journal, 'lastApplied'>;
  readonly services: ReadonlyMap<ServiceName, ServiceRuntime>;
  readonly clock: Clock;
  readonly emit: Emit;
  /** Whether this replica may still send a write, because no other replica takes over its lanes. */
  readonly mayAct: () => boolean;
  /** How long the journal keeps a delivered write at least. */
  readonly journalKeptMs: number;
  readonly signals: Pick<Signals, 'taken' | 'isShut'>;
}

/** One write on its way to legacy. */
interface Job {
  readonly lane: Lane;
  readonly write: PendingWrite;
  readonly service: ServiceRuntime;
  readonly action: WriteAction;
  readonly effect: ReverseEffect;
  readonly seat: ReverseSeat;
  /** A person has decided that it is sent, however old it is. */
  isForced: boolean;
  sentAtMs: number;
}

/** An attempt whose start is durable. */
interface Attempt {
  readonly number: number;
  readonly tail: LegacyTail | undefined;
  /** What legacy showed directly before, for a write that names its items. */
  readonly shown: LegacyLane | undefined;
}

/** The number of the next attempt of a write, because the one before certainly had no effect. */
interface Next {
  readonly next: number;
}

/** What this replica knows of a lane's open send. */
interface Open {
  readonly sequence: number;
  readonly next: number;
  readonly refusals: number;
  readonly isForced: boolean;
}

/** Sends one write of a lane to legacy, so that it takes effect there once: ../README.md, "Moving the writes of a lane". */
export class ReverseSender {
  readonly #parts: ReverseSenderParts;
  readonly #tails = new KnownTails();
  readonly #open = new Map<LaneKey, Open>();
  readonly #lookedAtMs = new Map<ServiceName, number>();
  #isStopped = false;

  constructor(parts: ReverseSenderParts) {
    this.#parts = parts;
  }

  stop(): void {
    this.#isStopped = true;
  }

  /** What is known of the lane may be out of date, because another replica may send its writes. */
  forget(lane?: Lane): void {
    this.#tails.forget(lane);
    if (lane === undefined) this.#open.clear();
    else this.#open.delete(lane.key);
  }

  /** @throws CrossfadeError if the journal or legacy's store cannot be reached. The write then waits */
  async send(lane: Lane, write: PendingWrite, seat: ReverseSeat): Promise<Sent> {
    const service = this.#parts.services.get(lane.service);
    const action = service?.definition.actions[write.action];
    if (service === undefined || action?.kind !== 'write') return 'left';
    const effect = effectOf(service, lane, write);
    const sentAtMs = this.#parts.clock.now();
    const job: Job = { lane, write, service, action, effect, seat, isForced: false, sentAtMs };
    const ended = await this.#untilEnded(job);
    this.#tell(job, ended);
    return ended;
  }

  async #untilEnded(job: Job): Promise<Sent> {
    const open = this.#openOf(job);
    job.isForced = open.isForced;
    let number = open.next;
    for (let tried = 1; ; tried += 1) {
      const attempt = await this.#begin(job, number);
      const end = attempt === undefined ? await this.#resume(job) : await this.#attempt(job, attempt);
      if (typeof end === 'string') return end;
      if (tried === MOST_ATTEMPTS) return this.#halt(job, end.next - 1, 'unanswered');
      number = end.next;
    }
  }

  #openOf({ lane, write: { sequence } }: Job): Open {
    const known = this.#open.get(lane.key);
    return known?.sequence === sequence ? known : { sequence, next: 1, refusals: 0, isForced: false };
  }

  /** The attempt certainly had no effect, so nothing is read back before the next one. */
  #leaveOpen(job: Job, number: number, refusals: number): void {
    const { lane, write, isForced } = job;
    this.#open.set(lane.key, { sequence: write.sequence, next: number + 1, refusals, isForced });
  }

  /** Undefined if the attempt has begun before, or if this replica must not make it. */
  async #begin(job: Job, number: number): Promise<Attempt | undefined> {
    const { lane, write, action } = job;
    const shown = action.names === undefined ? undefined : await this.#read(job);
    const tail = shown === undefined ? await this.#tailOf(job) : this.#tails.of(lane);
    const isBegun = await this.#parts.sends.begin({
      ref: write,
      operationId: write.operationId,
      action: write.action,
      epoch: lane.epoch,
      attempt: number,
      tail: tail && JSON.stringify(tail),
      mayWait: job.seat.isCrowded(),
    });
    if (!isBegun) return undefined;
    this.#parts.emit('reverse:begun', placeOf(job));
    return { number, tail, shown };
  }

  /** As last known, or read if nothing is known. Undefined if the service cannot be read. */
  async #tailOf(job: Job): Promise<LegacyTail | undefined> {
    const known = this.#tails.of(job.lane);
    if (known !== undefined || !isReadable(job.service)) return known;
    await this.#read(job);
    return this.#tails.of(job.lane);
  }

  /** Reads the lane on legacy, without harm, and keeps its tail. */
  async #read({ lane, service, write }: Job): Promise<LegacyLane> {
    const { lanes } = service.definition;
    const shown = await lanes.readLegacy(lane.owner, service.access, service.context);
    this.#tails.read(lane, tailOf(shown, lanes.retention, write.items));
    return shown;
  }

  async #attempt(job: Job, attempt: Attempt): Promise<Sent | Next> {
    const why = this.#whyHalted(job);
    if (why !== undefined) return this.#halt(job, attempt.number, why);
    const text = requestOf(job, attempt);
    // The named items are gone, or legacy holds nothing that the write could remove.
    if (text === undefined) return this.#end(job, attempt.number, 'applied');
    if (attempt.tail?.exists === false && needsOwner(job)) return this.#withoutOwner(job, attempt);
    const reply = await this.#replyTo(job, attempt, text);
    return reply === undefined
      ? this.#settle(job, attempt, job.sentAtMs)
      : this.#answered(job, attempt, reply);
  }

  /** A person may have created the owner again. The next attempt then begins with what legacy shows. */
  async #withoutOwner(job: Job, attempt: Attempt): Promise<Sent | Next> {
    const { exists } = await this.#read(job);
    return exists ? { next: attempt.number + 1 } : this.#ownerIsGone(job, attempt);
  }

  /** Undefined if it may have taken effect. @throws CrossfadeError effect `not_applied` */
  async #replyTo(job: Job, { number }: Attempt, text: string): Promise<Reply | undefined> {
    try {
      return await job.seat.inTurn(() => this.#transmit(job, text));
    } catch (error) {
      if (!(error instanceof CrossfadeError) || error.effect === 'unknown') return undefined;
      this.#leaveOpen(job, number, this.#openOf(job).refusals);
      throw error;
    }
  }

  /** Why only a person can decide that it is sent. */
  #whyHalted({ action, write, isForced }: Job): HaltReason | undefined {
    if (action.reverse === 'impossible') return 'impossible';
    if (isUnnamed({ action, write })) return 'unnamed';
    const { sideEffects: effects } = action;
    if (effects === undefined || isForced || effects.concerns?.(messageOfWrite(write)) === false)
      return undefined;
    if (effects.raisedBy === 'orchestrator') return 'effect_elsewhere';
    const ageMs = this.#parts.clock.wallMs() - write.acceptedAtMs;
    return ageMs > effects.largestAgeSeconds * 1_000 ? 'effect_too_late' : undefined;
  }

  #transmit(job: Job, text: string): Promise<Reply> {
    const { clock, mayAct, signals } = this.#parts;
    const { lane, service } = job;
    return service.legacy.send({
      body: Buffer.from(text),
      // Agents' own calls never wait for it within the proxy.
      purpose: 'shadow',
      deadlineAtMs: clock.now() + service.deadlineMs,
      maySend: () => !this.#isStopped && mayAct() && lane.isHome && !signals.isShut(service.name),
      onSent: () => {
        job.sentAtMs = clock.now();
      },
    });
  }

  async #answered(job: Job, attempt: Attempt, reply: Reply): Promise<Sent | Next> {
    const { action, write } = job;
    this.#parts.emit('reverse:answered', placeOf(job));
    const outcome = action.outcome(readReply(reply.body), messageOfWrite(write));
    if (outcome === 'applied') return this.#applied(job, attempt);
    // A service that has answered has processed the request, so no deadline must pass.
    if (outcome === 'unknown') return this.#settle(job, attempt, -Infinity);
    if (needsOwner(job) && isReadable(job.service) && !(await this.#read(job)).exists)
      return this.#ownerIsGone(job, attempt);
    return this.#refused(job, attempt.number);
  }

  async #refused(job: Job, number: number): Promise<Sent> {
    const refusals = this.#openOf(job).refusals + 1;
    if (refusals >= MOST_REFUSALS) return this.#halt(job, number, 'refused');
    this.#leaveOpen(job, number, refusals);
    return 'refused';
  }

  async #applied(job: Job, { number, tail }: Attempt): Promise<Sent> {
    const { lane, action, effect, service } = job;
    const { retention } = service.definition.lanes;
    const began: LegacyTail = { exists: true, items: 0, counted: 0, last: [] };
    const isNew = action.provesEmpty === true;
    const after = action.names === undefined ? tail && tailAfter(tail, effect, retention) : undefined;
    this.#tails.keep(lane, isNew ? began : after, job.write.sequence);
    const ended = await this.#end(job, number, 'applied');
    if (tail !== undefined) await this.#prove(job, tail);
    return ended;
  }

  /** Reads some of the writes back although legacy has accepted them, because only that proves that the way back works. */
  async #prove(job: Job, before: LegacyTail): Promise<void> {
    const { clock, proofs, emit } = this.#parts;
    const { service, effect } = job;
    const dueAtMs = (this.#lookedAtMs.get(service.name) ?? -Infinity) + PROOF_EVERY_MS;
    if (clock.now() < dueAtMs || !isReadable(service)) return;
    this.#lookedAtMs.set(service.name, clock.now());
    try {
      const shown = this.#shownIn(job, before, await this.#read(job));
      if (shown === 'applied') await proofs.proved(service.name, 'agent');
      if (shown === 'missing') emit('reverse:not_shown', placeOf(job));
      // A list that legacy cuts, or a foreign writer, can hide one write. The next one is read back too.
      if (shown !== 'applied' || effect.adds.length === 0) this.#lookedAtMs.delete(service.name);
    } catch (error) {
      this.#lookedAtMs.delete(service.name);
      emit('reverse:failed', { service: service.name, reason: messageOf(error) });
    }
  }

  /** Finds out whether a send of unknown outcome has taken effect. */
  async #settle(job: Job, attempt: Pick<Attempt, 'number' | 'tail'>, sentAtMs: number): Promise<Sent | Next> {
    const { sends, signals } = this.#parts;
    const { write, service, seat } = job;
    seat.giveUp();
    await signals.taken(service, sentAtMs);
    if (this.#isStopped || !this.#parts.mayAct()) return 'left';
    // The replica that sent it may have got the reply meanwhile.
    const found = await sends.find(write);
    if (found?.ending !== undefined) return found.ending;
    return found?.attempt === attempt.number ? this.#readBack(job, attempt) : 'left';
  }

  async #readBack(job: Job, { number, tail }: Pick<Attempt, 'number' | 'tail'>): Promise<Sent | Next> {
    const { service } = job;
    if (!isReadable(service) || tail === undefined) return this.#halt(job, number, 'unreadable');
    if (isUnnamed(job)) return this.#halt(job, number, 'unnamed');
    if (!(await this.#isFlushed(service))) return this.#halt(job, number, 'undecided');
    const lane = await this.#read(job);
    if (!lane.exists && needsOwner(job)) return this.#ownerIsGone(job, { number, tail });
    const shown = this.#shownIn(job, tail, lane);
    if (shown === 'applied') return this.#foundThere(job, number);
    return shown === 'missing' ? { next: number + 1 } : this.#halt(job, number, 'undecided');
  }

  async #foundThere(job: Job, number: number): Promise<Sent> {
    const ended = await this.#end(job, number, 'applied');
    if (job.effect.adds.length > 0) await this.#parts.proofs.proved(job.service.name, 'agent');
    return ended;
  }

  #shownIn({ effect, service }: Job, before: LegacyTail, lane: LegacyLane) {
    return shownOf({ before, effect, lane, retention: service.definition.lanes.retention });
  }

  /** Makes the service store what an earlier write has left uncommitted, so that reading it shows everything. */
  async #isFlushed({ definition, legacy, deadlineMs }: ServiceRuntime): Promise<boolean> {
    const { clock } = this.#parts;
    const { flush, actions, selector = 'action' } = definition;
    if (flush === undefined) return true;
    const request = readText(flush);
    const action = actions[String(request.fields[selector])];
    for (let tried = 1; tried <= MOST_FLUSHES && !this.#isStopped; tried += 1) {
      const deadlineAtMs = clock.now() + deadlineMs;
      const reply = await legacy.send({ body: Buffer.from(flush), purpose: 'probe', deadlineAtMs });
      if (action?.kind === 'write' && action.outcome(readReply(reply.body), request) === 'applied')
        return true;
      await clock.sleep(FLUSH_PAUSE_MS * tried);
    }
    return false;
  }

  /** The start of the attempt is stored, or this replica must not make it. */
  async #resume(job: Job): Promise<Sent | Next> {
    const { sends } = this.#parts;
    const found = await sends.find(job.write);
    if (found === undefined) return (await sends.last(job.lane.key)).isLost ? 'lost' : 'left';
    if (found.ending !== undefined) return found.ending;
    if (found.halted !== undefined) return 'halted';
    if (found.isRetried) {
      job.isForced = true;
      // The person may have changed something on legacy.
      this.#tails.forget(job.lane);
      return { next: found.attempt + 1 };
    }
    // Another replica, or the last process, may have sent it until now.
    const tail = found.tail === undefined ? undefined : (JSON.parse(found.tail) as LegacyTail);
    return this.#settle(job, { number: found.attempt, tail }, this.#parts.clock.now());
  }

  /** Legacy shows no owner, and the write cannot create one. */
  async #ownerIsGone(job: Job, { number, tail }: Pick<Attempt, 'number' | 'tail'>): Promise<Sent> {
    const isForgotten = await this.#isForgotten(job, tail);
    return isForgotten ? this.#end(job, number, 'forgotten') : this.#halt(job, number, 'owner_gone');
  }

  async #isForgotten({ lane, service }: Job, before: LegacyTail | undefined): Promise<boolean> {
    const { sends, journal } = this.#parts;
    const { definition, access, context } = service;
    const { lanes } = definition;
    const { retention } = lanes;
    const { nowMs, atMs, isForgotten } = await sends.last(lane.key);
    if (isForgotten) return true;
    const forward = await journal.lastApplied(lane.key, lane.delivered + 1);
    // What the journal no longer holds is older than it keeps writes.
    const lastMs = atMs ?? forward.atMs ?? nowMs - this.#parts.journalKeptMs;
    const madeMs = before?.madeAtMs ?? forward.first?.atMs ?? lastMs;
    const times = { nowMs, lastMs, madeMs, sentMs: madeMs, usedMs: Math.max(madeMs, lastMs) };
    const around = async (instant: string) => lanes.ownersAround?.(instant, access, context);
    return isOwnerForgotten({ retention, context, ownersAround: around }, times);
  }

  async #end(job: Job, attempt: number, ending: ReverseEnding): Promise<ReverseEnding> {
    const { lane, write, service, seat } = job;
    // After a crash, a person decides about each send without an end if the service cannot be read.
    const mayWait = isReadable(service) && seat.isCrowded();
    await this.#parts.sends.end({ ref: write, attempt, ending, mayWait });
    this.#open.delete(lane.key);
    return ending;
  }

  async #halt(job: Job, number: number, reason: HaltReason): Promise<'halted'> {
    const { lane, write } = job;
    await this.#parts.sends.halt(write, number, reason);
    this.#open.delete(lane.key);
    const { operationId, action } = write;
    this.#parts.emit('reverse:halted', { ...placeOf(job), operationId, action, reason });
    return 'halted';
  }

  #tell(job: Job, ended: Sent): void {
    if (!isEnding(ended)) return;
    const { operationId, action, acceptedAtMs } = job.write;
    const lagMs = this.#parts.clock.wallMs() - acceptedAtMs;
    this.#parts.emit('reverse:sent', { ...placeOf(job), operationId, action, result: ended, lagMs });
  }
}

/** The journal does not say which items legacy would remove or rewrite. */
function isUnnamed({ action, write }: Pick<Job, 'action' | 'write'>): boolean {
  return action.names !== undefined && write.items === undefined;
}

function messageOfWrite({ message, request }: PendingWrite): Message {
  return message ?? readText(request);
}

function placeOf({ lane, write }: Job) {
  return { service: lane.service, lane: lane.key, sequence: write.sequence };
}

/** Whether legacy's part of the write is over. */
export function isEnding(sent: Sent): sent is ReverseEnding {
  return sent !== 'refused' && sent !== 'halted' && sent !== 'lost' && sent !== 'left';
}

/** The agent's own request, unless it names items: their place may be another one on legacy. Undefined: nothing is left to do. */
function requestOf({ action, write, lane }: Job, { shown }: Attempt): string | undefined {
  if (action.names === undefined || action.toLegacy === undefined || shown === undefined)
    return write.request;
  const places = placesOfNamed(write.items ?? [], shown);
  return action.toLegacy({ request: messageOfWrite(write), owner: lane.owner, places }, shown);
}

/** Whether legacy refuses the write if it does not have the owner. A removal of what is not there has no effect. */
function needsOwner({ action, effect, service, lane, write }: Job): boolean {
  if (effect.removes || action.asPrimary === undefined) return false;
  const facts = { ...writeFactsOf(service, { owner: lane.owner, write }), context: service.context };
  const plan = action.asPrimary.plan({ ...facts, answers: [] });
  if (!('requires' in plan)) return false;
  return plan.requires.some((required) => 'session' in required && required.session !== 'absent');
}
