import { Dealer, Router } from 'zeromq';

export interface TappedOperation {
  readonly action: string;
  readonly payload: Readonly<Record<string, unknown>>;
}

/** Stands between the proxy and the orchestrator, passes everything, and writes the operations of every batch down. */
export interface WireTap {
  readonly operations: readonly TappedOperation[];
  stop(): void;
}

interface Envelope {
  readonly action: string;
  readonly payload: { readonly operations?: readonly TappedOperation[] };
}

export async function startWireTap(front: string, back: string): Promise<WireTap> {
  const router = new Router({ linger: 0 });
  const dealer = new Dealer({ linger: 0 });
  await router.bind(front);
  dealer.connect(back);
  const operations: TappedOperation[] = [];
  void pump(router, dealer, (body) => {
    const { action, payload } = JSON.parse(body.toString()) as Envelope;
    if (action === 'batch_write') operations.push(...(payload.operations ?? []));
  });
  void pump(dealer, router, () => undefined);
  return {
    operations,
    stop() {
      router.close();
      dealer.close();
    },
  };
}

async function pump(from: Router | Dealer, to: Router | Dealer, look: (body: Buffer) => void): Promise<void> {
  let sent = Promise.resolve();
  try {
    for await (const frames of from) {
      look(frames.at(-1) ?? Buffer.alloc(0));
      sent = sent.then(() => to.send(frames)).catch(() => undefined);
    }
  } catch {
    // Closing ends it.
  }
}
