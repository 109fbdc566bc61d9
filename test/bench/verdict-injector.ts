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
  /** A copy has made the store whole again. */
  healed(sessionId: string): void;
  stop(): void;
}

interface Operation {
  action: string;
  session_id?: string;
  lane?: { sequence?: number };
  payload: Record<string, unknown>;
}

interface Envelope {
  action: string;
  session_id?: string;
  request_id: string;
  payload: { operations?: Operation[] };
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
      sends.back = sends.back.then(() => dealer.send(passed));
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
    healed: (sessionId) => spoiler.healed(sessionId),
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
  /** Sessions whose last answer was broken. */
  readonly #answers = new Set<string>();
  /** Request id → session of a read whose answer is to be broken. */
  readonly #asked = new Map<string, string>();

  inject(injection: Injection | undefined): void {
    this.#injection = injection;
    this.#answers.clear();
    this.#stores.clear();
  }

  isBroken(sessionId: string): boolean {
    return this.#answers.has(sessionId) || this.#stores.has(sessionId);
  }

  healed(sessionId: string): void {
    this.#stores.delete(sessionId);
  }

  request(body: Buffer): Buffer {
    if (this.#injection === undefined) return body;
    const envelope = JSON.parse(body.toString()) as Envelope;
    if (envelope.action === 'batch_read') this.#asks(envelope);
    if (envelope.action !== 'batch_write' || this.#injection.fault.way !== 'store') return body;
    // Parsing and printing would change numbers: what is not broken passes as it came.
    const broken = (envelope.payload.operations ?? []).filter((operation) => this.#breaks(operation));
    return broken.length === 0 ? body : Buffer.from(JSON.stringify(envelope));
  }

  reply(body: Buffer): { body: Buffer; delayMs: number } {
    const asIs = { body, delayMs: 0 };
    if (this.#injection === undefined) return asIs;
    const reply = JSON.parse(body.toString()) as { request_id: string; data?: { memories?: Item[] } };
    const session = this.#asked.get(reply.request_id);
    if (session === undefined) return asIs;
    this.#asked.delete(reply.request_id);
    const { fault } = this.#injection;
    this.#answers.delete(session);
    if (fault.way === 'store') return asIs;
    if (fault.way === 'answer') {
      const memories = fault.spoil(reply.data?.memories ?? []);
      if (memories === undefined) return asIs;
      this.#answers.add(session);
      return { ...asIs, body: Buffer.from(JSON.stringify({ ...reply, data: { ...reply.data, memories } })) };
    }
    this.#answers.add(session);
    if (fault.way === 'delay') return { body, delayMs: fault.ms };
    return { ...asIs, body: Buffer.from(JSON.stringify({ request_id: reply.request_id, ...FAILURE })) };
  }

  #asks({ session_id: session, request_id }: Envelope): void {
    if (session !== undefined && this.#isChosen(session)) this.#asked.set(request_id, session);
  }

  #breaks(operation: Operation): boolean {
    const { session_id: session = '', payload } = operation;
    const { fault } = this.#injection ?? {};
    if (fault?.way !== 'store' || !isLaterDelivery(operation) || !this.#isChosen(session)) return false;
    const spoilt = fault.spoil(payload);
    if (spoilt === undefined) return false;
    this.#stores.add(session);
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

/** Copies carry no sequence; and a lane's first write may be seeded by a copy, which makes it whole. */
function isLaterDelivery({ action, lane }: Operation): boolean {
  return action === 'create' && (lane?.sequence ?? 0) > 1;
}
