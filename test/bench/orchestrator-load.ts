import { createAgent, type Agent } from '../../src/sandbox/agent.ts';
import { Random } from '../sim/random.ts';
import { serveParent, settingsOfChild } from './child.ts';
import { requestOf, type Operation, type Requester } from './orchestrator-requests.ts';
import { Recorder } from './samples.ts';

/** A measurement that the load process is asked for. */
export interface OrchestratorJob {
  readonly endpoint: string;
  readonly operation: Operation;
  readonly clients: number;
  readonly items: number;
  /** The same for the two sides of a comparison: they are asked the same. */
  readonly seed: number;
  readonly ttl?: number;
  readonly warmUpMs: number;
  readonly seconds: number;
}

interface Client {
  readonly agent: Agent;
  readonly requester: Requester;
}

// 64 clients of a slow search wait for each other; how long shows in the result.
const RECEIVE_TIMEOUT_MS = 90_000;
const SUCCESS = /"status": ?"success"/;
const STATUS_WITHIN = 64;

/** A client that got no answer stops: strict REQ sockets do not recover. One that was refused goes on. */
async function repeat(
  { agent, requester }: Client,
  operation: Operation,
  until: { untilMs: number; recorder?: Recorder },
): Promise<void> {
  const { untilMs, recorder } = until;
  while (performance.now() < untilMs) {
    const request = requestOf(operation, requester);
    const startedAtMs = performance.now();
    const reply = await agent.call(request);
    const durationMs = performance.now() - startedAtMs;
    // The status comes first: not all of a long reply is looked through.
    if (SUCCESS.test(reply.toString('latin1', 0, STATUS_WITHIN))) recorder?.add(durationMs);
    else recorder?.failed(`${request.slice(0, 120)} was answered ${reply.toString().slice(0, 300)}`);
  }
}

async function measure(job: OrchestratorJob): Promise<object> {
  const { operation, items, seed, ttl } = job;
  const recorder = new Recorder();
  const clients = Array.from({ length: job.clients }, (_, index): Client => {
    const random = new Random(seed * 1_000 + index);
    return {
      agent: createAgent({ endpoint: job.endpoint, receiveTimeoutMs: RECEIVE_TIMEOUT_MS }),
      requester: { random, id: random.uuid().slice(0, 13), items, ttl, written: 0 },
    };
  });
  const failed = (error: unknown): void => recorder.failed(String(error));
  try {
    const warmUntilMs = performance.now() + job.warmUpMs;
    await Promise.all(clients.map((client) => repeat(client, operation, { untilMs: warmUntilMs })));
    const startedAtMs = performance.now();
    const untilMs = startedAtMs + job.seconds * 1_000;
    await Promise.all(
      clients.map((client) => repeat(client, operation, { untilMs, recorder }).catch(failed)),
    );
    return recorder.sample((performance.now() - startedAtMs) / 1_000);
  } finally {
    for (const { agent } of clients) agent.close();
  }
}

settingsOfChild();
serveParent(measure);
