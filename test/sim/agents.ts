import { readReply } from '../../src/domain/request.ts';
import type { ServiceDefinition } from '../../src/domain/service-definition.ts';
import type { Call } from './history.ts';
import type { Incarnation, Replica } from './replica.ts';
import { drawCall } from './requests.ts';
import type { World } from './world.ts';

/** Agents give up after this long; their sockets then begin anew. */
const PATIENCE_MS = 5_000;

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
        const reply = service.model.execute(call.body);
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
    const ready = this.#replicas.filter(({ isReady }) => isReady);
    if (ready.length === 0) {
      scheduler.after(200, 'agent waits', () => this.#ask());
      return;
    }
    const { incarnation } = random.pick(ready);
    const call = drawCall(history.calls.length + 1, random.pick(services), random);
    history.add(call);
    call.startMs = scheduler.nowMs;
    if (incarnation !== undefined) this.#send(call, incarnation);
    scheduler.after(PATIENCE_MS, `agent gives up ${call.number}`, () => this.#finish(call, 'silent'));
  }

  #send(call: Call, { owner, migration }: Incarnation): void {
    const { scheduler, monitor } = this.#world;
    const run = (): void => {
      call.isCovered = migration.coverageOf(call.service) > 0;
      const { service, body } = call;
      const replied = migration.handle({ service, body, receivedAtMs: scheduler.nowMs });
      monitor?.begun(call);
      replied.then(
        (reply) => scheduler.afterFor(owner, 0, { what: 'reply', run: () => this.#answer(call, reply.body) }),
        (error: unknown) => monitor?.threw(error),
      );
    };
    const what = `${call.action} ${call.lane} ${call.number}`;
    scheduler.afterFor(owner, 0, { what, run });
  }

  #answer(call: Call, body: Buffer): void {
    const { scheduler, services } = this.#world;
    const definition = services.find(({ name }) => name === call.service)?.model.definition;
    scheduler.after(0, `answered ${call.number}`, () => {
      if (call.status !== 'open' || definition === undefined) return;
      conclude(call, body, definition);
      this.#world.monitor?.answered(call);
      this.#finish(call, call.status);
    });
  }

  #finish(call: Call, status: Call['status']): void {
    if (call.endMs !== Infinity) return;
    call.endMs = this.#world.scheduler.nowMs;
    call.status = status;
    this.#open -= 1;
    this.#think();
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
