import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createAgent } from '../../../src/sandbox/agent.ts';
import type { Agent, AgentSettings } from '../../../src/sandbox/agent.ts';
import type { StandIn } from '../../../src/sandbox/stand-in.ts';

/** A folder, stand-ins and agents that all go when the test is over. */
export interface Playground extends AsyncDisposable {
  readonly dataFolder: string;
  start: <Kind extends StandIn>(standIn: Kind) => Promise<Kind>;
  connect: (standIn: StandIn, receiveTimeoutMs?: number) => Agent;
  /** Its agents connect anew: what is sent on a connection before its end is seen gets no reply. */
  restart: (standIn: StandIn) => Promise<void>;
  /** Calls with a request as JSON (or as it stands) and reads the reply's text. */
  ask: (agent: Agent, request: object | string) => Promise<string>;
}

export function createPlayground(): Playground {
  const dataFolder = mkdtempSync(join(tmpdir(), 'crossfade-sandbox-'));
  const standIns: StandIn[] = [];
  const agents: ReconnectingAgent[] = [];
  return {
    dataFolder,
    start: async (standIn) => {
      await standIn.start();
      standIns.push(standIn);
      return standIn;
    },
    connect: (standIn, receiveTimeoutMs = 25_000) => {
      const agent = new ReconnectingAgent({ endpoint: standIn.endpoint, receiveTimeoutMs });
      agents.push(agent);
      return agent;
    },
    restart: async (standIn) => {
      await standIn.stop();
      await standIn.start();
      for (const agent of agents) if (agent.endpoint === standIn.endpoint) agent.reconnect();
    },
    ask: async (agent, request) => {
      const reply = await agent.call(typeof request === 'string' ? request : JSON.stringify(request));
      return reply.toString();
    },
    [Symbol.asyncDispose]: async () => {
      for (const agent of agents) agent.close();
      for (const standIn of standIns) await standIn.stop();
      rmSync(dataFolder, { recursive: true, force: true });
    },
  };
}

/** An agent that a test's restart of its service gives a new socket, as a person would start it again. */
class ReconnectingAgent implements Agent {
  readonly #settings: AgentSettings;
  #agent: Agent;

  constructor(settings: AgentSettings) {
    this.#settings = settings;
    this.#agent = createAgent(settings);
  }

  get endpoint(): string {
    return this.#settings.endpoint;
  }

  readonly call: Agent['call'] = async (request) => this.#agent.call(request);

  reconnect(): void {
    this.#agent.close();
    this.#agent = createAgent(this.#settings);
  }

  readonly close = (): void => {
    this.#agent.close();
  };
}
