import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import { loadConfig } from '../../src/config/config.ts';
import { loadDefinitions } from '../../src/compose/definitions.ts';
import type { Listener } from '../../src/engine/ports/events.ts';
import { createProxy } from '../../src/compose/proxy.ts';
import { createStandIns, type StandIns } from '../../src/sandbox/stand-ins.ts';
import type { AgentEndpoints } from '../accept/agents.ts';
import { writeFlags, type Asked } from '../accept/flags.ts';
import { freePort, freePorts } from '../support/ports.ts';
import { startPostgres } from '../support/postgres.ts';
import { toNextMinute } from '../support/minute-clock.ts';
import { startProgram } from '../support/processes.ts';
import type { BenchService } from './verdict-faults.ts';
import { startInjector, type Injector } from './verdict-injector.ts';

/** The real proxy in this process, so that every event of its engine is seen; all that it talks to is real too. */
export interface VerdictWorld {
  readonly agents: AgentEndpoints;
  readonly endpoints: Readonly<Record<BenchService, string>>;
  readonly httpUrl: string;
  readonly injector: Injector;
  ask(asked: Asked): Promise<void>;
  /** Moves the wall clocks of the proxy, the orchestrator and legacy forward: the guard counts by minutes. Delays stay real. */
  toNextMinute(): void;
  end(): Promise<void>;
}

interface Ports {
  readonly session: number;
  readonly sessionHealth: number;
  readonly contextual: number;
  readonly jarvis: number;
  readonly ranked: number;
  readonly rankedHealth: number;
  readonly measured: number;
  readonly expiring: number;
}

const OTHERS = ['ranked-memory', 'measured-memory', 'expiring-memory'];
const CLOCK = new URL('../support/minute-clock.ts', import.meta.url).href;
const at = (port: number): string => `tcp://127.0.0.1:${port}`;
const definition = (name: string): string => fileURLToPath(new URL(`${name}.ts`, import.meta.url));
/** This store writes its whole file, and nobody reads it: not with every memory. Where lanes are copied from a file, it must be no older. */
const SAVE_EVERY_MS = 500;

async function somePorts(): Promise<Ports> {
  const [
    session = 0,
    sessionHealth = 0,
    contextual = 0,
    jarvis = 0,
    ranked = 0,
    rankedHealth = 0,
    measured = 0,
    expiring = 0,
  ] = await freePorts(8);
  return { session, sessionHealth, contextual, jarvis, ranked, rankedHealth, measured, expiring };
}

export async function startVerdictWorld(listener: Listener): Promise<VerdictWorld> {
  const root = mkdtempSync(join(tmpdir(), 'crossfade-verdicts-'));
  chmodSync(root, 0o755);
  const stops: (() => Promise<void>)[] = [];
  const end = async (): Promise<void> => {
    for (const stop of stops.splice(0).toReversed()) await stop();
    rmSync(root, { recursive: true, force: true });
  };
  try {
    return { ...(await assemble({ root, listener, stops })), end };
  } catch (error) {
    await end();
    throw error;
  }
}

interface Assembly {
  readonly root: string;
  readonly listener: Listener;
  readonly stops: (() => Promise<void>)[];
}

async function assemble({ root, listener, stops }: Assembly): Promise<Omit<VerdictWorld, 'end'>> {
  const flags = join(root, 'flags');
  mkdirSync(flags);
  writeFlags(flags, { dualWrite: true, shadowRead: 100, readCutover: 0 }, OTHERS);
  const postgres = await startPostgres();
  stops.push(() => postgres.stop());
  const [front, back, http] = [await somePorts(), await somePorts(), await freePort()];
  for (const standIns of standInsOf(back, root)) {
    await standIns.start();
    stops.push(() => standIns.stop());
  }
  const orchestrator = await startOrchestrator(root, await postgres.createDatabase('orchestrator'), stops);
  const file = join(root, 'crossfade.yaml');
  const journal = { databaseUrl: await postgres.createDatabase('journal'), folder: join(root, 'journal') };
  const settings = {
    http: { port: http },
    journal,
    orchestrator: { endpoint: orchestrator.endpoint },
    // More than by default, so that a run sees thousands of whole lanes too.
    shadow: { lanePercentage: 20 },
  };
  writeFileSync(file, stringify({ ...settings, ...fixed(flags), services: servicesOf(front, back, root) }));
  const config = loadConfig(file, {});
  const services = await loadDefinitions(config);
  const proxy = createProxy({ config, services, version: 'bench', isTerminal: false, listeners: [listener] });
  await proxy.start();
  stops.push(() => proxy.stop());
  const httpUrl = `http://127.0.0.1:${http}`;
  return {
    agents: { session: at(front.session), contextual: at(front.contextual), jarvis: at(front.jarvis) },
    endpoints: {
      'session-memory': at(front.session),
      'contextual-memory': at(front.contextual),
      'jarvis-memory': at(front.jarvis),
      'ranked-memory': at(front.ranked),
      'measured-memory': at(front.measured),
      'expiring-memory': at(front.expiring),
    },
    httpUrl,
    injector: orchestrator.injector,
    toNextMinute: () => {
      toNextMinute();
      orchestrator.toNextMinute();
    },
    ask: async (asked) => {
      writeFlags(flags, asked, OTHERS);
      await untilAsked(httpUrl, asked);
    },
  };
}

