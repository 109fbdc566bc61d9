import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { startDeployment, type Deployment } from '../support/deployment.ts';
import { eventually } from '../support/eventually.ts';
import {
  addInteraction,
  createSession,
  createSessionAgent,
  freshSession,
  getContext,
  type SessionAgent,
} from '../support/session-agent.ts';

/** The files of `src` that one operation crosses. */
export interface Crossed {
  /** In the proxy, from the request to its reply. */
  readonly writeToReply: readonly string[];
  /** In proxy and orchestrator, until the orchestrator has stored the write. */
  readonly writeToStore: readonly string[];
  /** Of a read that the orchestrator answers: in the proxy, from the request to its reply. */
  readonly readToReply: readonly string[];
}

const ROUNDS = 15;
const WARM_UP = 5;

/** What a program has run since it was last told to forget. */
interface Ran {
  readonly all: readonly string[];
  readonly untilReply?: readonly string[];
}

/** The two programs, each with a recorder in it. */
interface Recorders {
  forget(clientPort: number): Promise<void>;
  files(): Promise<{ readonly proxy: Ran; readonly orchestrator: Ran }>;
  close(): void;
}

/** Runs proxy and orchestrator as processes, and writes and reads through them. @param onRound told after each of `total` rounds */
export async function filesCrossed(onRound: (done: number, total: number) => void): Promise<Crossed> {
  const folder = mkdtempSync(join(tmpdir(), 'crossfade-shape-'));
  process.env['CROSSFADE_SHAPE'] = folder;
  process.env['NODE_OPTIONS'] = `--import ${new URL('recorder.ts', import.meta.url).href}`;
  // Code out of the compile cache is not counted.
  process.env['NODE_DISABLE_COMPILE_CACHE'] = '1';
  const deployment = await startDeployment({ asked: { dualWrite: true, shadowRead: 0, readCutover: 100 } });
  try {
    return await measure(deployment, folder, onRound);
  } finally {
    await deployment.end();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function measure(
  deployment: Deployment,
  folder: string,
  onRound: (done: number, total: number) => void,
): Promise<Crossed> {
  const endpoint = deployment.endpoints['session-memory'];
  const recorders = await openRecorders(folder);
  const agent = createSessionAgent(endpoint);
  const clientPort = Number(new URL(endpoint).port);
  const session = freshSession('shape');
  const [write, store, read] = [new Majority(), new Majority(), new Majority()];
  try {
    await agent.ask(createSession(session));
    for (let round = -WARM_UP; round < ROUNDS; round += 1) {
      const one = await measureRound({ deployment, recorders, agent, clientPort, session }, round);
      if (round < 0) continue;
      write.add(one.writeToReply, one.idle);
      store.add(one.writeToStore, one.idle);
      read.add(one.readToReply, one.idle);
      onRound(round + 1, ROUNDS);
    }
  } finally {
    agent.close();
    recorders.close();
  }
  return { writeToReply: write.files(), writeToStore: store.files(), readToReply: read.files() };
}

interface Place {
  readonly deployment: Deployment;
  readonly recorders: Recorders;
  readonly agent: SessionAgent;
  readonly clientPort: number;
  readonly session: string;
}

/** A write, an interval of the same length in which nothing is asked, and a read. */
async function measureRound({ deployment, recorders, agent, clientPort, session }: Place, round: number) {
  const content = `turn ${round}`;
  const startedAtMs = performance.now();
  await recorders.forget(clientPort);
  const { status } = await agent.ask(addInteraction(session, content));
  if (status !== 'success') throw new Error(`the write was answered with status ${String(status)}`);
  await eventually('the write to be stored', async () => {
    const found = await deployment.store(
      `select 1 from memory_entries where session_id = '${session}' and content::text like '%${content}"%'`,
    );
    return found.length > 0;
  });
  const written = await recorders.files();
  const lengthMs = performance.now() - startedAtMs;
  await sleep(lengthMs);
  await recorders.forget(clientPort);
  await sleep(lengthMs);
  const idle = await recorders.files();
  await recorders.forget(clientPort);
  await agent.ask(getContext(session));
  const seen = await recorders.files();
  return {
    writeToReply: written.proxy.untilReply ?? [],
    writeToStore: [...written.proxy.all, ...written.orchestrator.all],
    readToReply: seen.proxy.untilReply ?? [],
    idle: [...idle.proxy.all, ...idle.orchestrator.all],
  };
}

/** Files that ran in most rounds, less those that ran in most idle intervals: a timer that fires now and then is neither. */
class Majority {
  readonly #ran = new Map<string, number>();
  readonly #idle = new Map<string, number>();

  add(ran: readonly string[], idle: readonly string[]): void {
    count(this.#ran, ran);
    count(this.#idle, idle);
  }

  files(): readonly string[] {
    const isUsual = (times = 0): boolean => times > ROUNDS / 2;
    return [...this.#ran]
      .filter(([file, times]) => isUsual(times) && !isUsual(this.#idle.get(file)))
      .map(([file]) => file)
      .toSorted();
  }
}

function count(counts: Map<string, number>, files: readonly string[]): void {
  for (const file of new Set(files)) counts.set(file, (counts.get(file) ?? 0) + 1);
}

async function openRecorders(folder: string): Promise<Recorders> {
  const [proxy, orchestrator] = [connect(join(folder, 'start')), connect(join(folder, 'orchestrator'))];
  await Promise.all([once(proxy, 'connect'), once(orchestrator, 'connect')]);
  return {
    async forget(clientPort) {
      await Promise.all([ask(proxy, `forget ${clientPort}`), ask(orchestrator, 'forget 0')]);
    },
    async files() {
      const [first, second] = await Promise.all([ask(proxy, 'files'), ask(orchestrator, 'files')]);
      return { proxy: first, orchestrator: second };
    },
    close() {
      proxy.destroy();
      orchestrator.destroy();
    },
  };
}

async function ask(socket: Socket, line: string): Promise<Ran> {
  socket.write(`${line}\n`);
  let text = '';
  while (!text.endsWith('\n')) text += String(((await once(socket, 'data')) as [Buffer])[0]);
  return JSON.parse(text) as Ran;
}
