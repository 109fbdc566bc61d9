import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { createStandIns, type StandIns, type StandInService } from '../../src/sandbox/stand-ins.ts';
import { NOTHING_ASKED, writeFlags, type Asked } from '../accept/flags.ts';
import { eventually } from './eventually.ts';
import { freePorts } from './ports.ts';
import { startPostgres, type TestPostgres } from './postgres.ts';
import { startProgram, type Program, type ProgramOptions } from './processes.ts';
import { startTcpProxy, type TcpProxy } from './tcp-proxy.ts';

/** The proxy as a process of its own, between stand-ins in this process and the orchestrator's process, on one PostgreSQL. */
export interface Deployment {
  /** The stores of the stand-ins. */
  readonly legacyFolder: string;
  /** Where agents connect. */
  readonly endpoints: Readonly<Record<StandInService, string>>;
  /** The stand-ins themselves, past the proxy. */
  readonly direct: Readonly<Record<StandInService, string>>;
  /** Without a slash at the end. */
  readonly httpUrl: string;
  readonly standIns: StandIns;
  /** The proxy's configuration, and its journal: enough to start another replica. */
  readonly configFile: string;
  readonly databaseUrl: string;
  /** The way from the proxy to session-memory. */
  readonly legacyPath: TcpProxy;
  /** The orchestrator's own HTTP port. Without a slash at the end. */
  readonly orchestratorUrl: string;
  /** The way from the proxy to the orchestrator. */
  readonly orchestratorPath: TcpProxy;
  /** Edits the flags, and waits until they are in effect and who was there before is listed: who comes later is no old lane to copy. */
  ask(asked: Asked): Promise<void>;
  status(): Promise<DeploymentStatus>;
  /** With what else the test reads of it. */
  serviceStatus<More = object>(service: string): Promise<ServiceStatus & More>;
  /** Rows of the journal's database. */
  journal<Row>(sql: string): Promise<readonly Row[]>;
  /** Rows of the orchestrator's database. */
  store<Row>(sql: string): Promise<readonly Row[]>;
  output(): string;
  /** Highest resident size of the proxy so far, MiB. */
  peakMegabytes(): number;
  /** Ends the proxy and starts it again, on the same database. */
  restart(): Promise<void>;
  /** The same with kill -9. */
  crash(): Promise<void>;
  end(): Promise<void>;
}

/** What GET /v1/status says of a service, as far as it is read here. */
export interface ServiceStatus {
  readonly service: string;
  readonly stage: string;
  readonly coverage: number;
  readonly flags: Readonly<Record<string, { readonly asked: number; readonly in_effect: number }>>;
  readonly guard: { readonly held_by: string | null; readonly findings: readonly object[] };
  readonly lanes: Readonly<Record<'total' | 'seeded' | 'dirty' | 'copying' | 'stopped', number>>;
  readonly dead_letters: number;
  readonly comparisons: Readonly<Record<'match' | 'mismatch' | 'not_comparable', number>>;
  readonly proofs: number;
  readonly no_proof_by: Readonly<Record<string, number>>;
  readonly reads_by: Readonly<Record<'legacy' | 'orchestrator', number>>;
  readonly fallbacks: Readonly<Record<string, number>>;
  readonly repeats: Readonly<Record<string, number>>;
  readonly named_writes: Readonly<Record<string, number>>;
  readonly unmapped_writes: Readonly<Record<string, number>>;
  readonly bad_input: Readonly<Record<string, number>>;
}

export interface DeploymentStatus {
  readonly services: readonly ServiceStatus[];
  readonly replicas: Readonly<Record<'live' | 'silent', number>>;
  readonly backlog: Readonly<Record<'deliveries' | 'copies' | 'listings' | 'shadow_reads', number>>;
}

export interface DeploymentSettings {
  /** Top-level settings of the proxy beside those that are made here. */
  readonly config?: Readonly<Record<string, object>>;
  /** @defaultValue warn: reads move before there are 3,000 comparisons */
  readonly interlocks?: 'enforce';
  readonly asked?: Asked;
  /** The proxy does not know where the store of session-memory is: nothing of it can be read past its agents. */
  readonly isSessionStoreUnknown?: boolean;
  /** Services of other definitions, as they stand in the configuration. */
  readonly services?: Readonly<Record<string, object>>;
  /** The stand-ins that the proxy serves. @defaultValue all */
  readonly only?: readonly StandInService[];
  /** How the proxy is started. */
  readonly start?: Pick<ProgramOptions, 'program' | 'openFiles'>;
  /** Instead of a stand-in. */
  readonly legacy?: Partial<Record<StandInService, string>>;
}

