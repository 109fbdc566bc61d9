import { mkdirSync, mkdtempSync, chmodSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { freePort, freePorts } from '../support/ports.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';
import { startProgram, type Program, type ProgramOptions } from '../support/processes.ts';
import type { AgentEndpoints } from './agents.ts';
import { NOTHING_ASKED, writeFlags, type Asked } from './flags.ts';
import { startSaboteur, type Sabotage, type Saboteur } from './saboteur.ts';

export interface WorldSettings {
  /** PGlite in the programs' own processes, instead of one real PostgreSQL. */
  readonly isEmbedded: boolean;
  /** The originals' own limits, instead of raised ones. */
  readonly hasOriginalLimits: boolean;
  readonly sabotage?: Sabotage;
  /** Session-memory forgets nothing, and the proxy knows that. @defaultValue false */
  readonly isForgettingNothing?: boolean;
  /** What the flags ask for at the start. @defaultValue nothing */
  readonly asked?: Asked;
  /** @defaultValue false: reads move before there are 3,000 comparisons */
  readonly areInterlocksEnforced?: boolean;
  /** Top-level settings of the proxy beside those that are made here. */
  readonly config?: Readonly<Record<string, object>>;
  /** Done while only the legacy services are there. */
  readonly beforeTheProxy?: (legacy: AgentEndpoints) => Promise<void>;
}

/** Everything of a migration as real processes: the legacy stand-ins, the orchestrator, the proxy, their database. */
export interface World {
  readonly endpoints: AgentEndpoints;
  /** The legacy services themselves, past the proxy. */
  readonly direct: AgentEndpoints;
  /** Of the proxy, without a slash at the end. */
  readonly httpUrl: string;
  readonly folders: { readonly root: string; readonly legacy: string; readonly orchestrator: string };
  /** The proxy's settings. */
  readonly configFile: string;
  /** The orchestrator's database; undefined where it is embedded. */
  readonly orchestratorDatabase: string | undefined;
  /** The proxy's database; undefined where it is embedded. */
  readonly journalDatabase: string | undefined;
  readonly standIns: Restartable;
  readonly orchestrator: Restartable;
  ask(asked: Asked): void;
  status(): Promise<ProxyStatus>;
  proxyPeakMegabytes(): number;
  /** Kills the proxy with -9 and starts it again. */
  crash(): Promise<void>;
  proxyOutput(): string;
  /** Ends the programs, the proxy first. The stores can be read afterwards. */
  stopPrograms(): Promise<void>;
  /** Ends the database too, and removes every file. */
  end(): Promise<void>;
}

/** A program that can be away. Its restart keeps its ports and its store. */
interface Restartable {
  stop(): Promise<void>;
  /** SIGKILL. */
  kill(): Promise<void>;
  start(): Promise<void>;
}

/** Null before there was anything to measure. */
type Quantiles = Readonly<Record<'p50' | 'p99', number | null>>;

/** What GET /v1/status says, as far as it is read here. */
export interface ProxyStatus {
  readonly services: readonly {
    readonly service: string;
    readonly lanes: {
      readonly total: number;
      readonly seeded: number;
      readonly dirty: number;
      readonly copying: number;
      readonly stopped: number;
    };
    /** Number of the coverage row; 0 while writes pass unjournaled. */
    readonly coverage: number;
    readonly dead_letters: number;
    readonly comparisons: {
      readonly match: number;
      readonly mismatch: number;
      readonly not_comparable: number;
    };
    readonly reads_by: { readonly legacy: number; readonly orchestrator: number };
    readonly fallbacks: Readonly<Record<string, number>>;
    readonly not_comparable_by: Readonly<Record<string, number>>;
    readonly latency_ms: Readonly<Record<'legacy' | 'orchestrator', Quantiles>>;
    readonly added_ms: Quantiles;
  }[];
  readonly replicas: Readonly<Record<'live' | 'silent', number>>;
  readonly backlog: {
    readonly deliveries: number;
    readonly copies: number;
    readonly listings: number;
    readonly shadow_reads: number;
  };
}

interface Ports {
  readonly session: number;
  readonly health: number;
  readonly pub: number;
  readonly contextual: number;
  readonly jarvis: number;
}

const MANY = 1_000_000;

export async function startWorld(settings: WorldSettings): Promise<World> {
  const root = mkdtempSync(join(tmpdir(), 'crossfade-accept-'));
  chmodSync(root, 0o755);
  const folders = {
    root,
    legacy: join(root, 'legacy'),
    orchestrator: join(root, 'orchestrator'),
    flags: join(root, 'flags'),
  };
  for (const folder of [folders.legacy, folders.flags]) mkdirSync(folder);
  writeFlags(folders.flags, settings.asked ?? NOTHING_ASKED);
  const postgres = settings.isEmbedded ? undefined : await startPostgres();
  const database = async (name: string) => postgres?.createDatabase(name);
  const urls = { journal: await database('journal'), orchestrator: await database('orchestrator') };
  const [front, back] = [portsOf(await freePorts(5)), portsOf(await freePorts(5))];
  const standIns = await startRestartable(standInArguments(back, folders.legacy, settings));
  await settings.beforeTheProxy?.(endpointsOf(back));
  const orchestrator = await startOrchestrator(folders.orchestrator, urls.orchestrator);
  const path = await sabotaged(orchestrator.endpoint, settings.sabotage);
  const http = await freePort();
  const config = join(root, 'crossfade.yaml');
  writeFileSync(
    config,
    stringify({
      ...proxyConfig({ front, back, http, root, folders, endpoint: path.endpoint, settings }),
      ...settings.config,
    }),
  );
  const start = () => startProgram(['start', '--config', config], environment('DATABASE_URL', urls.journal));
  let proxy = await start();
  const programs = (): Stoppable[] => [proxy, standIns, orchestrator.program];
  const httpUrl = `http://127.0.0.1:${http}`;
  return {
    endpoints: endpointsOf(front),
    direct: endpointsOf(back),
    httpUrl,
    folders,
    configFile: config,
    orchestratorDatabase: urls.orchestrator,
    journalDatabase: urls.journal,
    standIns,
    orchestrator: orchestrator.program,
    ask: (asked) => writeFlags(folders.flags, asked),
    status: async () => (await (await fetch(`${httpUrl}/v1/status`)).json()) as ProxyStatus,
    proxyPeakMegabytes: () => proxy.peakMegabytes(),
    proxyOutput: () => proxy.output(),
    async crash() {
      await proxy.kill();
      proxy = await start();
    },
    stopPrograms: () => stopAll(programs(), path.saboteur),
    end: () => endAll({ programs: programs(), saboteur: path.saboteur, postgres, root }),
  };
}

type Stoppable = Pick<Program, 'stop'>;

async function startRestartable(args: readonly string[], options: ProgramOptions = {}): Promise<Restartable> {
  let program = await startProgram(args, options);
  return {
    stop: () => program.stop(),
    kill: () => program.kill(),
    async start() {
      program = await startProgram(args, options);
    },
  };
}

async function startOrchestrator(
  folder: string,
  url: string | undefined,
): Promise<{ program: Restartable; endpoint: string }> {
  const [port = 0, http = 0] = await freePorts(2);
  const ports = ['--port', String(port), '--http-port', String(http)];
  const program = await startRestartable(
    ['orchestrator', ...ports, '--folder', folder],
    environment('ORCHESTRATOR_DATABASE_URL', url),
  );
  return { program, endpoint: `tcp://127.0.0.1:${port}` };
}

/** Where the proxy finds the orchestrator: itself, or somebody who breaks what passes. */
async function sabotaged(
  endpoint: string,
  sabotage: Sabotage | undefined,
): Promise<{ endpoint: string; saboteur: Saboteur | undefined }> {
  if (sabotage === undefined) return { endpoint, saboteur: undefined };
  const front = `tcp://127.0.0.1:${await freePort()}`;
  return { endpoint: front, saboteur: await startSaboteur(front, endpoint, sabotage) };
}

function portsOf([session = 0, health = 0, pub = 0, contextual = 0, jarvis = 0]: readonly number[]): Ports {
  return { session, health, pub, contextual, jarvis };
}

function endpointsOf(front: Ports): AgentEndpoints {
  const at = (port: number): string => `tcp://127.0.0.1:${port}`;
  return { session: at(front.session), contextual: at(front.contextual), jarvis: at(front.jarvis) };
}

function environment(name: string, url: string | undefined) {
  return url === undefined ? { without: [name] } : { env: { [name]: url } };
}

function standInArguments(ports: Ports, folder: string, settings: WorldSettings): string[] {
  const { hasOriginalLimits, isForgettingNothing = false } = settings;
  const limits = hasOriginalLimits ? [] : ['--max-sessions', String(MANY)];
  const forgotten = isForgettingNothing ? ['--cleanup-seconds', '36000'] : [];
  const named = Object.entries(ports).flatMap(([name, port]) => [`--${name}-port`, String(port)]);
  return ['stand-ins', '--data', folder, '--no-fsync', ...named, ...limits, ...forgotten];
}

/** As the stand-ins are started. */
function retentionOf(kept: object, { isForgettingNothing = false }: WorldSettings): object {
  return isForgettingNothing ? { retention: kept } : {};
}

function proxyConfig(facts: {
  front: Ports;
  back: Ports;
  http: number;
  root: string;
  folders: { legacy: string; flags: string };
  endpoint: string;
  settings: WorldSettings;
}): object {
  const { front, back, folders, settings } = facts;
  const at = (port: number): string => `tcp://127.0.0.1:${port}`;
  return {
    http: { port: facts.http },
    journal: { folder: join(facts.root, 'journal') },
    orchestrator: { endpoint: facts.endpoint },
    rollout: { folder: folders.flags },
    interlocks: settings.areInterlocksEnforced === true ? 'enforce' : 'warn',
    telemetry: { logLevel: 'warn' },
    services: {
      'session-memory': {
        port: front.session,
        healthPort: front.health,
        pubPort: front.pub,
        ...retentionOf({ owners: MANY }, settings),
        legacy: {
          endpoint: at(back.session),
          pubEndpoint: at(back.pub),
          sqliteFile: join(folders.legacy, 'session_memory.db'),
        },
      },
      'contextual-memory': {
        port: front.contextual,
        legacy: {
          endpoint: at(back.contextual),
          jsonFile: join(folders.legacy, 'contextual_memory_store.json'),
        },
      },
      'jarvis-memory': {
        port: front.jarvis,
        legacy: { endpoint: at(back.jarvis), jsonFile: join(folders.legacy, 'jarvis_memory_store.json') },
      },
    },
  };
}

async function stopAll(programs: readonly Stoppable[], saboteur: Saboteur | undefined): Promise<void> {
  for (const program of programs) await program.stop();
  saboteur?.stop();
}

async function endAll(facts: {
  programs: readonly Stoppable[];
  saboteur: Saboteur | undefined;
  postgres: TestPostgres | undefined;
  root: string;
}): Promise<void> {
  await stopAll(facts.programs, facts.saboteur);
  await facts.postgres?.stop();
  rmSync(facts.root, { recursive: true, force: true });
}
