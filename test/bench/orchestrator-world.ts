import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { defaultsOf, SearchSettings } from '../../src/orchestrator/settings.ts';
import { createAgent } from '../../src/sandbox/agent.ts';
import { freePorts } from '../support/ports.ts';
import { type Program, startProgram } from '../support/processes.ts';
import { createProgressBar } from '../support/progress.ts';
import { type Child, startChild } from './child.ts';
import type { Cleanup } from './cleanup.ts';
import { DIMENSION, itemAt, MODEL, USER } from './orchestrator-items.ts';
import type { BareSettings } from './orchestrator-bare.ts';
import { createStores, type Store } from './orchestrator-stores.ts';

/** The orchestrator and the baseline, each on its own store with the same content. Only one of them is to be loaded at a time. */
export interface OrchestratorWorld {
  readonly endpoints: Readonly<Record<Side, string>>;
  readonly orchestrator: Program;
  readonly bare: Child;
  readonly hasVectors: boolean;
  readonly fillSeconds: number;
}

export type Side = 'orchestrator' | 'bare SQL';

interface Filling {
  readonly items: number;
  readonly databaseUrl: string | undefined;
}

const BATCH = 200;
const FILL_DEADLINE_MS = 60_000;
/** One user's memories are searched through the index only from so many on. */
const EXACT_BELOW = Number(defaultsOf(SearchSettings)['exactBelow']);
/** What a person's own settings must not change here. */
const SETTINGS = [
  'ORCHESTRATOR_DATABASE_URL',
  'ORCHESTRATOR_FOLDER',
  'ORCHESTRATOR_EMBEDDINGS',
  'ORCHESTRATOR_ACCESS_KEYS',
  'REDIS_URL',
];

export async function startOrchestratorWorld(cleanup: Cleanup, filling: Filling): Promise<OrchestratorWorld> {
  const { items, databaseUrl } = filling;
  const stores = await createStores(databaseUrl, cleanup);
  const [port = 0, httpPort = 0, barePort = 0] = await freePorts(3);
  const config = join(stores.root, 'orchestrator.yaml');
  writeFileSync(config, stringify(settingsOf({ port, httpPort, store: stores.orchestrator, items })));
  const start = (): Promise<Program> =>
    startProgram(['orchestrator', '--config', config], { without: SETTINGS, cwd: stores.root });
  const endpoints = { orchestrator: at(port), 'bare SQL': at(barePort) };

  const filled = cleanup.keep(await start());
  const startedAtMs = performance.now();
  const hasVectors = await fill(endpoints.orchestrator, items);
  const fillSeconds = (performance.now() - startedAtMs) / 1_000;
  await filled.stop();
  const copy: BareSettings = { endpoint: endpoints['bare SQL'], ...(await stores.copy()) };
  const orchestrator = cleanup.keep(await start());
  const bare = cleanup.keep(await startChild('orchestrator-bare.ts', copy));
  return { endpoints, orchestrator, bare, hasVectors, fillSeconds };
}

const at = (port: number): string => `tcp://127.0.0.1:${port}`;

interface Place {
  readonly port: number;
  readonly httpPort: number;
  readonly store: Store;
  readonly items: number;
}

/** As it comes, but that vectors are the callers'. */
function settingsOf({ port, httpPort, store, items }: Place): object {
  return {
    listen: { port, httpPort },
    storage: 'url' in store ? { databaseUrl: store.url } : { folder: store.folder },
    embeddings: { provider: 'caller', caller: { model: MODEL, dimension: DIMENSION } },
    // The index is what is measured, however few there are.
    search: { exactBelow: Math.min(EXACT_BELOW, items - 1) },
    telemetry: { logLevel: 'warn' },
  };
}

/** Fills the store in batches. Returns whether the database compares vectors. */
async function fill(endpoint: string, items: number): Promise<boolean> {
  const agent = createAgent({ endpoint, receiveTimeoutMs: 2 * FILL_DEADLINE_MS });
  const bar = createProgressBar(items);
  try {
    const { data: health } = JSON.parse(String(await agent.call('{"action": "health"}'))) as {
      data: { vector: boolean };
    };
    for (let from = 0; from < items; from += BATCH) {
      bar.show(from, 'memories filled in');
      const operations = Array.from({ length: Math.min(BATCH, items - from) }, (_, offset) =>
        creationOf(from + offset),
      );
      const request = { action: 'batch_write', deadline_ms: FILL_DEADLINE_MS, payload: { operations } };
      const reply = String(await agent.call(JSON.stringify(request)));
      if (!reply.startsWith('{"status":"success"'))
        throw new Error(`The store could not be filled: ${reply.slice(0, 300)}`);
    }
    return health.vector;
  } finally {
    bar.end();
    agent.close();
  }
}

// A second apart: histories have an order.
const EPOCH_MS = Date.UTC(2026, 0, 1);

function creationOf(index: number): object {
  const { memoryId, sessionId, text, vector } = itemAt(index);
  const payload = {
    memory_id: memoryId,
    memory_type: 'conversation',
    content: { text, source_agent: 'bench', metadata: { role: 'user', turn: index } },
    created_at: new Date(EPOCH_MS + index * 1_000).toISOString(),
    create_session: true,
    user_id: USER,
    embedding: vector,
  };
  return { action: 'create', session_id: sessionId, payload };
}
