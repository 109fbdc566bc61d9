import { createAgent, type Agent } from '../../src/sandbox/agent.ts';
import { serveParent, settingsOfChild } from './child.ts';
import { Recorder } from './samples.ts';

/** A measurement that the load process is asked for. */
export interface ZmqJob {
  readonly endpoint: string;
  /** Begins the ids of the sessions: stores of different paths differ. */
  readonly prefix: string;
  /** `write_then_read` adds an interaction and reads the context right after; only the read is measured. */
  readonly action: 'get_context' | 'add_interaction' | 'write_then_read';
  readonly clients: number;
  readonly warmUpMs: number;
  readonly seconds: number;
}

const MESSAGE_BYTES = 512;
const SUCCESS = '"status": "success"';

const read = new Set<string>();
let sessions = 0;

/** A request of exactly so many bytes, the last member filling it up. */
function padded(request: Readonly<Record<string, unknown>>, filler: string): string {
  const empty = JSON.stringify({ ...request, [filler]: '' });
  return JSON.stringify({ ...request, [filler]: 'x'.repeat(MESSAGE_BYTES - empty.length) });
}

function interaction(sessionId: string): string {
  return padded(
    { action: 'add_interaction', session_id: sessionId, role: 'user', request_id: 'w' },
    'content',
  );
}

async function send(agent: Agent, request: string): Promise<void> {
  const reply = await agent.call(request);
  if (!reply.includes(SUCCESS))
    throw new Error(`${request.slice(0, 80)} was answered ${reply.toString().slice(0, 160)}`);
}

async function open(agent: Agent, sessionId: string): Promise<void> {
  await send(
    agent,
    JSON.stringify({ action: 'create_session', session_id: sessionId, user_id: 'bench', request_id: 'c' }),
  );
}

/** What a client sends over and over. */
interface Requests {
  /** Sent before each measured request. */
  readonly before?: string;
  readonly measured: string;
}

/** Reads of a session with one interaction, writes to a new one, or both in turn. */
async function prepare(agent: Agent, { prefix, action }: ZmqJob, client: number): Promise<Requests> {
  if (action !== 'get_context') {
    const sessionId = `${prefix}-write-${(sessions += 1)}`;
    await open(agent, sessionId);
    const write = interaction(sessionId);
    return action === 'add_interaction'
      ? { measured: write }
      : { before: write, measured: context(sessionId) };
  }
  const sessionId = `${prefix}-read-${client}`;
  if (!read.has(sessionId)) {
    await open(agent, sessionId);
    await send(agent, interaction(sessionId));
    read.add(sessionId);
  }
  return { measured: context(sessionId) };
}

function context(sessionId: string): string {
  return padded({ action: 'get_context', session_id: sessionId, max_tokens: 2_000, request_id: 'r' }, 'note');
}

async function repeat(
  agent: Agent,
  { before, measured }: Requests,
  until: { untilMs: number; recorder?: Recorder },
): Promise<void> {
  const { untilMs, recorder } = until;
  for (let startedAtMs = performance.now(); startedAtMs < untilMs;) {
    if (before !== undefined) {
      await send(agent, before);
      startedAtMs = performance.now();
    }
    await send(agent, measured);
    const nowMs = performance.now();
    recorder?.add(nowMs - startedAtMs);
    startedAtMs = nowMs;
  }
}

/** A client that got a wrong answer, or none, stops: strict REQ sockets do not recover. */
async function measure(job: ZmqJob): Promise<object> {
  const recorder = new Recorder();
  const agents = Array.from({ length: job.clients }, () => createAgent({ endpoint: job.endpoint }));
  const failed = (error: unknown): void => recorder.failed(String(error));
  try {
    const ready = await Promise.all(
      agents.map(async (agent, client) => ({ agent, requests: await prepare(agent, job, client) })),
    );
    const warmUntilMs = performance.now() + job.warmUpMs;
    await Promise.all(ready.map(({ agent, requests }) => repeat(agent, requests, { untilMs: warmUntilMs })));
    const startedAtMs = performance.now();
    const untilMs = startedAtMs + job.seconds * 1_000;
    await Promise.all(
      ready.map(({ agent, requests }) => repeat(agent, requests, { untilMs, recorder }).catch(failed)),
    );
    return recorder.sample((performance.now() - startedAtMs) / 1_000);
  } finally {
    for (const agent of agents) agent.close();
  }
}

settingsOfChild();
serveParent(measure);
