import { setTimeout as sleep } from 'node:timers/promises';
import { createAgent, type Agent } from '../../src/sandbox/agent.ts';
import type { Random } from '../sim/random.ts';
import { certaintyOf, DIALECTS } from './agent-dialect.ts';
import type { LaneRecord, Write } from './lane-book.ts';

/** Longer than the proxy's deadline. */
const PATIENCE_MS = 2_500;
const PAUSE_MS = { least: 5, most: 40 };
/** While a lane is to move, its backends must catch up now and then. */
const CALM_PAUSE_MS = { least: 200, most: 600 };
const CLEAR_SHARE = 0.03;
const READ_SHARE = 0.15;

/**
 * The one agent of a lane: one write after the other, through one replica or the other, over a strict REQ socket each. An agent
 * that missed a reply is dead, and another one goes on where it stood.
 */
export class LaneAgent {
  readonly #lane: LaneRecord;
  readonly #random: Random;
  readonly #endpoints: readonly string[];
  readonly #agents: (Agent | undefined)[] = [];
  #isStopped = false;
  #pauseMs = PAUSE_MS;
  #running: Promise<void> = Promise.resolve();

  constructor(lane: LaneRecord, endpoints: readonly string[], random: Random) {
    this.#lane = lane;
    this.#endpoints = endpoints;
    this.#random = random;
  }

  start(): void {
    this.#running = this.#run();
  }

  /** Writes less often from now on, or as before. */
  calm(isCalm: boolean): void {
    this.#pauseMs = isCalm ? CALM_PAUSE_MS : PAUSE_MS;
  }

  /** Resolves when the write that is under way has its reply, or no reply can come any more. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#running;
    for (const agent of this.#agents) agent?.close();
  }

  async #run(): Promise<void> {
    while (!this.#isStopped) {
      await sleep(this.#random.whole(this.#pauseMs.least, this.#pauseMs.most));
      if (this.#lane.isOpened) await this.#step();
      else await this.#open();
    }
  }

  async #open(): Promise<void> {
    const request = DIALECTS[this.#lane.service].open?.(this.#lane.owner);
    const reply = request === undefined ? undefined : await this.#ask(request);
    // One that was made by a request without a reply is refused the second time.
    if (reply !== undefined && certaintyOf(this.#lane.service, reply) === 'acknowledged')
      this.#lane.isOpened = true;
    else if (reply !== undefined && !JSON.stringify(reply).includes(this.#lane.service))
      this.#lane.isOpened = true;
  }

  async #step(): Promise<void> {
    const { service, owner } = this.#lane;
    const { read, clear } = DIALECTS[service];
    if (read !== undefined && this.#random.chance(READ_SHARE)) return this.#read(read(owner));
    if (clear !== undefined && this.#random.chance(CLEAR_SHARE)) return this.#write('clear');
    return this.#write('add');
  }

  async #write(kind: Write['kind']): Promise<void> {
    const { service, owner, writes } = this.#lane;
    const { add, clear } = DIALECTS[service];
    const text = `${owner} ${writes.length}`;
    const write: Write = {
      kind,
      text,
      sentAtMs: performance.now(),
      endedAtMs: Infinity,
      certainty: 'unknown',
    };
    writes.push(write);
    const reply = await this.#ask(kind === 'clear' ? (clear?.(owner, text) ?? {}) : add(owner, text));
    if (reply === undefined) return;
    write.certainty = certaintyOf(service, reply);
    if (write.certainty !== 'unknown') write.endedAtMs = performance.now();
  }

  async #read(request: object): Promise<void> {
    const expected = this.#lane.expected();
    if (expected === undefined) return;
    const reply = await this.#ask(request);
    const { isAcknowledged, shown } = DIALECTS[this.#lane.service];
    if (reply === undefined || !isAcknowledged(reply) || this.#lane.losses.length > 0) return;
    const texts = shown(reply);
    if (texts.join('\n') === expected.join('\n')) return;
    this.#lane.staleReads.push(
      `${this.#lane.key}: a read showed ${texts.length} items up to "${texts.at(-1) ?? ''}", expected ${expected.length} up to "${expected.at(-1) ?? ''}"`,
    );
  }

  /** Undefined where no reply came. */
  async #ask(request: object): Promise<Readonly<Record<string, unknown>> | undefined> {
    const at = this.#random.whole(0, this.#endpoints.length - 1);
    const agent = (this.#agents[at] ??= createAgent({
      endpoint: this.#endpoints[at] ?? '',
      receiveTimeoutMs: PATIENCE_MS,
    }));
    try {
      return JSON.parse((await agent.call(JSON.stringify(request))).toString()) as Record<string, unknown>;
    } catch {
      agent.close();
      this.#agents[at] = undefined;
      return undefined;
    }
  }
}
