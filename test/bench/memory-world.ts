import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { freePorts } from '../support/ports.ts';
import { startProgram } from '../support/processes.ts';
import type { Cleanup } from './cleanup.ts';
import { createContextualMemorySide, createSessionMemorySide, type MemorySide } from './memory-legacy.ts';
import { createContextualOrchestratorSide, createSessionOrchestratorSide } from './memory-orchestrator.ts';

/** A legacy service, and the orchestrator in its place. */
export interface Pair {
  readonly service: string;
  /** As the first users' benchmark called them: the old one, and the new one. */
  readonly v1: MemorySide;
  readonly v2: MemorySide;
}

const at = (port: number): string => `tcp://127.0.0.1:${port}`;

/** Each service as a process of its own, with its own store, as it comes: every write of the legacy services reaches the disk. */
export async function startMemoryWorld(
  cleanup: Cleanup,
  databaseUrl: string | undefined,
): Promise<readonly Pair[]> {
  const root = mkdtempSync(join(tmpdir(), 'crossfade-bench-'));
  chmodSync(root, 0o755);
  cleanup.keep({ stop: async () => rmSync(root, { recursive: true, force: true }) });
  const orchestrator = await startOrchestrator(root, cleanup, databaseUrl);
  const [session = 0, health = 0, pub = 0, contextual = 0] = await freePorts(4);
  const ports = ['--session-port', session, '--health-port', health, '--pub-port', pub].map(String);
  await startStandIn(root, cleanup, ['session-memory', ...ports, '--cleanup-seconds', '3600']);
  await startStandIn(root, cleanup, ['contextual-memory', '--contextual-port', String(contextual)]);
  const pairs = [
    {
      service: 'session-memory',
      v1: createSessionMemorySide(at(session)),
      v2: createSessionOrchestratorSide(orchestrator),
    },
    {
      service: 'contextual-memory',
      v1: createContextualMemorySide(at(contextual)),
      v2: createContextualOrchestratorSide(orchestrator),
    },
  ];
  for (const { v1, v2 } of pairs)
    for (const side of [v1, v2]) cleanup.keep({ stop: async () => side.close() });
  return pairs;
}

async function startStandIn(
  root: string,
  cleanup: Cleanup,
  [service = '', ...args]: readonly string[],
): Promise<void> {
  const folder = join(root, service);
  mkdirSync(folder);
  cleanup.keep(await startProgram(['stand-ins', '--service', service, '--data', folder, ...args]));
}

async function startOrchestrator(
  root: string,
  cleanup: Cleanup,
  databaseUrl: string | undefined,
): Promise<string> {
  const [port = 0, httpPort = 0] = await freePorts(2);
  const config = join(root, 'orchestrator.yaml');
  // The legacy services compare no meanings: neither does this one.
  const embeddings = { provider: 'off' };
  const storage = databaseUrl === undefined ? { folder: join(root, 'orchestrator') } : { databaseUrl };
  const settings = { listen: { port, httpPort }, storage, embeddings, telemetry: { logLevel: 'warn' } };
  writeFileSync(config, stringify(settings));
  const without = ['ORCHESTRATOR_FOLDER', 'ORCHESTRATOR_EMBEDDINGS', 'ORCHESTRATOR_ACCESS_KEYS', 'REDIS_URL'];
  cleanup.keep(await startProgram(['orchestrator', '--config', config], { without, cwd: root }));
  return at(port);
}
