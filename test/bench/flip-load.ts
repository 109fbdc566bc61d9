import { createAgent, type Agent } from '../../src/sandbox/agent.ts';
import { serveParent, settingsOfChild } from './child.ts';
import { Recorder } from './samples.ts';

/** Opens sessions. */
export interface OpenJob {
  readonly endpoint: string;
  readonly open: readonly string[];
}

/** Agents that write, and perhaps read after each write. Each has sessions of its own, and takes them in turn. */
export interface CallJob {
  readonly endpoint: string;
  readonly sessions: readonly string[];
  readonly agents: number;
  readonly isReading: boolean;
  /** Between the beginnings of two calls of an agent. 0: each call follows the one before. */
  readonly paceMs: number;
  readonly warmUpMs: number;
  readonly seconds: number;
  /** It ends after this many calls, however long they take. @defaultValue it ends after `seconds` */
  readonly calls?: number;
}

const SUCCESS = '"status": "success"';
const CONTENT =
  'The customer asks for the invoice of last month, and whether it can be sent to another address.';

function createRequest(sessionId: string): string {
  return JSON.stringify({
    action: 'create_session',
    session_id: sessionId,
    user_id: 'bench',
    request_id: 'c',
  });
}

function writeRequest(sessionId: string, number: number): string {
  return JSON.stringify({
    action: 'add_interaction',
    session_id: sessionId,
    role: 'user',
    content: `${number}: ${CONTENT}`,
    metadata: { number },
    request_id: 'w',
  });
}

function readRequest(sessionId: string): string {
  return JSON.stringify({ action: 'get_context', session_id: sessionId, max_tokens: 500, request_id: 'r' });
}

async function send(agent: Agent, request: string): Promise<void> {
  const reply = await agent.call(request);
  if (!reply.includes(SUCCESS))
    throw new Error(`${request.slice(0, 80)} was answered ${reply.toString().slice(0, 160)}`);
}

async function open({ endpoint, open: sessions }: OpenJob): Promise<object> {
  const agent = createAgent({ endpoint });
  try {
    for (const session of sessions) await send(agent, createRequest(session));
  } finally {
    agent.close();
  }
  return {};
}

interface Measuring {
  readonly job: CallJob;
  readonly recorder: Recorder;
  /** Calls that begin earlier are not counted. */
  readonly fromMs: number;
  readonly untilMs: number;
  /** Calls that may still begin. */
  left: number;
}

let written = 0;

/** An agent whose call fails takes a new socket, because a strict REQ socket does not recover. */
async function live(measuring: Measuring, number: number): Promise<void> {
  const { job, recorder, fromMs, untilMs } = measuring;
  const { endpoint, agents, isReading, paceMs } = job;
  const own = job.sessions.filter((_, index) => index % agents === number);
  let agent = createAgent({ endpoint });
  // Agents do not call in step.
  if (paceMs > 0) await new Promise((resolve) => setTimeout(resolve, Math.random() * paceMs));
  for (let turn = 0; performance.now() < untilMs && measuring.left > 0; turn += 1) {
    const session = own[turn % own.length] ?? '';
    const requests = [writeRequest(session, (written += 1)), ...(isReading ? [readRequest(session)] : [])];
    measuring.left -= requests.length;
    for (const request of requests) {
      const startedAtMs = performance.now();
      try {
        await send(agent, request);
        if (startedAtMs >= fromMs) recorder.add(performance.now() - startedAtMs);
      } catch (error) {
        recorder.failed(String(error));
        agent.close();
        agent = createAgent({ endpoint });
      }
      const restMs = paceMs - (performance.now() - startedAtMs);
      if (restMs > 0) await new Promise((resolve) => setTimeout(resolve, restMs));
    }
  }
  agent.close();
}

async function measure(job: CallJob): Promise<object> {
  const recorder = new Recorder();
  const fromMs = performance.now() + job.warmUpMs;
  const { calls } = job;
  const untilMs = calls === undefined ? fromMs + job.seconds * 1_000 : Infinity;
  const measuring = { job, recorder, fromMs, untilMs, left: calls ?? Infinity };
  await Promise.all(Array.from({ length: job.agents }, (_, number) => live(measuring, number)));
  return recorder.sample(calls === undefined ? job.seconds : (performance.now() - fromMs) / 1_000);
}

settingsOfChild();
serveParent((job: OpenJob | CallJob) => ('open' in job ? open(job) : measure(job)));
