import { join } from 'node:path';
import { JsonStoreFile } from './json-store-file.ts';
import { dumpPythonJson, loadPythonJson } from './python-json.ts';
import { epochSeconds, systemClock } from './python-time.ts';
import type { Clock } from './python-time.ts';
import { PythonDict, PythonError, asDict } from './python-values.ts';
import type { PythonMap, PythonValue } from './python-values.ts';
import { createSerialServer } from './serial-server.ts';
import type { StandIn, StandInSettings } from './stand-in.ts';

export interface JarvisMemorySettings extends StandInSettings {
  /** @defaultValue 0: on every write, like the original */
  readonly saveEveryMs?: number;
  readonly clock?: Clock;
}

/** Stand-in for jarvis_memory_pc2: lists of memories per user in one JSON file. */
export function createJarvisMemory(settings: JarvisMemorySettings): StandIn {
  const { host = '127.0.0.1', port, dataFolder, saveEveryMs = 0, clock = systemClock } = settings;
  const file = new JsonStoreFile({ path: join(dataFolder, 'jarvis_memory_store.json'), saveEveryMs });
  const memory = new JarvisMemory(file, clock);
  const server = createSerialServer({
    ...settings,
    host,
    handle: (frame) => memory.handle(frame),
    severalFrames: 'die',
  });
  return {
    endpoint: `tcp://${host}:${port}`,
    start: async () => {
      memory.load();
      await server.start();
    },
    stop: async () => {
      await server.stop();
      file.flush();
    },
    setFaults: (faults) => server.setFaults(faults),
  };
}

class JarvisMemory {
  readonly #file: JsonStoreFile;
  readonly #clock: Clock;
  #memories = new PythonDict<PythonValue>();

  constructor(file: JsonStoreFile, clock: Clock) {
    this.#file = file;
    this.#clock = clock;
  }

  load(): void {
    const stored = this.#file.load();
    this.#memories = stored === undefined ? new PythonDict() : PythonDict.fromMap(asDict(stored));
  }

  handle(frame: Buffer): string {
    try {
      return dumpPythonJson(this.#answer(asDict(loadPythonJson(frame))));
    } catch (error) {
      if (error instanceof PythonError) return dumpPythonJson(refusal(error.message));
      throw error;
    }
  }

  #answer(query: PythonMap): PythonMap {
    const user = valueOr(query, 'user_id', 'default');
    switch (query.get('action')) {
      case 'add_memory':
        return this.#add(user, valueOr(query, 'memory', null));
      case 'get_memories':
        return new Map<string, PythonValue>([
          ['status', 'ok'],
          ['memories', this.#memories.get(user) ?? []],
        ]);
      case 'clear_memories':
        this.#memories.set(user, []);
        this.#file.save(this.#memories);
        return new Map([['status', 'ok']]);
      default:
        return refusal('Unknown action');
    }
  }

  #add(user: PythonValue, memory: PythonValue): PythonMap {
    const stored = this.#memories.get(user);
    const list = Array.isArray(stored) ? stored : [];
    if (list !== stored) this.#memories.set(user, list);
    list.push(
      new Map([
        ['timestamp', epochSeconds(this.#clock)],
        ['memory', memory],
      ]),
    );
    this.#file.save(this.#memories);
    // After storing a reminder, the original announces it through a function that does not accept these arguments.
    if (memory instanceof Map && memory.get('type') === 'reminder')
      throw new PythonError("send_proactive_event() got an unexpected keyword argument 'text'");
    return new Map([['status', 'ok']]);
  }
}

function valueOr(query: PythonMap, key: string, absent: PythonValue): PythonValue {
  const value = query.get(key);
  return value === undefined ? absent : value;
}

function refusal(reason: string): PythonMap {
  return new Map([
    ['status', 'error'],
    ['reason', reason],
  ]);
}
