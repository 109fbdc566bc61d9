import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createAgent } from '../../src/sandbox/agent.ts';
import { eventually } from '../support/eventually.ts';
import { startStage, type CrashCase, type CrashStage } from './crash-stage.ts';

let stage: CrashStage;
beforeAll(async () => {
  stage = await startStage();
});
afterAll(() => stage.end());

/** Agents of one machine that are quick: real ones think for longer, between two requests of theirs lies a model. */
const THINK_MS = 3;
/** A reply that is lost never comes; one of a busy machine may be late. */
const PATIENCE_MS = 20_000;

/** One strict agent on one connection of its own, which writes until it is told to stop. It never repeats anything. */
class BusyAgent {
  readonly owner: string;
  readonly acknowledged: string[] = [];
  readonly #agent: ReturnType<typeof createAgent>;
  readonly #running: Promise<void>;
  #isStopped = false;

  constructor(one: CrashCase, owner: string) {
    this.owner = `${one.prefix}-${owner}`;
    this.#agent = createAgent({
      endpoint: one.endpoints.jarvis,
      receiveTimeoutMs: PATIENCE_MS,
      hasOwnThread: true,
    });
    this.#running = this.#run();
  }

  /** @throws Error where a reply was missed, or told of no success */
  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#running.finally(() => this.#agent.close());
  }

  async #run(): Promise<void> {
    for (let count = 0; !this.#isStopped; count += 1) {
      const memory = `${this.owner} ${count}`;
      const reply = await this.#agent.call(
        JSON.stringify({ action: 'add_memory', user_id: this.owner, memory }),
      );
      if (String(reply) !== '{"status": "ok"}') throw new Error(`${memory}: ${String(reply)}`);
      this.acknowledged.push(memory);
      await sleep(THINK_MS * (0.5 + Math.random()));
    }
  }
}

test('agents that never pause are handed over to a successor on the same ports', async () => {
  const one = await stage.begin({ takeOverMs: 30_000, deadlineMs: 4_500 });
  let proxy = await one.startProxy();
  const agents = Array.from({ length: 6 }, (_, index) => new BusyAgent(one, `ann-${index}`));
  for (let replacement = 0; replacement < 2; replacement += 1) {
    await sleep(300);
    const starting = one.startProxy();
    await eventually(
      'the successor among the replicas',
      async () => (await one.status()).replicas.live === 2,
    );
    await proxy.stop();
    proxy = await starting;
  }
  const before = agents.map(({ acknowledged }) => acknowledged.length);
  // Each is with the last of the three proxies, and goes on.
  await eventually('ten more writes of each agent', () =>
    agents.every(({ acknowledged }, index) => acknowledged.length > (before[index] ?? 0) + 10),
  );
  for (const agent of agents) await agent.stop();
  await one.settled();
  await eventually('equal stores', async () => {
    const { legacy, orchestrator } = await one.stores();
    return agents.every(({ owner, acknowledged }) => {
      const texts = JSON.stringify(acknowledged.map((memory) => JSON.stringify(memory)));
      return [legacy, orchestrator].every((store) => JSON.stringify(store.memories.get(owner)) === texts);
    });
  });
  await one.end();
});

test('quiet and new agents reach the successor with their next request', async () => {
  const one = await stage.begin({ takeOverMs: 30_000 });
  const proxy = await one.startProxy();
  const request = JSON.stringify({ action: 'get_memories', user_id: 'nobody' });
  const quiet = createAgent({ endpoint: one.endpoints.jarvis, receiveTimeoutMs: PATIENCE_MS });
  await quiet.call(request);
  const starting = one.startProxy();
  await eventually('the successor among the replicas', async () => (await one.status()).replicas.live === 2);
  const newcomers: string[] = [];
  let isReplaced = false;
  const replaced = Promise.all([proxy.stop(), starting]).then(() => (isReplaced = true));
  while (!isReplaced) {
    const newcomer = createAgent({ endpoint: one.endpoints.jarvis, receiveTimeoutMs: PATIENCE_MS });
    newcomers.push(String(await newcomer.call(request)));
    newcomer.close();
  }
  await replaced;
  expect(newcomers.length).toBeGreaterThan(0);
  for (const met of newcomers) expect(met).toContain('"status": "ok"');
  expect(String(await quiet.call(request))).toContain('"status": "ok"');
  quiet.close();
  await one.end();
});
