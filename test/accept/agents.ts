import { setTimeout as sleep } from 'node:timers/promises';
import { createAgent } from '../../src/sandbox/agent.ts';
import type { Dialogue, Turn } from './dialogues.ts';
import type { JarvisLedger, Ledger, SessionLedger } from './ledger.ts';

type Agent = ReturnType<typeof createAgent>;

export interface AgentEndpoints {
  readonly session: string;
  readonly contextual: string;
  readonly jarvis: string;
}

/** The reply that the original gives to every successful write. */
const CONTEXTUAL_SUCCESS = "'bool' object has no attribute 'get'";
const CONTEXTUAL_NOTHING = "'NoneType' object has no attribute 'get'";

interface SessionReply {
  readonly status: string;
  readonly context?: readonly { readonly role: string; readonly content: string }[];
}

/** How an agent behaves while parts of the system are away. */
export interface AgentManners {
  /** Awaited before each request. */
  pace(): Promise<void>;
  /** Whether a refused write is no error now: the agent sends it again until it is stored. */
  isPatient(): boolean;
  /** Owners of contextual-memory in each of a dialogue's fields. Of many owners none gets more entries than the service keeps. */
  readonly contextualOwners: number;
  /** One in so many dialogues also goes through the other two services. */
  readonly elsewhereEvery: number;
}

const NO_MANNERS: AgentManners = {
  pace: async () => undefined,
  isPatient: () => false,
  contextualOwners: 8,
  elsewhereEvery: 4,
};
const RETRY_MS = 250;
/** An agent goes on only with sessions that are shorter, so that all of a context is read. */
const LONG_SESSION = 30;

/** A write, and how its effect is seen after an error. */
interface WriteCall {
  readonly agent: Agent;
  readonly request: object;
  readonly isSuccess: (reply: Record<string, unknown>) => boolean;
  /** Whether it has had its effect. Undefined: that cannot be seen now. Absent: never; `mayBe` notes it. */
  readonly isStored?: () => Promise<boolean | undefined>;
  readonly mayBe?: () => void;
}

/** One agent: three strict REQ sockets, replaying one dialogue after the other. */
export class ReplayingAgent {
  readonly #session: Agent;
  readonly #contextual: Agent;
  readonly #jarvis: Agent;
  readonly #ledger: Ledger;
  readonly #manners: AgentManners;
  /** The sessions that this agent alone writes to. */
  readonly #own: SessionLedger[] = [];

  constructor(endpoints: AgentEndpoints, ledger: Ledger, manners = NO_MANNERS) {
    this.#session = createAgent({ endpoint: endpoints.session });
    this.#contextual = createAgent({ endpoint: endpoints.contextual });
    this.#jarvis = createAgent({ endpoint: endpoints.jarvis });
    this.#ledger = ledger;
    this.#manners = manners;
  }

