import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Dealer, Router } from 'zeromq';
import type { Fault, Item } from './verdict-faults.ts';

/** What is broken, and in which share of the lanes. */
export interface Injection {
  readonly name: string;
  readonly fault: Fault;
  readonly rate: number;
  readonly seed: number;
}

/** Stands between the proxy and the orchestrator, breaks what it is told to, and knows what it broke. */
export interface Injector {
  /** Undefined: everything passes. */
  inject(injection: Injection | undefined): void;
  /** Whether the last answer about this session was another than it should have been. */
  isBroken(sessionId: string): boolean;
  /** Whether the orchestrator took long over it by itself. */
  wasBusy(sessionId: string): boolean;
  stop(): void;
}

/** An answer that takes so long to get here has not much left of the 250 ms that a read may take. */
const BUSY_MS = 60;

interface Operation {
  action: string;
  session_id?: string;
  lane?: { key: string; generation: number; sequence?: number };
  payload: Record<string, unknown>;
}

interface Envelope {
  action: string;
  session_id?: string;
  request_id: string;
  payload: { operations?: Operation[]; filter?: { tags?: readonly string[] } };
}

interface Reply {
  request_id: string;
  data?: { memories?: Item[]; results?: { superseded?: true; already_applied?: true }[] };
}

/** What a batch is to do to the stores of the sessions it writes to, in its order. */
type Effect = 'breaks' | 'heals' | 'none';
interface BatchOperation {
  readonly session: string;
  readonly effect: Effect;
}

const FAILURE = {
  status: 'error',
  error: { code: 'storage_error', message: 'injected', details: { effect: 'not_applied' } },
};

const NOTHING_WRITTEN = { action: 'bulk_delete', payload: { filter: { position_below: 0 } } };

export async function startInjector(front: string, back: string): Promise<Injector> {
  const router = new Router({ linger: 0 });
  const dealer = new Dealer({ linger: 0 });
  await router.bind(front);
  dealer.connect(back);
  const spoiler = new Spoiler();
  const sends = { back: Promise.resolve(), front: Promise.resolve() };
  void (async () => {
    for await (const frames of router) {
      const passed = [...frames.slice(0, -1), spoiler.request(frames.at(-1) ?? Buffer.alloc(0))];
      sends.back = sends.back.then(() => dealer.send(passed)).catch(() => undefined);
    }
  })().catch(() => undefined);
  void (async () => {
    for await (const frames of dealer) {
      const { body, delayMs } = spoiler.reply(frames.at(-1) ?? Buffer.alloc(0));
      const pass = (): void => {
        sends.front = sends.front
          .then(() => router.send([...frames.slice(0, -1), body]))
          .catch(() => undefined);
      };
      if (delayMs === 0) pass();
      else void sleep(delayMs).then(pass);
    }
  })().catch(() => undefined);
  return {
    inject: (injection) => spoiler.inject(injection),
    isBroken: (sessionId) => spoiler.isBroken(sessionId),
    wasBusy: (sessionId) => spoiler.wasBusy(sessionId),
    stop() {
      router.close();
      dealer.close();
    },
  };
}

class Spoiler {
  #injection: Injection | undefined;
  /** Sessions whose store is broken. */
  readonly #stores = new Set<string>();
  /** Sessions whose last answer was another than it should have been. */
  readonly #answers = new Set<string>();
  /** Request id → session of a read whose answer is to be broken. */
  readonly #asked = new Map<string, string>();
  /** Request id → what a batch under way does. */
  readonly #batches = new Map<string, readonly BatchOperation[]>();
  /** Request id → when a read was asked, and of which session, where delays are injected. */
  readonly #timed = new Map<string, { readonly session: string; readonly atMs: number }>();
  /** Sessions whose last answer took long by itself. */
  readonly #busy = new Set<string>();
  readonly #generations = new Map<string, number>();

  inject(injection: Injection | undefined): void {
    this.#injection = injection;
    this.#answers.clear();
    this.#stores.clear();
  }

  isBroken(sessionId: string): boolean {
    return this.#answers.has(sessionId);
  }

  wasBusy(sessionId: string): boolean {
    return this.#busy.has(sessionId);
  }

