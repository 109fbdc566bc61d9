import { setTimeout as sleep } from 'node:timers/promises';
import { ReplayingAgent, type AgentEndpoints } from '../agents.ts';
import type { Dialogue } from '../dialogues.ts';
import type { Ledger } from '../ledger.ts';

const AGENTS = 12;
/** Between two requests of an agent: a model thinks for longer. */
const THINK_MS = 40;
/** The same while a step has no dialogues left: it waits for something, not for agents. */
const FURTHER_THINK_MS = 500;
const LOOK_EVERY_MS = 10;
/** None gets more than the 50 entries that contextual-memory keeps. */
const CONTEXTUAL_OWNERS = 1_000;
/** Beyond the step's dialogues, one in so many turns opens another session; the others go on with earlier ones. */
const NEW_SESSION_EVERY = 6;
/** As many go through the other two services that these gather evidence as fast as session-memory. */
const ELSEWHERE_EVERY = 2;

/** An agent and how long it thinks now. */
class Seat {
  readonly agent: ReplayingAgent;
  thinkMs = THINK_MS;

  constructor(agentOf: (seat: Seat) => ReplayingAgent) {
    this.agent = agentOf(this);
  }
}

/** Agents that work through dialogues during the whole run. They pause only while the stores are compared. */
export class Traffic {
  readonly #dialogues: readonly Dialogue[];
  readonly #ledger: Ledger;
  readonly #onDone: (done: number) => void;
  readonly #seats: readonly Seat[];
  #isStopped = false;
  #isPaused = false;
  #resting = 0;
  #started = 0;
  #allowed = 0;
  /** Dialogues that belong to the steps, begun and replayed. The others are further ones. */
  #owedStarted = 0;
  #owedDone = 0;
  #running: Promise<unknown> | undefined;
  /** Whether a refused request is sent again, because a backend is away on purpose. */
  isPatient = false;

  constructor(facts: {
    readonly endpoints: AgentEndpoints;
    readonly dialogues: readonly Dialogue[];
    readonly ledger: Ledger;
    readonly onDone: (done: number) => void;
  }) {
    this.#dialogues = facts.dialogues;
    this.#ledger = facts.ledger;
    this.#onDone = facts.onDone;
    const agentOf = (seat: Seat): ReplayingAgent =>
      new ReplayingAgent(facts.endpoints, facts.ledger, {
        pace: () => this.#pace(seat),
        isPatient: () => this.isPatient,
        contextualOwners: CONTEXTUAL_OWNERS,
        elsewhereEvery: ELSEWHERE_EVERY,
      });
    this.#seats = Array.from({ length: AGENTS }, () => new Seat(agentOf));
  }

  start(): void {
    this.#running = Promise.all(this.#seats.map((seat, number) => this.#run(seat, number)));
  }

  /** So many further dialogues belong to the step that begins. */
  allow(dialogues: number): void {
    this.#allowed += dialogues;
  }

  /** Resolves when the dialogues of the step are replayed. */
  async allowedDone(): Promise<void> {
    while (this.#owedDone < this.#allowed) await sleep(LOOK_EVERY_MS);
  }

  /** Resolves when no request is on its way, and every write that was refused has been stored. */
  async pause(): Promise<void> {
    for (;;) {
      while (this.#ledger.unsettled > 0) await sleep(LOOK_EVERY_MS);
      this.#isPaused = true;
      while (this.#resting < AGENTS) await sleep(LOOK_EVERY_MS);
      if (this.#ledger.unsettled === 0) return;
      this.resume();
      await sleep(LOOK_EVERY_MS);
    }
  }

  resume(): void {
    this.#isPaused = false;
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    this.resume();
    await this.#running;
    for (const { agent } of this.#seats) agent.close();
  }

  async #run(seat: Seat, number: number): Promise<void> {
    for (let turn = number; !this.#isStopped; turn += 1) {
      const isOwed = this.#owedStarted < this.#allowed;
      seat.thinkMs = isOwed ? THINK_MS : FURTHER_THINK_MS;
      if (isOwed || turn % NEW_SESSION_EVERY === 0) await this.#replayNext(seat.agent, isOwed);
      else await this.#revisit(seat, turn);
    }
  }

  async #replayNext(agent: ReplayingAgent, isOwed: boolean): Promise<void> {
    const index = this.#started;
    this.#started += 1;
    if (isOwed) this.#owedStarted += 1;
    const dialogue = this.#dialogues[index % this.#dialogues.length];
    const round = Math.floor(index / this.#dialogues.length);
    if (dialogue === undefined) return;
    await agent.replay(round === 0 ? dialogue : { ...dialogue, id: `${dialogue.id}-${round}` }, index);
    if (isOwed) this.#owedDone += 1;
    this.#onDone(this.#owedDone);
  }

  async #revisit(seat: Seat, turn: number): Promise<void> {
    const { turns = [] } = this.#dialogues[turn % this.#dialogues.length] ?? {};
    const said = turns[turn % Math.max(1, turns.length)];
    const isDone = said !== undefined && (await seat.agent.revisit(said, turn));
    if (!isDone) await this.#pace(seat);
  }

  async #pace({ thinkMs }: Seat): Promise<void> {
    this.#resting += 1;
    await sleep(thinkMs);
    while (this.#isPaused) await sleep(LOOK_EVERY_MS);
    this.#resting -= 1;
  }
}
