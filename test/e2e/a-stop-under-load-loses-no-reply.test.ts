import { afterAll, beforeAll, expect, test } from 'vitest';
import { createAgent } from '../../src/sandbox/agent.ts';
import { eventually } from '../support/eventually.ts';
import { startStage, type CrashCase, type CrashStage } from './crash-stage.ts';

let stage: CrashStage;
beforeAll(async () => {
  stage = await startStage();
});
afterAll(() => stage.end());

const AGENTS = 10;
/** Longer than a proxy takes to start again on a slow machine: until then a request waits at its own agent. */
const PATIENCE_MS = 60_000;
/** A process that ignores SIGTERM for so long is killed. */
const KILLED_AFTER_MS = 10_000;

/** One strict agent that writes without a pause: its next request is on its way when it has the reply to the last. */
class EagerAgent {
  readonly owner: string;
  readonly acknowledged: string[] = [];
  readonly refused: string[] = [];
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

  /** @throws Error where a reply was missed */
  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#running.finally(() => this.#agent.close());
  }

  /** A request that got two replies would have a wrong one here: a REQ socket gives the next reply to the next request. */
  async #run(): Promise<void> {
    for (let count = 0; !this.#isStopped; count += 1) {
      const memory = `${this.owner} ${count}`;
      const request = { action: 'add_memory', user_id: this.owner, memory };
      const reply = JSON.parse(String(await this.#agent.call(JSON.stringify(request)))) as {
        status?: string;
      };
      if (reply.status === 'ok') this.acknowledged.push(memory);
      else if (reply.status === 'error') this.refused.push(memory);
      else throw new Error(`${memory}: ${JSON.stringify(reply)}`);
    }
  }
}

test('a proxy that is stopped under load answers every accepted request, and ends', async () => {
  const one = await stage.begin({ deadlineMs: 4_500 });
  const proxy = await one.startProxy();
  const agents = Array.from({ length: AGENTS }, (_, index) => new EagerAgent(one, `eager-${index}`));
  const haveWritten = async (more: number, since: readonly number[] = []): Promise<void> => {
    const behind = (): string[] =>
      agents.flatMap(({ owner, acknowledged, refused }, index) => {
        const written = acknowledged.length - (since[index] ?? 0);
        return written >= more
          ? []
          : [`${owner} has written ${written} of ${more}, ${refused.length} were refused`];
      });
    const written = eventually('all agents', () => behind().length === 0);
    await written.catch(() => expect(behind()).toEqual([]));
  };
  await haveWritten(10);
  const askedAtMs = performance.now();
  await proxy.stop();
  expect(performance.now() - askedAtMs).toBeLessThan(KILLED_AFTER_MS);
  const before = agents.map(({ acknowledged }) => acknowledged.length);
  // What it had not taken waits at the agents, whose sockets nobody has left without a reply.
  await one.startProxy();
  await haveWritten(10, before);
  for (const agent of agents) await agent.stop();
  await one.settled();
  const { legacy, orchestrator } = await one.stores();
  for (const { owner, acknowledged } of agents) {
    const texts = JSON.stringify(acknowledged.map((memory) => JSON.stringify(memory)));
    // What was refused was not stored.
    expect(JSON.stringify(legacy.memories.get(owner))).toBe(texts);
    expect(JSON.stringify(orchestrator.memories.get(owner))).toBe(texts);
  }
  await one.end();
}, 180_000);
