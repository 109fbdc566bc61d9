import { createAgent, type Agent } from '../../src/sandbox/agent.ts';
import { Random } from '../sim/random.ts';
import { median } from './samples.ts';
import { drawVector } from './orchestrator-items.ts';
import { type Operation, requestOf, RESULTS, search } from './orchestrator-requests.ts';
import type { OrchestratorWorld } from './orchestrator-world.ts';

// What must hold before numbers are compared: that both sides give the same answers, and that the index finds what is there.

interface Found {
  readonly memory_id: string;
}

interface Data extends Partial<Found> {
  readonly memories?: readonly Found[];
  readonly results?: readonly Found[];
  readonly search_metadata?: { readonly exact?: boolean };
}

const SAMPLE = 20;
const ALIKE: readonly Operation[] = ['read_cold', 'batch_read', 'keyword', 'semantic_session'];
const TIMEOUT_MS = 30_000;

async function ask(agent: Agent, request: string): Promise<Data> {
  const reply = JSON.parse(String(await agent.call(request))) as { status: string; data: Data };
  if (reply.status !== 'success')
    throw new Error(`${request.slice(0, 120)} was answered ${JSON.stringify(reply).slice(0, 300)}`);
  return reply.data;
}

function idsOf({ memory_id: id, memories, results }: Data): string[] {
  return (memories ?? results ?? [{ memory_id: id ?? '' }]).map((found) => found.memory_id);
}

/** Asks both sides the same. @throws Error where the answers differ, or nothing was found anywhere */
export async function checkAgreement(world: OrchestratorWorld, items: number): Promise<void> {
  const sides = Object.values(world.endpoints).map((endpoint) =>
    createAgent({ endpoint, receiveTimeoutMs: TIMEOUT_MS }),
  );
  try {
    for (const operation of ALIKE.filter((name) => world.hasVectors || name !== 'semantic_session')) {
      const requester = { random: new Random(1), id: 'agreement', items, written: 0 };
      let found = 0;
      for (let index = 0; index < SAMPLE; index += 1) {
        const request = requestOf(operation, requester);
        const answers = await Promise.all(sides.map(async (side) => idsOf(await ask(side, request))));
        if (new Set(answers.map((ids) => ids.join())).size > 1)
          throw new Error(`${operation}: the two sides do not find the same: ${JSON.stringify(answers)}`);
        found += answers[0]?.length ?? 0;
      }
      if (found === 0) throw new Error(`${operation}: neither side found anything`);
    }
  } finally {
    for (const side of sides) side.close();
  }
}

export interface Recall {
  /** Of the true nearest neighbours, how many the index found, 0 to 1. */
  readonly recall: number;
  readonly indexP50Ms: number;
  readonly exactP50Ms: number;
}

const QUERIES = 100;

/** @throws Error where the orchestrator did not use its index */
export async function measureRecall(endpoint: string): Promise<Recall> {
  const agent = createAgent({ endpoint, receiveTimeoutMs: TIMEOUT_MS });
  const random = new Random(2);
  const timed = async (request: object): Promise<{ data: Data; ms: number }> => {
    const startedAtMs = performance.now();
    const data = await ask(agent, JSON.stringify(request));
    return { data, ms: performance.now() - startedAtMs };
  };
  const pairs = [];
  try {
    for (let query = 0; query < QUERIES; query += 1) {
      const asked = { query_vector: drawVector(random) };
      const index = await timed(search('semantic', asked));
      const exact = await timed(search('semantic', { ...asked, exact: true }));
      if (index.data.search_metadata?.exact !== false)
        throw new Error('The orchestrator did not search through its index');
      pairs.push({ index, exact });
    }
  } finally {
    agent.close();
  }
  const hits = pairs.map(({ index, exact }) => {
    const found = new Set(idsOf(index.data));
    return idsOf(exact.data).filter((id) => found.has(id)).length;
  });
  return {
    recall: hits.reduce((sum, count) => sum + count, 0) / (QUERIES * RESULTS),
    indexP50Ms: median(pairs.map(({ index }) => index.ms)),
    exactP50Ms: median(pairs.map(({ exact }) => exact.ms)),
  };
}