function fixed(flags: string): object {
  return {
    rollout: { folder: flags },
    // Reads move here before there are 3,000 comparisons.
    interlocks: 'warn',
    // One class after the other: each trip is released at once.
    guard: { mode: 'enforce', coolDownSeconds: 0 },
    telemetry: { logLevel: 'silent' },
  };
}

async function startOrchestrator(
  root: string,
  url: string,
  stops: Assembly['stops'],
): Promise<{ readonly endpoint: string; readonly injector: Injector; toNextMinute(): void }> {
  const [port = 0, httpPort = 0] = await freePorts(2);
  const args = ['--port', String(port), '--http-port', String(httpPort)];
  const program = await startProgram(['orchestrator', ...args, '--folder', join(root, 'orchestrator')], {
    env: { ORCHESTRATOR_DATABASE_URL: url, NODE_OPTIONS: `--import ${CLOCK}` },
  });
  stops.push(() => program.stop());
  const endpoint = at(await freePort());
  const injector = await startInjector(endpoint, at(port));
  stops.push(async () => injector.stop());
  return { endpoint, injector, toNextMinute: () => void program.child.kill('SIGUSR2') };
}

/** Theirs is monotonic by itself, and would stay behind when minutes are skipped. */
const clock = (): number => Date.now();

function standInsOf(back: Ports, root: string): StandIns[] {
  const folder = (name: string): string => {
    mkdirSync(join(root, name));
    return join(root, name);
  };
  const session = (port: number, healthPort: number) =>
    ({ port, healthPort, clock, maxSessions: 1_000_000, cleanupSeconds: 3_600, fsync: false }) as const;
  const dataFolder = folder('legacy');
  return [
    createStandIns({
      'session-memory': { ...session(back.session, back.sessionHealth), dataFolder },
      'contextual-memory': { port: back.contextual, dataFolder, clock },
      'jarvis-memory': { port: back.jarvis, dataFolder, clock, saveEveryMs: SAVE_EVERY_MS },
    }),
    createStandIns({
      'session-memory': { ...session(back.ranked, back.rankedHealth), dataFolder: folder('ranked') },
      'jarvis-memory': {
        port: back.measured,
        dataFolder: folder('measured'),
        clock,
        saveEveryMs: SAVE_EVERY_MS,
      },
    }),
  ];
}

function servicesOf(front: Ports, back: Ports, root: string): object {
  const sqliteFile = (folder: string): string => join(root, folder, 'session_memory.db');
  return {
    'session-memory': {
      port: front.session,
      healthPort: front.sessionHealth,
      legacy: { endpoint: at(back.session), sqliteFile: sqliteFile('legacy') },
    },
    'contextual-memory': {
      port: front.contextual,
      legacy: {
        endpoint: at(back.contextual),
        jsonFile: join(root, 'legacy', 'contextual_memory_store.json'),
      },
    },
    'jarvis-memory': { port: front.jarvis, legacy: { endpoint: at(back.jarvis) } },
    'ranked-memory': {
      definition: definition('verdict-ranked'),
      port: front.ranked,
      healthPort: front.rankedHealth,
      legacy: { endpoint: at(back.ranked), sqliteFile: sqliteFile('ranked') },
    },
    'measured-memory': {
      definition: definition('verdict-measured'),
      port: front.measured,
      legacy: { endpoint: at(back.measured) },
    },
    'expiring-memory': {
      definition: definition('verdict-expiring'),
      port: front.expiring,
      legacy: { endpoint: at(back.measured) },
    },
  };
}

interface Status {
  readonly services: readonly {
    readonly coverage: number;
    readonly flags: Readonly<Record<string, { readonly asked: number }>>;
  }[];
}

async function untilAsked(httpUrl: string, { readCutover }: Asked): Promise<void> {
  for (;;) {
    const { services } = (await (await fetch(`${httpUrl}/v1/status`)).json()) as Status;
    if (services.every(({ coverage, flags }) => coverage > 0 && flags['read-cutover']?.asked === readCutover))
      return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