  close(): void {
    for (const agent of [this.#session, this.#contextual, this.#jarvis]) agent.close();
  }

  /** Replays a dialogue. Some also go through the other two services; some sessions are cleared or deleted on the way. */
  async replay(dialogue: Dialogue, index: number): Promise<void> {
    const userId = `user-${index % 50}`;
    const session = this.#ledger.session(dialogue.id, userId);
    if (!(await this.#createSession(session, dialogue))) return;
    for (const [at, turn] of dialogue.turns.entries()) {
      await this.#interact(session, turn);
      await this.#readBack(session);
      if (index % 10 === 3 && at === 1) await this.#clear(session);
    }
    if (index % this.#manners.elsewhereEvery === 0) await this.#elsewhere(dialogue, index);
    if (index % 12 === 7) await this.#delete(session);
    this.#own.push(session);
  }

  /** Goes on with an earlier session: one write, one read. @returns false if there is none */
  async revisit(turn: Turn, at: number): Promise<boolean> {
    const open = this.#own.filter(({ isOpen, items }) => isOpen && items.length < LONG_SESSION);
    const session = open[at % Math.max(1, open.length)];
    if (session === undefined) return false;
    await this.#interact(session, turn);
    await this.#readBack(session);
    return true;
  }

  async #call<Reply>(agent: Agent, request: object): Promise<Reply | undefined> {
    await this.#manners.pace();
    this.#ledger.operations += 1;
    const startedAtMs = performance.now();
    try {
      const reply = JSON.parse((await agent.call(JSON.stringify(request))).toString()) as Reply;
      const atMs = performance.now();
      this.#ledger.calls.push({ atMs, tookMs: atMs - startedAtMs });
      return reply;
    } catch (error) {
      this.#ledger.failed(`${JSON.stringify(request).slice(0, 80)}: ${String(error)}`);
      return undefined;
    }
  }

  /** True where the write was acknowledged, or was seen to be stored after an error. */
  async #write(call: WriteCall): Promise<boolean> {
    const reply = await this.#call<Record<string, unknown>>(call.agent, call.request);
    if (reply !== undefined && call.isSuccess(reply)) {
      this.#ledger.acknowledgedWrites += 1;
      return true;
    }
    if (reply !== undefined && this.#manners.isPatient()) return this.#writeAgain(call);
    if (reply !== undefined) this.#ledger.failed(`${shown(call.request)}: ${shown(reply)}`);
    return false;
  }

  async #writeAgain(call: WriteCall): Promise<boolean> {
    this.#ledger.refused += 1;
    this.#ledger.unsettled += 1;
    call.mayBe?.();
    try {
      await sleep(RETRY_MS);
      let isStored = await call.isStored?.();
      while (call.isStored !== undefined && isStored === undefined && this.#manners.isPatient()) {
        await sleep(RETRY_MS);
        isStored = await call.isStored();
      }
      return isStored === true || (await this.#write(call));
    } finally {
      this.#ledger.unsettled -= 1;
    }
  }

  async #createSession(session: SessionLedger, { vertical, scenario }: Dialogue): Promise<boolean> {
    const request = {
      action: 'create_session',
      session_id: session.sessionId,
      user_id: session.userId,
      metadata: { vertical, scenario },
      request_id: `create-${session.sessionId.slice(-4)}`,
    };
    return this.#write({ agent: this.#session, request, isSuccess });
  }

  async #interact(session: SessionLedger, { speaker, text }: Turn): Promise<void> {
    const request = {
      action: 'add_interaction',
      session_id: session.sessionId,
      role: speaker,
      content: text,
      metadata: { tags: ['replay'], length: text.length },
      request_id: 'r1',
    };
    const item = { role: speaker, content: text };
    const after = withinBudget([...session.items, item]);
    const isStored = async (): Promise<boolean | undefined> => {
      const seen = await this.#contextOf(session);
      return seen && JSON.stringify(seen) === JSON.stringify(after);
    };
    if (await this.#write({ agent: this.#session, request, isSuccess, isStored })) session.items.push(item);
  }

  /** Undefined: no answer, or a refusal. */
  async #contextOf({ sessionId }: SessionLedger): Promise<{ role: string; content: string }[] | undefined> {
    const request = { action: 'get_context', session_id: sessionId, request_id: 'r2' };
    const startedAtMs = performance.now();
    const reply = await this.#call<SessionReply>(this.#session, request);
    this.#ledger.readTook(performance.now() - startedAtMs);
    if (reply?.status !== 'success') return undefined;
    return (reply.context ?? []).map(({ role, content }) => ({ role, content }));
  }

  async #readBack(session: SessionLedger): Promise<void> {
    const seen = await this.#contextOf(session);
    if (seen === undefined) return this.#unread(`context of ${session.sessionId}`);
    const expected = withinBudget(session.items);
    if (JSON.stringify(seen) !== JSON.stringify(expected)) {
      this.#ledger.failed(
        `context of ${session.sessionId}: ${seen.length} items read, ${expected.length} expected`,
      );
    }
  }

  /** A read that was refused. One without any reply is counted already. */
  #unread(what: string): void {
    if (this.#manners.isPatient()) this.#ledger.refused += 1;
    else this.#ledger.failed(`${what}: not read`);
  }

  async #clear(session: SessionLedger): Promise<void> {
    const request = { action: 'clear_session', session_id: session.sessionId, request_id: 'r3' };
    if (await this.#write({ agent: this.#session, request, isSuccess })) this.#forget(session);
    await this.#readBack(session);
  }

