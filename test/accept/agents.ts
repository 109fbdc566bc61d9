import { createAgent } from '../../src/sandbox/agent.ts';
import type { Dialogue, Turn } from './dialogues.ts';
import type { Ledger, SessionLedger } from './ledger.ts';

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

/** One agent: three strict REQ sockets, replaying one dialogue after the other. */
export class ReplayingAgent {
  readonly #session: Agent;
  readonly #contextual: Agent;
  readonly #jarvis: Agent;
  readonly #ledger: Ledger;

  constructor(endpoints: AgentEndpoints, ledger: Ledger) {
    this.#session = createAgent({ endpoint: endpoints.session });
    this.#contextual = createAgent({ endpoint: endpoints.contextual });
    this.#jarvis = createAgent({ endpoint: endpoints.jarvis });
    this.#ledger = ledger;
  }

  close(): void {
    for (const agent of [this.#session, this.#contextual, this.#jarvis]) agent.close();
  }

  /** Replays a dialogue. Every fourth also goes through the other two services; some sessions are cleared or deleted on the way. */
  async replay(dialogue: Dialogue, index: number): Promise<void> {
    const userId = `user-${index % 50}`;
    const session = this.#ledger.session(dialogue.id, userId);
    await this.#createSession(session, dialogue);
    for (const [at, turn] of dialogue.turns.entries()) {
      await this.#interact(session, turn);
      await this.#readBack(session);
      if (index % 10 === 3 && at === 1) await this.#clear(session);
    }
    if (index % 4 === 0) await this.#elsewhere(dialogue, index);
    if (index % 12 === 7) await this.#delete(session);
  }

  async #call<Reply>(agent: Agent, request: object): Promise<Reply | undefined> {
    this.#ledger.operations += 1;
    try {
      return JSON.parse((await agent.call(JSON.stringify(request))).toString()) as Reply;
    } catch (error) {
      this.#ledger.failed(`${JSON.stringify(request).slice(0, 80)}: ${String(error)}`);
      return undefined;
    }
  }

  /** True where the write was acknowledged. */
  async #write(
    agent: Agent,
    request: object,
    isSuccess: (reply: Record<string, unknown>) => boolean,
  ): Promise<boolean> {
    const reply = await this.#call<Record<string, unknown>>(agent, request);
    if (reply === undefined) return false;
    if (!isSuccess(reply)) {
      this.#ledger.failed(`${JSON.stringify(request).slice(0, 80)}: ${JSON.stringify(reply).slice(0, 120)}`);
      return false;
    }
    this.#ledger.acknowledgedWrites += 1;
    return true;
  }

  async #createSession(session: SessionLedger, { vertical, scenario }: Dialogue): Promise<void> {
    const request = {
      action: 'create_session',
      session_id: session.sessionId,
      user_id: session.userId,
      metadata: { vertical, scenario },
      request_id: `create-${session.sessionId.slice(-4)}`,
    };
    await this.#write(this.#session, request, isSuccess);
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
    if (await this.#write(this.#session, request, isSuccess))
      session.items.push({ role: speaker, content: text });
  }

  async #readBack(session: SessionLedger): Promise<void> {
    const request = { action: 'get_context', session_id: session.sessionId, request_id: 'r2' };
    const startedAtMs = performance.now();
    const reply = await this.#call<SessionReply>(this.#session, request);
    this.#ledger.readTook(performance.now() - startedAtMs);
    if (reply === undefined) return;
    const seen = (reply.context ?? []).map(({ role, content }) => ({ role, content }));
    const expected = withinBudget(session.items);
    if (JSON.stringify(seen) !== JSON.stringify(expected)) {
      this.#ledger.failed(
        `context of ${session.sessionId}: ${seen.length} items read, ${expected.length} expected`,
      );
    }
  }

  async #clear(session: SessionLedger): Promise<void> {
    const request = { action: 'clear_session', session_id: session.sessionId, request_id: 'r3' };
    if (await this.#write(this.#session, request, isSuccess)) session.items = [];
    await this.#readBack(session);
  }

  async #delete(session: SessionLedger): Promise<void> {
    const request = { action: 'delete_session', session_id: session.sessionId, request_id: 'r4' };
    if (await this.#write(this.#session, request, isSuccess)) {
      session.items = [];
      session.isOpen = false;
    }
    await this.#readBack(session);
  }

  async #elsewhere(dialogue: Dialogue, index: number): Promise<void> {
    await this.#contextualTurns(dialogue, index);
    await this.#jarvisMemories(dialogue, index);
  }

  async #contextualTurns(dialogue: Dialogue, index: number): Promise<void> {
    const ledger = this.#ledger.contextualSession(`user-${index % 8}_${dialogue.vertical}`);
    for (const turn of dialogue.turns) {
      const [type, { text }, wasCovered] = [typeOf(turn), turn, this.#ledger.isCovered];
      const request = { action: 'add_interaction', session_id: ledger.sessionId, type, content: text };
      const isStored = await this.#write(
        this.#contextual,
        { ...request, metadata: { dialogue: dialogue.id } },
        isContextualSuccess,
      );
      if (!isStored) continue;
      ledger.entries.push(`${type}\n${text}`);
      if (!wasCovered) ledger.uncovered = ledger.entries.length;
    }
    if (index % 16 === 0) {
      const decision = `settled in ${dialogue.id}`;
      const request = { action: 'record_decision', session_id: ledger.sessionId, decision };
      if (await this.#write(this.#contextual, request, isContextualSuccess)) ledger.decisions.push(decision);
    }
    await this.#readContext(ledger.sessionId);
  }

  async #readContext(sessionId: string): Promise<void> {
    const request = { action: 'get_context', session_id: sessionId };
    const reply = await this.#call<Record<string, unknown>>(this.#contextual, request);
    if (reply?.['status'] !== 'error' || reply['message'] === CONTEXTUAL_NOTHING) return;
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
      if (await this.#write(this.#jarvis, request, isOk)) ledger.memories = [];
      await this.#remember(ledger, { type: 'preference', name: 'after the clear', weight: index });
    }
    await this.#recall(ledger);
  }

  async #remember(ledger: { userId: string; memories: string[] }, memory: unknown): Promise<void> {
    const request = { action: 'add_memory', user_id: ledger.userId, memory };
    if (await this.#write(this.#jarvis, request, isOk)) ledger.memories.push(JSON.stringify(memory));
  }

  async #recall(ledger: { userId: string; memories: string[]; isShared: boolean }): Promise<void> {
    const request = { action: 'get_memories', user_id: ledger.userId };
    const reply = await this.#call<{ memories?: readonly unknown[] }>(this.#jarvis, request);
    if (reply === undefined || ledger.isShared) return;
    if (reply.memories?.length !== ledger.memories.length) {
      this.#ledger.failed(
        `memories of ${ledger.userId}: ${reply.memories?.length} read, ${ledger.memories.length} expected`,
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
