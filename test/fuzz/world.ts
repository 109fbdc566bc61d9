import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { createStandIns } from '../../src/sandbox/stand-ins.ts';
import { NOTHING_ASKED, writeFlags } from '../accept/flags.ts';
import { createKept } from '../integration/orchestrator/good-payloads.ts';
import { connectOrchestrator } from '../support/orchestrator.ts';
import { freePorts } from '../support/ports.ts';
import { FUZZ_TOKEN } from './wire.ts';
import { startProgram, type Program } from '../support/processes.ts';

/** A port that is attacked. */
export interface Port {
  readonly name: string;
  readonly port: number;
  readonly protocol: 'zmq' | 'http';
  readonly owner: Program;
}

export interface World {
  readonly endpoints: Readonly<Record<'session-memory' | 'jarvis-memory', string>>;
  readonly httpUrl: string;
  readonly orchestratorUrl: string;
  readonly ports: readonly Port[];
  stop(): Promise<void>;
}

const PORTS = [
  'session',
  'health',
  'pub',
  'contextual',
  'jarvis',
  'http',
  'desk',
  'orchestrator',
  'orchestratorHttp',
  'legacySession',
  'legacyHealth',
  'legacyPub',
  'legacyContextual',
  'legacyJarvis',
] as const;

async function namedPorts<Name extends string>(names: readonly Name[]): Promise<Record<Name, number>> {
  const ports = await freePorts(names.length);
  return Object.fromEntries(names.map((name, index) => [name, ports[index]])) as Record<Name, number>;
}

/** A proxy in dual writes, and its orchestrator, each with an embedded database and the heap of `npm start`. */
export async function startWorld(): Promise<World> {
  const root = mkdtempSync(join(tmpdir(), 'crossfade-fuzz-'));
  const folders = { legacy: join(root, 'legacy'), flags: join(root, 'flags') };
  for (const folder of Object.values(folders)) mkdirSync(folder);
  writeFlags(folders.flags, { ...NOTHING_ASKED, dualWrite: true });
  const port = await namedPorts(PORTS);
  const at = (number: number): string => `tcp://127.0.0.1:${number}`;
  const shared = { dataFolder: folders.legacy };
  const standIns = createStandIns({
    'session-memory': {
      ...shared,
      port: port.legacySession,
      healthPort: port.legacyHealth,
      pubPort: port.legacyPub,
      maxSessions: 100_000,
      fsync: false,
    },
    'contextual-memory': { ...shared, port: port.legacyContextual },
    'jarvis-memory': { ...shared, port: port.legacyJarvis },
  });
  await standIns.start();
  const file = join(root, 'crossfade.yaml');
  const services = {
    'session-memory': {
      port: port.session,
      healthPort: port.health,
      pubPort: port.pub,
      legacy: {
        endpoint: at(port.legacySession),
        pubEndpoint: at(port.legacyPub),
        sqliteFile: join(folders.legacy, 'session_memory.db'),
      },
    },
    'contextual-memory': {
      port: port.contextual,
      legacy: {
        endpoint: at(port.legacyContextual),
        jsonFile: join(folders.legacy, 'contextual_memory_store.json'),
      },
    },
    'jarvis-memory': {
      port: port.jarvis,
      legacy: { endpoint: at(port.legacyJarvis), jsonFile: join(folders.legacy, 'jarvis_memory_store.json') },
    },
  };
  writeFileSync(
    file,
    stringify({
      http: { port: port.http },
      desk: { host: '127.0.0.1', port: port.desk, withoutSignIn: false },
      operator: { tokens: { fuzz: { role: 'approver', token: FUZZ_TOKEN } } },
      journal: { folder: join(root, 'journal') },
      rollout: { folder: folders.flags },
      interlocks: 'warn',
      guard: { mode: 'warn' },
      reconciliation: { changed: 'off', full: 'off' },
      telemetry: { logLevel: 'silent' },
      services,
      orchestrator: { endpoint: at(port.orchestrator) },
    }),
  );
  const where = [
    '--port',
    String(port.orchestrator),
    '--http-port',
    String(port.orchestratorHttp),
    '--folder',
    join(root, 'orchestrator'),
  ];
  const orchestrator = await startProgram(['orchestrator', ...where]);
  const client = connectOrchestrator(port.orchestrator);
  await createKept(client);
  client.close();
  const proxy = await startProgram(['start', '--config', file]);
  const ofProxy = (name: string, number: number, protocol: Port['protocol'] = 'zmq'): Port => ({
    name,
    port: number,
    protocol,
    owner: proxy,
  });
  return {
    endpoints: { 'session-memory': at(port.session), 'jarvis-memory': at(port.jarvis) },
    httpUrl: `http://127.0.0.1:${port.http}`,
    orchestratorUrl: `http://127.0.0.1:${port.orchestratorHttp}`,
    ports: [
      ofProxy('session-memory', port.session),
      ofProxy('session-memory health', port.health),
      ofProxy('session-memory broadcasts', port.pub),
      ofProxy('contextual-memory', port.contextual),
      ofProxy('jarvis-memory', port.jarvis),
      ofProxy('http', port.http, 'http'),
      ofProxy('desk', port.desk, 'http'),
      { name: 'orchestrator', port: port.orchestrator, protocol: 'zmq', owner: orchestrator },
      { name: 'orchestrator http', port: port.orchestratorHttp, protocol: 'http', owner: orchestrator },
    ],
    async stop() {
      await proxy.stop();
      await orchestrator.stop();
      await standIns.stop();
      rmSync(root, { recursive: true, force: true });
    },
  };
}

/** Resident size now, MiB; 0 where the system does not tell. */
export function residentMegabytes({ pid }: Program): number {
  try {
    const line = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
    return Math.round(Number(line?.[1] ?? 0) / 1024);
  } catch {
    return 0;
  }
}