const at = (port: number): string => `tcp://127.0.0.1:${port}`;

type Ports = Readonly<Record<StandInService | 'health' | 'spare', number>>;

async function ports(): Promise<Ports> {
  const [session = 0, health = 0, contextual = 0, jarvis = 0, spare = 0] = await freePorts(5);
  return {
    'session-memory': session,
    health,
    'contextual-memory': contextual,
    'jarvis-memory': jarvis,
    spare,
  };
}

function endpointsOf(from: Ports): Record<StandInService, string> {
  return {
    'session-memory': at(from['session-memory']),
    'contextual-memory': at(from['contextual-memory']),
    'jarvis-memory': at(from['jarvis-memory']),
  };
}

export async function startDeployment(settings: DeploymentSettings = {}): Promise<Deployment> {
  const root = mkdtempSync(join(tmpdir(), 'crossfade-e2e-'));
  chmodSync(root, 0o755);
  const started: { stop(): Promise<void> }[] = [];
  const keep = <Part extends { stop(): Promise<void> }>(part: Part): Part => {
    started.push(part);
    return part;
  };
  const end = async (): Promise<void> => {
    for (const part of started.splice(0).toReversed()) await part.stop();
    rmSync(root, { recursive: true, force: true });
  };
  try {
    return { ...(await assemble(root, keep, settings)), end };
  } catch (error) {
    await end();
    throw error;
  }
}

type Keep = <Part extends { stop(): Promise<void> }>(part: Part) => Part;

async function assemble(
  root: string,
  keep: Keep,
  settings: DeploymentSettings,
): Promise<Omit<Deployment, 'end'>> {
  const { asked = NOTHING_ASKED } = settings;
  const folders = { legacy: join(root, 'legacy'), flags: join(root, 'flags') };
  for (const folder of [folders.legacy, folders.flags]) mkdirSync(folder);
  const others = Object.keys(settings.services ?? {});
  writeFlags(folders.flags, asked, others);
  const postgres = keep(await startPostgres());
  const [front, back] = [await ports(), await ports()];
  const standIns = keep(standInsOf(back, folders.legacy));
  await standIns.start();
  const legacyPath = keep(await startTcpProxy(back['session-memory']));
  const orchestrator = await startOrchestrator(root, keep, postgres);
  const orchestratorPath = keep(await startTcpProxy(orchestrator.port));
  const config = join(root, 'crossfade.yaml');
  const legacy = { ...endpointsOf(back), 'session-memory': at(legacyPath.port), ...settings.legacy };
  writeFileSync(
    config,
    stringify({
      http: { port: front.spare },
      journal: { folder: join(root, 'journal') },
      rollout: { folder: folders.flags },
      interlocks: settings.interlocks ?? 'warn',
      // Tests that break the orchestrator go on reading from it, and at no time of a day does a run begin that none has begun.
      guard: { mode: 'warn' },
      reconciliation: { changed: 'off', full: 'off' },
      telemetry: { logLevel: process.env['TEST_LOG'] ?? 'silent' },
      services: {
        ...servicesOf(front, legacy, {
          folder: folders.legacy,
          isSessionStoreUnknown: settings.isSessionStoreUnknown === true,
          only: settings.only,
        }),
        ...settings.services,
      },
      ...settings.config,
      orchestrator: { endpoint: at(orchestratorPath.port), ...settings.config?.['orchestrator'] },
    }),
  );
  const databaseUrl = await postgres.createDatabase('journal');
  const start = (): Promise<Program> =>
    startProgram(['start', '--config', config], { env: { DATABASE_URL: databaseUrl }, ...settings.start });
  let proxy = await start();
  keep({ stop: () => proxy.stop() });
  const startAnew = async (end: () => Promise<void>): Promise<void> => {
    await end();
    proxy = await start();
  };
  const httpUrl = `http://127.0.0.1:${front.spare}`;
  const [endpoints, direct] = [endpointsOf(front), endpointsOf(back)];
  const unlisted = settings.isSessionStoreUnknown === true ? 1 : 0;
  const watched = watching({ httpUrl, postgres, output: () => proxy.output(), folders, others, unlisted });
  if (asked.dualWrite) await watched.ask(asked);
  return {
    legacyFolder: folders.legacy,
    endpoints,
    direct,
    httpUrl,
    ...watched,
    peakMegabytes: () => proxy.peakMegabytes(),
    restart: () => startAnew(() => proxy.stop()),
    crash: () => startAnew(() => proxy.kill()),
    configFile: config,
    databaseUrl,
    standIns,
    legacyPath,
    orchestratorPath,
    orchestratorUrl: `http://127.0.0.1:${orchestrator.httpPort}`,
  };
}

