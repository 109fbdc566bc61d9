import { createAgent, type Agent } from '../../src/sandbox/agent.ts';
import { Recorder, type Sample } from './samples.ts';

/** Agents that write and read as long as the migration is in trouble, and before and after. */
export interface LiveAgents {
  /** Session → interactions that were acknowledged. */
  readonly acknowledged: ReadonlyMap<string, number>;
  /** Ends them after the call each is at. */
  stop(): Promise<Sample>;
}

const AGENTS = 10;
/** Then the next session begins: what was read stays within the service's token budget. */
const INTERACTIONS_OF_A_SESSION = 20;

interface Reply {
  readonly status: string;
  readonly context?: readonly { readonly content: string }[];
}

interface Company {
  readonly acknowledged: Map<string, number>;
  readonly recorder: Recorder;
  readonly endpoint: string;
  /** Between the beginnings of two calls of one agent. */
  readonly paceMs: number;
  isStopped: boolean;
}

export function startLiveAgents(endpoint: string, callsPerSecond: number): LiveAgents {
  const company: Company = {
    acknowledged: new Map(),
    recorder: new Recorder(),
    endpoint,
    paceMs: (AGENTS * 1_000) / callsPerSecond,
    isStopped: false,
  };
  const startedAtMs = performance.now();
  const ended = Promise.all(Array.from({ length: AGENTS }, (_, number) => live(company, number)));
  return {
    acknowledged: company.acknowledged,
    async stop() {
      company.isStopped = true;
      await ended;
      return company.recorder.sample((performance.now() - startedAtMs) / 1_000);
    },
  };
}

async function live(company: Company, number: number): Promise<void> {
  let agent = createAgent({ endpoint: company.endpoint });
  for (let session = 0; !company.isStopped; session += 1) {
    try {
      await liveSession(company, agent, `live-${number}-${session}`);
    } catch (error) {
      company.recorder.failed(String(error));
      // A strict REQ socket does not recover from a reply that stayed out.
      agent.close();
      agent = createAgent({ endpoint: company.endpoint });
    }
  }
  agent.close();
}

/** Writes, and reads back after each write. @throws Error for a call that failed or an answer that is not right */
async function liveSession(company: Company, agent: Agent, sessionId: string): Promise<void> {
  const ask = (request: object): Promise<Reply> =>
    paced(company, agent, JSON.stringify({ session_id: sessionId, request_id: 'r', ...request }));
  await ask({ action: 'create_session', user_id: 'live', metadata: {} });
  company.acknowledged.set(sessionId, 0);
  for (let turn = 1; turn <= INTERACTIONS_OF_A_SESSION && !company.isStopped; turn += 1) {
    await ask({ action: 'add_interaction', role: 'user', content: `turn ${turn}`, metadata: { turn } });
    company.acknowledged.set(sessionId, turn);
    const { context = [] } = await ask({ action: 'get_context' });
    const isRight = context.length === turn && context.at(-1)?.content === `turn ${turn}`;
    if (!isRight) throw new Error(`${sessionId} shows ${context.length} of ${turn} interactions`);
  }
}

async function paced({ recorder, paceMs }: Company, agent: Agent, request: string): Promise<Reply> {
  const startedAtMs = performance.now();
  const reply = JSON.parse(String(await agent.call(request))) as Reply;
  const tookMs = performance.now() - startedAtMs;
  if (reply.status !== 'success')
    throw new Error(`${request.slice(0, 80)}: ${JSON.stringify(reply).slice(0, 160)}`);
  recorder.add(tookMs);
  await new Promise((resolve) => setTimeout(resolve, Math.max(0, paceMs - tookMs)));
  return reply;
}
