import { ContextualStore } from '../../../src/sandbox/contextual-store.ts';
import type { JsonStoreFile } from '../../../src/sandbox/json-store-file.ts';
import { dumpPythonJson, dumpPythonJsonFile } from '../../../src/sandbox/python-json.ts';
import type { PythonMap, PythonValue } from '../../../src/sandbox/python-values.ts';
import { contextualMemory } from '../../../src/services/contextual-memory/contextual-memory.ts';
import {
  Effects,
  fieldsOf,
  marksIn,
  replyOf,
  type Fields,
  type LegacyModel,
  type ModelClock,
} from './effects.ts';

/** ContextualMemoryAgent, with the stand-in's own store: fifty entries a session, and every write answered with an error. */
export class ContextualModel implements LegacyModel {
  readonly definition = contextualMemory;
  readonly effects = new Effects();
  readonly #clock: ModelClock;
  readonly #store: ContextualStore;
  #saved: PythonValue = new Map();
  /** What the store reads when it loads its file. */
  #loaded: PythonMap | undefined;

  constructor(clock: ModelClock) {
    this.#clock = clock;
    const file: Pick<JsonStoreFile, 'load' | 'save' | 'flush'> = {
      load: () => this.#loaded,
      save: (value) => {
        this.#saved = value;
      },
      flush: () => undefined,
    };
    this.#store = new ContextualStore({
      file: file as JsonStoreFile,
      maxEntries: 50,
      clock: () => clock.wallMs(),
    });
  }

  execute(body: Buffer): Buffer {
    const request = fieldsOf(body);
    const owner = String(request['session_id']);
    const action = String(request['action']);
    if (action === 'get_context') return this.#summary(owner);
    if (action !== 'add_interaction' && action !== 'record_decision') return replyOf({ status: 'ok' });
    const number = Number(request['number']);
    this.effects.executions.push({ number, owner, action, atMs: this.#clock.nowMs() });
    this.effects.stored.add(number);
    if (action === 'record_decision') this.#store.recordDecision(owner, String(request['decision']));
    else this.#add(owner, request);
    return replyOf({ status: 'error', message: "'bool' object has no attribute 'get'" });
  }

  textsOf(owner: string): readonly string[] {
    return this.#entries(owner).map((entry) => dumpPythonJson(untimed(entry)).toString());
  }

  adopt(owner: string, from: ContextualModel): void {
    const parts = (['sessions', 'summaries'] as const).map((name): [string, PythonMap] => {
      const [own, others] = [partOf(this.#saved, name), partOf(from.#saved, name)];
      own.delete(owner);
      const adopted = others.get(owner);
      if (adopted !== undefined) own.set(owner, cloned(adopted));
      return [name, own];
    });
    this.#saved = new Map(parts);
    this.#loaded = this.#saved;
    this.#store.load();
  }

  #entries(owner: string): readonly PythonValue[] {
    const entries = partOf(this.#saved, 'sessions').get(owner);
    return Array.isArray(entries) ? entries : [];
  }

  jsonFile = (): string => {
    const { text } = dumpPythonJsonFile(this.#saved);
    return text === '{}' ? '{"sessions": {}, "summaries": {}}' : text.toString();
  };

  #add(owner: string, { type, content }: Fields): void {
    const before = this.#marks(owner);
    this.#store.addInteraction(owner, { type: String(type), content: String(content), metadata: null });
    // Of what was said twice the first may be forgotten, and the second be there.
    const left = this.#marks(owner);
    for (const number of before) {
      const at = left.indexOf(number);
      if (at === -1) this.effects.forgotten.add(number);
      else left.splice(at, 1);
    }
  }

  #marks(owner: string): number[] {
    const sessions = (this.#saved as PythonMap).get('sessions');
    const entries = sessions === undefined ? undefined : (sessions as PythonMap).get(owner);
    return entries === undefined ? [] : marksIn(dumpPythonJson(entries));
  }

  #summary(owner: string): Buffer {
    const summary = this.#store.readSummary(owner, null);
    if (summary !== null) return Buffer.from(dumpPythonJson(summary));
    return replyOf({ status: 'error', message: "'NoneType' object has no attribute 'get'" });
  }
}

/** A copy of one part of the file, by owner. */
function partOf(saved: PythonValue, name: string): PythonMap {
  const part = (saved as PythonMap).get(name) as Iterable<[string, PythonValue]> | undefined;
  return new Map(part ?? []);
}

function cloned(value: PythonValue): PythonValue {
  if (Array.isArray(value)) return value.map(cloned);
  return value instanceof Map ? new Map([...value].map(([key, one]) => [key, cloned(one)])) : value;
}

/** Legacy stamps an item when it gets it. */
function untimed(entry: PythonValue): PythonValue {
  return entry instanceof Map ? new Map([...entry].filter(([key]) => key !== 'timestamp')) : entry;
}
