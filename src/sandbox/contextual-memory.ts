import { join } from 'node:path';
import { ContextualStore } from './contextual-store.ts';
import { JsonStoreFile } from './json-store-file.ts';
import { dumpPythonJson, loadPythonJson } from './python-json.ts';
import { pythonStr } from './python-text.ts';
import { epochSeconds, systemClock } from './python-time.ts';
import type { Clock } from './python-time.ts';
import { PythonError, PythonFloat, asDict } from './python-values.ts';
import type { PythonMap, PythonValue } from './python-values.ts';
import { createSerialServer } from './serial-server.ts';
import type { StandIn, StandInSettings } from './stand-in.ts';

export interface ContextualMemorySettings extends StandInSettings {
  /** Interactions kept per session. One more starts the summary. @defaultValue 50 */
  readonly maxEntries?: number;
  /** @defaultValue 0: on every write, like the original */
  readonly saveEveryMs?: number;
  readonly clock?: Clock;
}

/** Stand-in for contextual_memory_pc2. It stores, and answers every successful write with an error. */
export function createContextualMemory(settings: ContextualMemorySettings): StandIn {
  const { host = '127.0.0.1', port, dataFolder, saveEveryMs = 0, maxEntries = 50 } = settings;
  const { clock = systemClock } = settings;
  const file = new JsonStoreFile({ path: join(dataFolder, 'contextual_memory_store.json'), saveEveryMs });
  const store = new ContextualStore({ file, maxEntries, clock });
  const service = new ContextualService({ store, clock, bindAddress: `tcp://0.0.0.0:${port}` });
  const server = createSerialServer({
    ...settings,
    host,
    handle: (frame) => service.handle(frame),
    severalFrames: 'die',
  });
  return {
    endpoint: `tcp://${host}:${port}`,
    start: async () => {
      store.load();
      await server.start();
    },
    stop: async () => {
      await server.stop();
      file.flush();
    },
    setFaults: (faults) => server.setFaults(faults),
  };
}

interface ContextualServiceParts {
  readonly store: ContextualStore;
  readonly clock: Clock;
  readonly bindAddress: string;
}

class ContextualService {
  readonly #parts: ContextualServiceParts;
  readonly #startedMs: number;
  readonly #requests = { total: 0, successful: 0, failed: 0, healthChecks: 0 };

  constructor(parts: ContextualServiceParts) {
    this.#parts = parts;
    this.#startedMs = parts.clock();
  }

  handle(frame: Buffer): string {
    try {
      const message = loadPythonJson(frame);
      this.#requests.total += 1;
      const response = asDict(this.#answer(message));
      if (response.get('status') === 'ok') this.#requests.successful += 1;
      else this.#requests.failed += 1;
      return dumpPythonJson(response);
    } catch (error) {
      if (!(error instanceof PythonError)) throw error;
      this.#requests.failed += 1;
      return dumpPythonJson(refusal(error.message));
    }
  }

  /** What the original returns, which its loop then treats as a dict. True and None cause its well-known errors. */
  #answer(message: PythonValue): PythonValue {
    try {
      return this.#dispatch(asDict(message));
    } catch (error) {
      if (error instanceof PythonError) return refusal(error.message);
      throw error;
    }
  }

  #dispatch(query: PythonMap): PythonValue {
    const value = (key: string): PythonValue => query.get(key) ?? null;
    const { store } = this.#parts;
    const action = query.has('action') ? value('action') : 'unknown';
    switch (action) {
      case 'health_check':
        return this.#health();
      case 'get_context':
        return store.readSummary(value('session_id'), value('max_tokens'));
      case 'add_interaction':
        return store.addInteraction(value('session_id'), {
          type: value('type'),
          content: value('content'),
          metadata: value('metadata'),
        });
      case 'record_decision':
        return store.recordDecision(value('session_id'), value('decision'));
      default:
        return refusal(`Unknown action: ${pythonStr(action)}`);
    }
  }

  #health(): PythonMap {
    this.#requests.healthChecks += 1;
    const { clock, bindAddress } = this.#parts;
    return new Map<string, PythonValue>([
      ['status', 'ok'],
      ['service', 'contextual_memory_agent'],
      ['timestamp', epochSeconds(clock)],
      ['uptime_seconds', new PythonFloat((clock() - this.#startedMs) / 1000)],
      ['total_requests', this.#requests.total],
      ['successful_requests', this.#requests.successful],
      ['failed_requests', this.#requests.failed],
      ['health_check_requests', this.#requests.healthChecks],
      ['bind_address', bindAddress],
    ]);
  }
}

function refusal(message: string): PythonMap {
  return new Map([
    ['status', 'error'],
    ['message', message],
  ]);
}
