import { createAgent, type Agent } from '../../src/sandbox/agent.ts';
import type { AgentEndpoints } from '../accept/agents.ts';
import { canonical, type StoreContents } from '../accept/stores.ts';

type Service = keyof AgentEndpoints;

/** One write, and what it does to its lane's list. */
interface Step {
  readonly request: Readonly<Record<string, unknown>>;
  readonly effect: { readonly adds: string } | 'clears' | 'none';
}

/** What an agent knows of a write: acknowledged, refused, told that the service did not answer in time, or never answered. */
type Certainty = 'acknowledged' | 'refused' | 'unknown' | 'unanswered';

interface Done {
  readonly step: Step;
  readonly certainty: Certainty;
}

interface LaneSpec {
  readonly service: Service;
  readonly owner: string;
  readonly isAcknowledged: (reply: Readonly<Record<string, unknown>>) => boolean;
  readonly opening?: readonly Step[];
  readonly steps: (round: number) => readonly Step[];
  readonly listOf: (store: StoreContents, owner: string) => readonly string[];
}

/** Longer than any proxy takes, however busy the machine is. */
const PATIENCE_MS = 15_000;
/** In the proxy's words: the write may have been done or not. A busy machine may stand still for longer than a deadline. */
const LATE = 'did not answer within its deadline';

export interface Round {
  readonly round: number;
  /** Resolves when no reply can come any more. */
  readonly lost: Promise<'unanswered'>;
}

/** Writes of one lane by one strict agent after the other, and what each was told. */
export class LaneWork {
  readonly spec: LaneSpec;
  readonly done: Done[] = [];
  #next: Step[] = [];

  constructor(spec: LaneSpec) {
    this.spec = spec;
  }

  get acknowledged(): number {
    return this.done.filter(({ certainty }) => certainty === 'acknowledged').length;
  }

