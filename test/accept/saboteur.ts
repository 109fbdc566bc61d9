import { Dealer, Router } from 'zeromq';

export const SABOTAGES = ['drop-write', 'corrupt-field', 'swap-order', 'stale-read'] as const;

/** `keep-deleted`: nothing that is cleared goes. */
export type Sabotage = (typeof SABOTAGES)[number] | 'keep-deleted';

export interface Saboteur {
  stop(): void;
}

interface Operation {
  action: string;
  payload: Record<string, unknown>;
}

interface Envelope {
  action: string;
  session_id?: string;
  payload: { operations?: Operation[] };
}

/** One in so many writes is broken. */
const EVERY = 7;

/** Stands between Crossfade and the orchestrator and breaks what passes, on purpose. */
export async function startSaboteur(front: string, back: string, kind: Sabotage): Promise<Saboteur> {
  const router = new Router({ linger: 0 });
  const dealer = new Dealer({ linger: 0 });
  await router.bind(front);
  dealer.connect(back);
  const spoil = createSpoiler(kind);
  const sends = { back: Promise.resolve(), front: Promise.resolve() };
  // A message that still waits when the sockets are closed is dropped; any other failure must be seen.
  const dropWhenClosed = (reason: unknown) => {
    if (!router.closed) throw reason;
  };
  void (async () => {
    for await (const frames of router) {
      const body = frames.at(-1);
      const spoiled = body === undefined ? undefined : spoil.request(body);
      const passed = [...frames.slice(0, -1), spoiled ?? Buffer.alloc(0)];
      sends.back = sends.back.then(() => dealer.send(passed)).catch(dropWhenClosed);
    }
  })().catch(() => undefined);
  void (async () => {
    for await (const frames of dealer) {
      const body = frames.at(-1);
      const passed = [...frames.slice(0, -1), body === undefined ? Buffer.alloc(0) : spoil.reply(body)];
      sends.front = sends.front.then(() => router.send(passed)).catch(dropWhenClosed);
    }
  })().catch(() => undefined);
  return {
    stop() {
      router.close();
      dealer.close();
    },
  };
}

interface Spoiler {
  request(body: Buffer): Buffer;
  reply(body: Buffer): Buffer;
}

function createSpoiler(kind: Sabotage): Spoiler {
  if (kind === 'stale-read') return staleReads();
  let seen = 0;
  return {
    request(body) {
      const envelope = JSON.parse(body.toString()) as Envelope;
      if (envelope.action !== 'batch_write') return body;
      for (const operation of envelope.payload.operations ?? []) {
        if (operation.action !== (kind === 'keep-deleted' ? 'bulk_delete' : 'create')) continue;
        seen += 1;
        if (kind === 'keep-deleted') BREAK[kind](operation);
        else if (kind === 'swap-order' || seen % EVERY === 0) BREAK[kind](operation);
      }
      return Buffer.from(JSON.stringify(envelope));
    },
    reply: (body) => body,
  };
}

const NO_DELETE = { filter: { position_below: 0 } };

const BREAK: Readonly<Record<Exclude<Sabotage, 'stale-read'>, (operation: Operation) => void>> = {
  'drop-write': (operation) => {
    operation.action = 'bulk_delete';
    operation.payload = NO_DELETE;
  },
  'keep-deleted': (operation) => {
    operation.payload = NO_DELETE;
  },
  'corrupt-field': ({ payload }) => {
    const content = payload['content'] as { text?: string };
    content.text = `${content.text ?? ''} (altered)`;
  },
  // Every item moves behind the ones that come after it.
  'swap-order': ({ payload }) => {
    payload['position'] = 2 ** 50 - Number(payload['position']);
  },
};

/** Every answer of a list is the one that was given to the same question before. */
function staleReads(): Spoiler {
  const questions = new Map<string, string>();
  const earlier = new Map<string, unknown>();
  return {
    request(body) {
      const envelope = JSON.parse(body.toString()) as Envelope & { request_id: string };
      if (envelope.action === 'batch_read') {
        questions.set(envelope.request_id, `${envelope.session_id} ${JSON.stringify(envelope.payload)}`);
      }
      return body;
    },
    reply(body) {
      const reply = JSON.parse(body.toString()) as { request_id: string; data?: unknown };
      const question = questions.get(reply.request_id);
      if (question === undefined) return body;
      questions.delete(reply.request_id);
      const stale = earlier.get(question);
      if (stale === undefined) earlier.set(question, reply.data);
      return Buffer.from(JSON.stringify({ ...reply, data: stale ?? reply.data }));
    },
  };
}