function standInsOf(port: Ports, dataFolder: string): StandIns {
  const shared = { dataFolder };
  return createStandIns({
    'session-memory': {
      ...shared,
      port: port['session-memory'],
      healthPort: port.health,
      maxSessions: 1_000_000,
      cleanupSeconds: 3_600,
      fsync: false,
    },
    'contextual-memory': { ...shared, port: port['contextual-memory'] },
    'jarvis-memory': { ...shared, port: port['jarvis-memory'] },
  });
}

async function startOrchestrator(
  root: string,
  keep: Keep,
  postgres: TestPostgres,
): Promise<{ readonly port: number; readonly httpPort: number }> {
  const [port = 0, httpPort = 0] = await freePorts(2);
  const where = ['--port', String(port), '--http-port', String(httpPort)];
  keep(
    await startProgram(['orchestrator', ...where, '--folder', join(root, 'orchestrator')], {
      env: { ORCHESTRATOR_DATABASE_URL: await postgres.createDatabase('orchestrator') },
    }),
  );
  return { port, httpPort };
}

function servicesOf(
  front: Ports,
  legacy: Readonly<Record<StandInService, string>>,
  {
    folder,
    isSessionStoreUnknown,
    only,
  }: { folder: string; isSessionStoreUnknown: boolean; only: readonly StandInService[] | undefined },
): object {
  const all: Record<StandInService, object> = {
    'session-memory': {
      port: front['session-memory'],
      healthPort: front.health,
      legacy: {
        endpoint: legacy['session-memory'],
        ...(!isSessionStoreUnknown && { sqliteFile: join(folder, 'session_memory.db') }),
      },
    },
    'contextual-memory': {
      port: front['contextual-memory'],
      legacy: {
        endpoint: legacy['contextual-memory'],
        jsonFile: join(folder, 'contextual_memory_store.json'),
      },
    },
    'jarvis-memory': {
      port: front['jarvis-memory'],
      legacy: { endpoint: legacy['jarvis-memory'], jsonFile: join(folder, 'jarvis_memory_store.json') },
    },
  };
  return only === undefined ? all : Object.fromEntries(only.map((service) => [service, all[service]]));
}

interface Watched {
  readonly httpUrl: string;
  readonly postgres: TestPostgres;
  readonly output: () => string;
  readonly folders: { readonly flags: string };
  /** Services beside the stand-ins'. */
  readonly others: readonly string[];
  readonly unlisted: number;
}

function watching({ httpUrl, postgres, output, folders, others, unlisted }: Watched) {
  const status = async (): Promise<DeploymentStatus> =>
    (await (await fetch(`${httpUrl}/v1/status`)).json()) as DeploymentStatus;
  return {
    status,
    async serviceStatus<More>(service: string): Promise<ServiceStatus & More> {
      const { services } = await status();
      const found = services.find((one) => one.service === service);
      if (found === undefined) throw new Error(`No status of ${service}`);
      return found as ServiceStatus & More;
    },
    async ask(asked: Asked): Promise<void> {
      writeFlags(folders.flags, asked, others);
      await eventually(`flags ${JSON.stringify(asked)} in effect`, async () => {
        const { services, backlog } = await status();
        return backlog.listings <= unlisted && services.every((service) => follows(service, asked));
      });
    },
    journal: async <Row>(sql: string) => (await postgres.execute(sql, 'journal')) as Row[],
    store: async <Row>(sql: string) => (await postgres.execute(sql, 'orchestrator')) as Row[],
    output,
  };
}

function follows({ coverage, flags }: ServiceStatus, { dualWrite, shadowRead, readCutover }: Asked): boolean {
  return (
    coverage > 0 === dualWrite &&
    flags['shadow-read']?.asked === shadowRead &&
    flags['read-cutover']?.asked === readCutover
  );
}