  /** Goes through a round of steps until all are done, or a reply stays out. */
  async run(endpoints: AgentEndpoints, { round, lost }: Round): Promise<void> {
    // What must come before anything else is said again until it is acknowledged.
    const opening = this.acknowledged === 0 ? (this.spec.opening ?? []) : [];
    this.#next = [...opening, ...this.spec.steps(round)];
    const agent = createAgent({ endpoint: endpoints[this.spec.service], receiveTimeoutMs: PATIENCE_MS });
    try {
      for (let step = this.#next.shift(); step !== undefined; step = this.#next.shift()) {
        const certainty = await Promise.race([this.#ask(agent, step), lost]);
        this.done.push({ step, certainty });
        if (certainty === 'unanswered') return;
      }
    } finally {
      agent.close();
    }
  }

  async #ask(agent: Agent, { request }: Step): Promise<Certainty> {
    try {
      const reply = JSON.parse((await agent.call(JSON.stringify(request))).toString()) as object;
      if (this.spec.isAcknowledged({ ...reply })) return 'acknowledged';
      return JSON.stringify(reply).includes(LATE) ? 'unknown' : 'refused';
    } catch {
      return 'unanswered';
    }
  }

  /** Every list that the lane may hold: what was not answered, or late, may have been done or not; what was refused may not. */
  candidates(): string[][] {
    let lists: string[][] = [[]];
    for (const { step, certainty } of this.done) {
      if (certainty === 'refused') continue;
      const after = lists.map((list) => applied(list, step));
      lists = certainty === 'acknowledged' ? after : different([...lists, ...after]);
    }
    return lists;
  }
}

function different(lists: readonly string[][]): string[][] {
  return [...new Map(lists.map((list) => [JSON.stringify(list), list])).values()];
}

function applied(list: readonly string[], { effect }: Step): string[] {
  if (effect === 'clears') return [];
  return effect === 'none' ? [...list] : [...list, effect.adds];
}

/** What is wrong with the stores, in words; empty where everything that was acknowledged is on both, once and in order. */
export function findingsOf(
  works: readonly LaneWork[],
  { legacy, orchestrator }: { readonly legacy: StoreContents; readonly orchestrator: StoreContents },
): string[] {
  return works.flatMap((work) => {
    const { listOf, owner, service } = work.spec;
    const [there, here] = [listOf(legacy, owner), listOf(orchestrator, owner)];
    const findings: string[] = [];
    const isAllowed = work.candidates().some((list) => isSame(list, there));
    if (!isAllowed) findings.push(`${service}/${owner}: legacy holds ${JSON.stringify(there)}`);
    if (!isSame(there, here))
      findings.push(
        `${service}/${owner}: legacy holds ${JSON.stringify(there)}, the orchestrator ${JSON.stringify(here)}`,
      );
    return findings;
  });
}

function isSame(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((item, index) => item === b[index]);
}

const STORED = "'bool' object has no attribute 'get'";

/** A session that is made, filled, cleared and filled again, with a text that comes twice. */
export function sessionWork(owner: string): LaneWork {
  const say = (content: string): Step => ({
    request: { action: 'add_interaction', session_id: owner, role: 'user', content, metadata: { n: 1 } },
    effect: { adds: `user\n${content}` },
  });
  const create: Step = {
    request: { action: 'create_session', session_id: owner, user_id: 'ann', metadata: {} },
    effect: 'none',
  };
  const clear: Step = { request: { action: 'clear_session', session_id: owner }, effect: 'clears' };
  return new LaneWork({
    service: 'session',
    owner,
    // A session that exists answers a second create_session with an error: it changes nothing.
    isAcknowledged: ({ status }) => status === 'success',
    opening: [create],
    steps: (round) => [
      say(`first ${round}`),
      say('again'),
      say('again'),
      clear,
      say(`after the clear ${round}`),
      say('again'),
      say(`last ${round}`),
    ],
    listOf: (store, id) => store.sessions.get(id) ?? [],
  });
}

export function jarvisWork(owner: string): LaneWork {
  const remember = (memory: unknown): Step => ({
    request: { action: 'add_memory', user_id: owner, memory },
    effect: { adds: canonical(memory) },
  });
  const clear: Step = { request: { action: 'clear_memories', user_id: owner }, effect: 'clears' };
  return new LaneWork({
    service: 'jarvis',
    owner,
    isAcknowledged: ({ status }) => status === 'ok',
    steps: (round) => [
      remember(`memory ${round}`),
      remember({ type: 'preference', round }),
      remember('again'),
      clear,
      remember('again'),
      remember('again'),
      remember({ last: round }),
    ],
    listOf: (store, user) => store.memories.get(user) ?? [],
  });
}

export function contextualWork(owner: string): LaneWork {
  const say = (content: string): Step => ({
    request: { action: 'add_interaction', session_id: owner, type: 'user_query', content, metadata: {} },
    effect: { adds: `user_query\n${content}` },
  });
  const decide: Step = {
    request: { action: 'record_decision', session_id: owner, decision: 'settled' },
    effect: 'none',
  };
  return new LaneWork({
    service: 'contextual',
    owner,
    isAcknowledged: ({ message }) => message === STORED,
    steps: (round) => [say(`question ${round}`), say('again'), decide, say('again'), say(`last ${round}`)],
    listOf: (store, id) => store.entries.get(id) ?? [],
  });
}

/** Two lanes of session-memory and one of each other service, as many agents at the same time. */
export function workOf(prefix: string): LaneWork[] {
  return [
    sessionWork(`${prefix}-s1`),
    sessionWork(`${prefix}-s2`),
    jarvisWork(`${prefix}-ann`),
    contextualWork(`${prefix}-c1`),
  ];
}

/** Resolves when every agent is through, or has lost its reply. */
export async function runAll(
  works: readonly LaneWork[],
  endpoints: AgentEndpoints,
  round: Round,
): Promise<void> {
  await Promise.all(works.map((work) => work.run(endpoints, round)));
}