  async #delete(session: SessionLedger): Promise<void> {
    const request = { action: 'delete_session', session_id: session.sessionId, request_id: 'r4' };
    const isStored = async (): Promise<boolean | undefined> => {
      const seen = await this.#contextOf(session);
      return seen && seen.length === 0;
    };
    if (await this.#write({ agent: this.#session, request, isSuccess, isStored })) {
      this.#forget(session);
      session.isOpen = false;
    }
    await this.#readBack(session);
  }

  #forget(session: SessionLedger): void {
    session.removed.push(...session.items.map(({ role, content }) => `${role}\n${content}`));
    session.items = [];
  }

  async #elsewhere(dialogue: Dialogue, index: number): Promise<void> {
    await this.#contextualTurns(dialogue, index);
    await this.#jarvisMemories(dialogue, index);
  }

  async #contextualTurns(dialogue: Dialogue, index: number): Promise<void> {
    const ledger = this.#ledger.contextualSession(
      `user-${index % this.#manners.contextualOwners}_${dialogue.vertical}`,
    );
    for (const turn of dialogue.turns) {
      const [type, { text }, wasCovered] = [typeOf(turn), turn, this.#ledger.isCovered];
      const request = { action: 'add_interaction', session_id: ledger.sessionId, type, content: text };
      const isStored = await this.#write({
        agent: this.#contextual,
        request: { ...request, metadata: { dialogue: dialogue.id } },
        isSuccess: isContextualSuccess,
        mayBe: () => ledger.maybe.entries.push(`${type}\n${text}`),
      });
      if (!isStored) continue;
      ledger.entries.push(`${type}\n${text}`);
      if (!wasCovered) ledger.uncovered = ledger.entries.length;
    }
    if (index % 16 === 0) {
      const decision = `settled in ${dialogue.id}`;
      const request = { action: 'record_decision', session_id: ledger.sessionId, decision };
      const mayBe = (): void => void ledger.maybe.decisions.push(decision);
      const write = { agent: this.#contextual, request, isSuccess: isContextualSuccess, mayBe };
      if (await this.#write(write)) ledger.decisions.push(decision);
    }
    await this.#readContext(ledger.sessionId);
  }

  async #readContext(sessionId: string): Promise<void> {
    const request = { action: 'get_context', session_id: sessionId };
    const reply = await this.#call<Record<string, unknown>>(this.#contextual, request);
    if (reply?.['status'] !== 'error' || reply['message'] === CONTEXTUAL_NOTHING) return;
    if (this.#manners.isPatient()) return this.#unread('contextual get_context');
    this.#ledger.failed(`contextual get_context: ${JSON.stringify(reply).slice(0, 120)}`);
  }

  async #jarvisMemories(dialogue: Dialogue, index: number): Promise<void> {
    const isShared = index % 3 === 0;
    const ledger = this.#ledger.jarvisUser(
      isShared ? `household-${index % 6}` : `owner-${dialogue.id}`,
      isShared,
    );
    const memories = [
      {
        type: 'custom_command',
        trigger_phrase: dialogue.turns[0]?.text ?? '',
        action_type: 'alias_for',
        created_at: 1000.5,
      },
      { type: 'preference', name: dialogue.vertical, weight: index },
      `${dialogue.scenario} (${dialogue.id})`,
    ];
    for (const memory of memories) await this.#remember(ledger, memory);
    if (!isShared && index % 8 === 4) {
      const request = { action: 'clear_memories', user_id: ledger.userId };
      if (await this.#write({ agent: this.#jarvis, request, isSuccess: isOk })) {
        ledger.removed.push(...ledger.memories);
        ledger.memories = [];
      }
      await this.#remember(ledger, { type: 'preference', name: 'after the clear', weight: index });
    }
    await this.#recall(ledger);
  }

  async #remember(ledger: JarvisLedger, memory: unknown): Promise<void> {
    const request = { action: 'add_memory', user_id: ledger.userId, memory };
    const text = JSON.stringify(memory);
    const write = { agent: this.#jarvis, request, isSuccess: isOk };
    // A user whom other agents write to as well shows the effect of no single write.
    const seen = ledger.isShared
      ? { mayBe: () => ledger.maybe.push(text) }
      : { isStored: async () => this.#isOneMore(ledger) };
    if (await this.#write({ ...write, ...seen })) ledger.memories.push(text);
  }

  async #isOneMore(ledger: JarvisLedger): Promise<boolean | undefined> {
    const memories = await this.#memoriesOf(ledger);
    return memories && memories.length > ledger.memories.length;
  }

  /** Undefined: no answer, or a refusal. */
  async #memoriesOf({ userId }: JarvisLedger): Promise<readonly unknown[] | undefined> {
    const request = { action: 'get_memories', user_id: userId };
    const reply = await this.#call<{ memories?: readonly unknown[] }>(this.#jarvis, request);
    return reply?.memories;
  }

  async #recall(ledger: JarvisLedger): Promise<void> {
    const memories = await this.#memoriesOf(ledger);
    if (memories === undefined) return this.#unread(`memories of ${ledger.userId}`);
    if (ledger.isShared) return;
    if (memories.length !== ledger.memories.length) {
      this.#ledger.failed(
        `memories of ${ledger.userId}: ${memories.length} read, ${ledger.memories.length} expected`,
      );
    }
  }
}

const TOKEN_BUDGET = 2_000;

/** The original's token budget: from the newest back, a quarter of the code points each, until one does not fit. */
function withinBudget(
  items: readonly { role: string; content: string }[],
): { role: string; content: string }[] {
  let spent = 0;
  const kept: { role: string; content: string }[] = [];
  for (const item of items.toReversed()) {
    spent += Math.floor(Array.from(item.content).length / 4);
    if (spent > TOKEN_BUDGET) break;
    kept.unshift(item);
  }
  return kept;
}

/** The beginning of it. */
function shown(message: object): string {
  return JSON.stringify(message).slice(0, 120);
}

function typeOf({ speaker, text }: Turn): string {
  if (text.includes('error')) return 'error';
  return speaker === 'user' ? 'user_query' : 'system_response';
}

function isSuccess(reply: Record<string, unknown>): boolean {
  return reply['status'] === 'success';
}

function isOk(reply: Record<string, unknown>): boolean {
  return reply['status'] === 'ok';
}

function isContextualSuccess(reply: Record<string, unknown>): boolean {
  return reply['message'] === CONTEXTUAL_SUCCESS;
}