  request(body: Buffer): Buffer {
    if (this.#injection === undefined) return body;
    const envelope = JSON.parse(body.toString()) as Envelope;
    if (envelope.action === 'batch_read') this.#asks(envelope);
    if (envelope.action !== 'batch_write' || this.#injection.fault.way !== 'store') return body;
    const operations = envelope.payload.operations ?? [];
    // All of a batch are one copy's, or none: which it is, is known before its generation is.
    const isCopy = operations.map((operation) => this.#isCopy(operation));
    const batch = operations.map((operation, index) => this.#take(operation, isCopy[index] === true));
    this.#batches.set(envelope.request_id, batch);
    // Parsing and printing would change numbers: what is not broken passes as it came.
    return batch.some(({ effect }) => effect === 'breaks') ? Buffer.from(JSON.stringify(envelope)) : body;
  }

  reply(body: Buffer): { body: Buffer; delayMs: number } {
    const asIs = { body, delayMs: 0 };
    if (this.#injection === undefined) return asIs;
    const reply = JSON.parse(body.toString()) as Reply;
    this.#written(reply);
    this.#clock(reply);
    const session = this.#asked.get(reply.request_id);
    if (session === undefined) return asIs;
    this.#asked.delete(reply.request_id);
    const { fault } = this.#injection;
    const spoilt = spoiltAnswer(fault, reply);
    const delayMs = fault.way === 'delay' ? fault.ms : 0;
    if (spoilt !== undefined || delayMs > 0 || this.#stores.has(session)) this.#answers.add(session);
    else this.#answers.delete(session);
    return { body: spoilt === undefined ? body : Buffer.from(JSON.stringify(spoilt)), delayMs };
  }

  /** What a batch did to its stores is known when it is answered: what the fence kept away changed nothing. */
  #written({ request_id: id, data }: Reply): void {
    const batch = this.#batches.get(id) ?? [];
    this.#batches.delete(id);
    for (const [index, { session, effect }] of batch.entries()) {
      const result = data?.results?.[index];
      if (result === undefined || result.superseded === true || result.already_applied === true) continue;
      if (effect === 'breaks') this.#stores.add(session);
      if (effect === 'heals') this.#stores.delete(session);
    }
  }

  #clock({ request_id: id }: Reply): void {
    const asked = this.#timed.get(id);
    this.#timed.delete(id);
    if (asked === undefined) return;
    if (performance.now() - asked.atMs > BUSY_MS) this.#busy.add(asked.session);
    else this.#busy.delete(asked.session);
  }

  #asks({ session_id: session, request_id, payload }: Envelope): void {
    const { way, tag } = this.#injection?.fault ?? {};
    if (session === undefined || (tag !== undefined && payload.filter?.tags?.includes(tag) !== true)) return;
    if (way === 'delay') this.#timed.set(request_id, { session, atMs: performance.now() });
    if (this.#isChosen(session)) this.#asked.set(request_id, session);
  }

  /** A copy raises the generation of its lane; those of the bench's lanes are one batch. */
  #isCopy({ lane }: Operation): boolean {
    return lane !== undefined && lane.generation > this.#known(lane.key);
  }

  #known(lane: string): number {
    return this.#generations.get(lane) ?? 0;
  }

  #take(operation: Operation, isCopy: boolean): BatchOperation {
    const { session_id: session = '', lane } = operation;
    if (lane !== undefined) this.#generations.set(lane.key, Math.max(lane.generation, this.#known(lane.key)));
    if (isCopy) return { session, effect: 'heals' };
    return { session, effect: this.#breaks(operation) ? 'breaks' : 'none' };
  }

  #breaks(operation: Operation): boolean {
    const { action, session_id: session = '', payload } = operation;
    const { fault } = this.#injection ?? {};
    if (fault?.way !== 'store' || action !== fault.action || !this.#isChosen(session)) return false;
    const spoilt = fault.spoil(payload);
    if (spoilt === undefined) return false;
    Object.assign(operation, spoilt === 'lost' ? NOTHING_WRITTEN : { payload: spoilt });
    return true;
  }

  /** The same lanes with the same seed, whatever the order they come in. */
  #isChosen(session: string): boolean {
    const { name, rate, seed } = this.#injection ?? { name: '', rate: 0, seed: 0 };
    const digest = createHash('sha256').update(`${seed} ${name} ${session}`).digest();
    return digest.readUInt32BE() < rate * 2 ** 32;
  }
}

/** What is said instead of an answer; undefined where it passes as it is. */
function spoiltAnswer(fault: Fault, reply: Reply): object | undefined {
  if (fault.way === 'error') return { request_id: reply.request_id, ...FAILURE };
  if (fault.way !== 'answer') return undefined;
  const memories = fault.spoil(reply.data?.memories ?? []);
  return memories && { ...reply, data: { ...reply.data, memories } };
}
