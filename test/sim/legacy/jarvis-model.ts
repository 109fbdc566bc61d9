import { jarvisMemory } from '../../../src/services/jarvis-memory.ts';
import {
  Effects,
  fieldsOf,
  marksIn,
  replyOf,
  type Fields,
  type LegacyModel,
  type ModelClock,
} from './effects.ts';

/** JarvisMemoryAgent: lists without ids; a reminder is stored and then answered with an error. */
export class JarvisModel implements LegacyModel {
  readonly definition = jarvisMemory;
  readonly effects = new Effects();
  readonly #clock: ModelClock;
  readonly #memories = new Map<string, { timestamp: number; memory: Fields }[]>();

  readonly #storedAtMs = new WeakMap<object, number>();

  constructor(clock: ModelClock) {
    this.#clock = clock;
  }

  execute(body: Buffer): Buffer {
    const request = fieldsOf(body);
    const owner = String(request['user_id']);
    const action = String(request['action']);
    if (action === 'get_memories')
      return replyOf({ status: 'ok', memories: this.#memories.get(owner) ?? [] });
    if (action !== 'add_memory' && action !== 'clear_memories')
      return replyOf({ status: 'error', reason: 'Unknown action' });
    this.effects.executions.push({
      number: Number(request['number']),
      owner,
      action,
      atMs: this.#clock.nowMs(),
    });
    return action === 'add_memory' ? this.#add(owner, request) : this.#clear(owner);
  }

  textsOf(owner: string): readonly string[] {
    return (this.#memories.get(owner) ?? []).map(({ memory }) => JSON.stringify(memory));
  }

  adopt(owner: string, from: JarvisModel): void {
    const items = from.#memories.get(owner);
    if (items === undefined) this.#memories.delete(owner);
    else this.#memories.set(owner, [...items]);
    for (const item of items ?? []) this.#storedAtMs.set(item, from.#storedAtMs.get(item) ?? -Infinity);
  }

  jsonFile = (): string => JSON.stringify(Object.fromEntries(this.#memories));

  loseSince(ms: number, concerns: (owner: string) => boolean): void {
    for (const [owner, items] of this.#memories) {
      if (!concerns(owner)) continue;
      const left = items.filter((item) => (this.#storedAtMs.get(item) ?? -Infinity) < ms);
      const gone = items.filter((item) => !left.includes(item));
      if (gone.length === 0) continue;
      this.#memories.set(owner, left);
      this.effects.lose(owner, marksIn(JSON.stringify(gone)), marksIn(JSON.stringify(left)));
    }
  }

  #add(owner: string, { number, memory }: Fields): Buffer {
    const item = { timestamp: this.#clock.wallMs() / 1_000, memory: memory as Fields };
    this.#memories.set(owner, [...(this.#memories.get(owner) ?? []), item]);
    this.#storedAtMs.set(item, this.#clock.nowMs());
    this.effects.store(item, Number(number));
    if (item.memory['type'] !== 'reminder') return replyOf({ status: 'ok' });
    this.effects.raised.set(Number(number), (this.effects.raised.get(Number(number)) ?? 0) + 1);
    return replyOf({
      status: 'error',
      reason: "send_proactive_event() got an unexpected keyword argument 'text'",
    });
  }

  #clear(owner: string): Buffer {
    this.effects.delete(this.#memories.get(owner) ?? [], this.#clock.nowMs());
    this.#memories.set(owner, []);
    return replyOf({ status: 'ok' });
  }
}
