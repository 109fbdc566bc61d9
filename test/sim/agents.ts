import type { AgentReply } from '../../src/engine/ports/operation.ts';
import { readReply } from '../../src/domain/request.ts';
import type { ServiceDefinition } from '../../src/domain/service-definition.ts';
import type { Attempt, Call } from './history.ts';
import type { Incarnation, Replica } from './replica.ts';
import { drawCall } from './requests.ts';
import type { World } from './world.ts';

/** Agents give up after this long, most of them; their sockets then begin anew. */
const PATIENCE_MS = 5_000;
/** Most that an agent sends the same again. */
const MOST_ATTEMPTS = 4;
/** How often an agent says the same again although it has its reply. */
const SAID_TWICE = 0.03;

/** Agents that write and read, each one request at a time, several to a lane. */
export class Agents {
  readonly #world: World;
  readonly #replicas: readonly Replica[];
  #left: number;
  #open = 0;

  constructor(world: World, replicas: readonly Replica[], operations: number) {
    this.#world = world;
    this.#replicas = replicas;
    this.#left = operations;
  }

  /** Nobody asks any more, and nobody waits. */
  get isDone(): boolean {
    return this.#left <= 0 && this.#open === 0;
  }

  start(agents: number): void {
    for (let agent = 0; agent < agents; agent += 1) this.#think();
  }

  /** So many calls more. */
  goOn(operations: number): void {
    this.#left = operations;
  }

  /** What legacy held before the proxy came. */
  prefill(): void {
    const { random, services, history } = this.#world;
    for (const service of services) {
      const calls =
        service.name === 'contextual-memory' && random.chance(0.3) ? 52 * service.owners.length : 12;
      for (let index = 0; index < random.whole(0, calls); index += 1) {
        const call = drawCall(history.calls.length + 1, service, random);
        if (call.kind === 'read') continue;
        history.add(call);
        const reply = this.#world.primaries.onLegacy(service, { body: call.body, sentMs: 0, channel: '' });
        conclude(call, reply, service.model.definition);
        call.endMs = 0;
      }
    }
  }

  #think(): void {
    if (this.#left <= 0) return;
    this.#left -= 1;
    this.#open += 1;
    const { random, scheduler } = this.#world;
    const isBurst = random.chance(0.4);
    scheduler.after(isBurst ? random.whole(0, 5) : random.whole(5, 1_500), 'agent', () => this.#ask());
  }

  #ask(): void {
    const { random, scheduler, services, history } = this.#world;
    if (!this.#replicas.some(({ isReady }) => isReady)) {
      scheduler.after(200, 'agent waits', () => this.#ask());
      return;
    }
    const call = drawCall(history.calls.length + 1, random.pick(services), random);
    history.add(call);
    call.startMs = scheduler.nowMs;
    this.#attempt(call);
  }

  /** One time that a request is sent, through any replica. */
  #attempt(call: Call): void {
    const { random, scheduler } = this.#world;
    const ready = this.#replicas.filter(({ isReady }) => isReady);
    call.attempts += 1;
    call.sentMs = scheduler.nowMs;
    call.status = 'open';
    delete call.backend;
    call.endMs = Infinity;
    const { attempts } = call;
    const { incarnation } = ready.length === 0 ? {} : random.pick(ready);
    if (incarnation !== undefined) this.#send(call, incarnation);
    const patienceMs = random.chance(0.1) ? random.whole(1, 1_500) : PATIENCE_MS;
    scheduler.after(patienceMs, `agent gives up ${call.number}`, () => {
      if (call.attempts === attempts) this.#finish(call, 'silent');
    });
  }

  #send(call: Call, incarnation: Incarnation): void {
    const { scheduler, monitor } = this.#world;
    const { owner, migration } = incarnation;
    const { attempts } = call;
    const run = (): void => {
      if (incarnation.isShut) return;
      incarnation.open += 1;
      const isCovered = migration.coverageOf(call.service) !== 0;
      call.isCovered = isCovered;
      // Unjournaled writes pass as they come; and a repeat that overtakes what it repeats is to the proxy the first of the two.
      if (!isCovered || attempts < call.arrived || call.isDoubted) call.suspected.add(attempts);
      call.isDoubted = false;
      call.arrived = Math.max(call.arrived, attempts);
      const { service, body } = call;
      const replied = migration.handle({ service, body, receivedAtMs: scheduler.nowMs });
      const attempt = { call, number: attempts, owner, isCovered };
      monitor?.begun(attempt);
      const ended = (): void => void (incarnation.open -= 1);
      void replied.then(ended, ended);
      replied.then(
        (reply) => scheduler.afterFor(owner, 0, { what: 'reply', run: () => this.#answer(attempt, reply) }),
        (error: unknown) => monitor?.threw(error),
      );
    };
    const what = `${call.action} ${call.lane} ${call.number}`;
    scheduler.afterFor(owner, 0, { what, run });
  }

  /** A reply can be delivered while its agent waits for it; one to a socket that is gone cannot. */
  #answer(attempt: Attempt, reply: AgentReply): void {
    const { call, number } = attempt;
    const { services } = this.#world;
    const definition = services.find(({ name }) => name === call.service)?.model.definition;
    const isAwaited = call.status === 'open' && call.attempts === number && definition !== undefined;
    reply.delivered?.(isAwaited);
    if (!isAwaited) return;
    conclude(call, reply.body, definition);
    call.answered = attempt;
    // One that was sent before may have arrived since.
    call.isCovered = attempt.isCovered;
    call.isDoubted = false;
    call.isTaken = false;
    this.#world.monitor?.answered(call);
    this.#finish(call, call.status);
  }

  #finish(call: Call, status: Call['status']): void {
    if (call.endMs !== Infinity) return;
    call.endMs = this.#world.scheduler.nowMs;
    call.status = status;
    if (this.#isRepeated(call)) return;
    this.#open -= 1;
    this.#think();
  }

  /** Agents ask again where they got no reply; and sometimes they mean the same twice. */
  #isRepeated(call: Call): boolean {
    const { random, scheduler } = this.#world;
    const { kind, status, attempts } = call;
    if (kind === 'read' || attempts >= MOST_ATTEMPTS) return false;
    const isUnanswered = status === 'failed' || status === 'silent';
    if (!random.chance(isUnanswered ? 0.5 : SAID_TWICE)) return false;
    if (status === 'acknowledged') {
      call.meant += 1;
      call.meantFrom = attempts + 1;
    }
    // It has a reply, and nobody knows whether that means an effect: whoever asks again writes again.
    else if (status !== 'silent' && call.backend !== undefined) call.isDoubted = true;
    const soon = random.chance(0.5) ? random.whole(0, 20) : random.whole(20, 3_000);
    scheduler.after(soon, `agent repeats ${call.number}`, () => this.#attempt(call));
    return true;
  }
}

/** What an agent makes of its reply. */
function conclude(call: Call, body: Buffer, { actions }: ServiceDefinition): void {
  call.reply = body.toString('utf8');
  const action = actions[call.action];
  const request = readReply(call.body);
  if (action?.kind !== 'write') {
    call.status = isFailure(call.reply) ? 'failed' : 'acknowledged';
    return;
  }
  const outcome = action.outcome(readReply(body), request);
  if (outcome === 'applied') call.status = 'acknowledged';
  else call.status = outcome === 'refused' ? 'refused' : 'failed';
}

function isFailure(reply: string): boolean {
  const { status } = readReply(Buffer.from(reply)).fields;
  return status === 'error';
}
