import type { OrchestratorClient } from './orchestrator.ts';

/** What a session may show: its memories' ids and texts, in order. */
type State = string;

const MEMORIES = 12;

/**
 * One session with one writer, and everything it ever held. An answer is right when it is one of the states between the last write
 * that was acknowledged before it was asked for and the last one that was sent before it came.
 */
export class SessionModel {
  readonly id: string;
  readonly #states: State[] = [stateOf(new Map())];
  #memories = new Map<string, string>();
  /** Of the last write that was acknowledged. */
  #acknowledged = 0;
  #written = 0;
  #sequence = 0;
  #reads = 0;

  constructor(id: string) {
    this.id = id;
  }

  get written(): number {
    return this.#written;
  }

  get reads(): number {
    return this.#reads;
  }

  /** One write of a kind that `random` chooses, to either process. */
  async write(client: OrchestratorClient, random: () => number): Promise<void> {
    this.#written += 1;
    const { action, payload, lane, after } = this.#next(random);
    this.#states.push(stateOf(after));
    const { status, text } = await client.ask(action, payload, {
      session_id: this.id,
      ...(lane && { lane }),
    });
    if (status !== 'success') throw new Error(`${action} was refused: ${text}`);
    this.#memories = after;
    this.#acknowledged = this.#states.length - 1;
  }

  /** Reads the session and throws when the answer is older than what was acknowledged before. */
  async read(client: OrchestratorClient): Promise<void> {
    const oldest = this.#acknowledged;
    const payload = { filter: { limit: 100 }, sort: { field: 'position', order: 'asc' } };
    const { data, status, text } = await client.ask('batch_read', payload, { session_id: this.id });
    if (status !== 'success') throw new Error(`batch_read failed: ${text}`);
    this.#reads += 1;
    const shown = stateOf(
      new Map(data.memories.map(({ memory_id: id, content }) => [id, String(content['text'])])),
    );
    if (this.#states.slice(oldest).includes(shown)) return;
    const at = this.#states.lastIndexOf(shown);
    throw new Error(
      `${this.id}: read state ${at}, ${oldest} was acknowledged before, ${this.#states.length - 1} was sent`,
    );
  }

  #next(random: () => number): Write {
    const after = new Map(this.#memories);
    const id = `${this.id}-${Math.floor(random() * MEMORIES)}`;
    const text = `write ${this.#written}`;
    const position = Number(id.split('-').at(-1));
    const kind = random();
    if (kind < 0.03 && after.size > 0) return (after.clear(), { action: 'bulk_delete', payload: {}, after });
    if (after.has(id) && kind < 0.25)
      return (after.delete(id), { action: 'delete', payload: { memory_id: id }, after });
    if (after.has(id)) {
      after.set(id, text);
      return { action: 'update', payload: { memory_id: id, content: { text } }, after };
    }
    after.set(id, text);
    const payload = {
      memory_id: id,
      memory_type: 'conversation',
      content: { text },
      position,
      create_session: true,
    };
    // Only a write behind its lane's fence may bring back a memory that was deleted.
    const lane = { key: `hammer/${this.id}`, generation: 1, sequence: (this.#sequence += 1) };
    if (kind < 0.6) return { action: 'create', payload, lane, after };
    return { action: 'batch_write', payload: { operations: [{ action: 'create', payload }] }, lane, after };
  }
}

interface Write {
  readonly action: string;
  readonly payload: object;
  readonly lane?: { key: string; generation: number; sequence: number };
  readonly after: Map<string, string>;
}

function stateOf(memories: ReadonlyMap<string, string>): State {
  const sorted = [...memories].sort(([a], [b]) => (a < b ? -1 : 1));
  return JSON.stringify(sorted);
}
