import { createAgent } from '../../src/sandbox/agent.ts';
import type { World } from './world.ts';

/** Agents that do their work all the time: how long each request took is the measure. */
export class Others {
  readonly #world: World;
  readonly #working: Promise<void>[] = [];
  readonly #stopping = new AbortController();
  #isAttacked = false;
  #durationsMs: { readonly attacked: number[]; readonly quiet: number[] } = { attacked: [], quiet: [] };
  failed = 0;

  constructor(world: World) {
    this.#world = world;
  }

  start(): void {
    const { endpoints, httpUrl, orchestratorUrl } = this.#world;
    const over = (endpoint: string) => {
      const agent = createAgent({ endpoint, receiveTimeoutMs: 20_000 });
      this.#stopping.signal.addEventListener('abort', () => setTimeout(() => agent.close(), 1_000));
      return async (body: object) => String(await agent.call(JSON.stringify(body)));
    };
    const post = (url: string) => async (body: object) =>
      (await fetch(url, { method: 'POST', body: JSON.stringify(body) })).text();
    this.#working.push(
      this.#work(over(endpoints['session-memory']), 'zmq'),
      this.#work(post(`${httpUrl}/v1/services/session-memory`), 'http'),
      this.#work(over(endpoints['jarvis-memory']), 'jarvis'),
      this.#work(post(`${orchestratorUrl}/v1/ping`), 'ping'),
    );
  }

  /** An attack begins or ends. A request counts for the time at which it was asked. */
  attacked(isAttacked: boolean): void {
    this.#isAttacked = isAttacked;
  }

  /** p99 under attack and without, since it was asked last, milliseconds. */
  p99(): { readonly attacked: number; readonly quiet: number } {
    const { attacked, quiet } = this.#durationsMs;
    this.#durationsMs = { attacked: [], quiet: [] };
    return { attacked: p99Of(attacked), quiet: p99Of(quiet) };
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await Promise.all(this.#working);
  }

  async #work(ask: (body: object) => Promise<string>, name: string): Promise<void> {
    const session_id = `other-${name}`;
    const requests = [
      { action: 'create_session', session_id, user_id: name },
      { action: 'add_interaction', session_id, role: 'user', content: 'water the roses' },
      { action: 'get_context', session_id, max_tokens: 100 },
    ].map((request) => (name === 'ping' ? {} : request));
    for (let turn = 0; !this.#stopping.signal.aborted; turn += 1) {
      const request = requests[turn === 0 ? 0 : 1 + (turn % 2)] ?? {};
      const startedAtMs = performance.now();
      const durationsMs = this.#durationsMs[this.#isAttacked ? 'attacked' : 'quiet'];
      await ask(request).catch(() => (this.failed += 1));
      durationsMs.push(performance.now() - startedAtMs);
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  }
}

function p99Of(durationsMs: readonly number[]): number {
  return durationsMs.toSorted((a, b) => a - b)[Math.floor(durationsMs.length * 0.99)] ?? 0;
}
