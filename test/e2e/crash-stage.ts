import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { createPostgresDatabase, type Database } from '../../src/storage/database.ts';
import type { AgentEndpoints } from '../accept/agents.ts';
import { NOTHING_ASKED, writeFlags } from '../accept/flags.ts';
import { readLegacyStores, readOrchestratorStore, type StoreContents } from '../accept/stores.ts';
import type { ProxyStatus } from '../accept/world.ts';
import { SHORT_END } from '../support/end-of-service.ts';
import { createOperatorCalls, type OperatorCalls } from '../support/operator-calls.ts';
import { freePort, freePorts } from '../support/ports.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';
import { startProgram } from '../support/processes.ts';
import { startWatched, type WatchedProxy } from './watched-proxy.ts';

/** One migration of its own: legacy stand-ins and a journal that no other case knows, in front of the file's orchestrator. */
export interface CrashCase {
  readonly endpoints: AgentEndpoints;
  /** The second replica's, where one is started. */
  readonly secondEndpoints: AgentEndpoints;
  /** Put in front of every owner, so that cases can share the orchestrator. */
  readonly prefix: string;
  readonly journalUrl: string;
  /** Of the legacy services' stores. */
  readonly legacyFolder: string;
  /** A person's calls of the first replica. */
  readonly operator: OperatorCalls;
  ask(dualWrite: boolean): void;
  /** The flags ask for all reads and writes of all lanes. */
  askForAll(): void;
  startProxy(haltOn?: string): Promise<WatchedProxy>;
  /** Another proxy on the same journal, services and flags. */
  startSecond(): Promise<WatchedProxy>;
  /** Resolves when nothing is on its way any more; rejects where it stays so. */
  settled(of?: 'first' | 'second'): Promise<ProxyStatus>;
  status(): Promise<ProxyStatus>;
  stores(): Promise<{ legacy: StoreContents; orchestrator: StoreContents }>;
  end(): Promise<void>;
}

export interface CaseSettings {
  /** @defaultValue true */
  readonly dualWrite?: boolean;
  /** What jarvis-memory's file holds before it starts: memories of one user. */
  readonly memories?: { readonly user: string; readonly count: number };
  /** @defaultValue 2,000: a busy machine may stand still for one */
  readonly deadlineMs?: number;
  /** How long a proxy waits for its ports. @defaultValue 0 */
  readonly takeOverMs?: number;
  /** Where a proxy finds its journal, given the database's own url. */
  readonly journalVia?: (url: string, of: 'first' | 'second') => string;
  /** Writes of one lane that may wait. @defaultValue the proxy's own */
  readonly laneBacklog?: number;
  /** Entries of a session that contextual-memory keeps. @defaultValue more than any case writes */
  readonly entries?: number;
  /** Writes are spilled while the journal is away. @defaultValue false */
  readonly spills?: boolean;
  /** The clock on the wall of each proxy jumps by an hour, as `test/support/jumping-clock.ts` says. @defaultValue false */
  readonly jumpsClock?: boolean;
}

/** What all cases of a file share. */
export interface CrashStage {
  readonly postgres: TestPostgres;
  readonly orchestratorStore: Database;
  /** A new case under its own prefix. */
  begin(settings?: CaseSettings): Promise<CrashCase>;
  killOrchestrator(): Promise<void>;
  startOrchestrator(): Promise<void>;
  end(): Promise<void>;
}

/** Characters of a proxy's output in a failure. */
const OUTPUT_SHOWN = 2_000;
const SETTLE_LIMIT_MS = 60_000;
/** Far above what a case writes: forgetting is another test's affair. */
const MANY = 1_000_000;

/** @param startDatabases where the databases are: a server of its own for tests that crash PostgreSQL */
export async function startStage(
  startDatabases: () => Promise<TestPostgres> = startPostgres,
): Promise<CrashStage> {
  const root = mkdtempSync(join(tmpdir(), 'crossfade-crash-'));
  chmodSync(root, 0o755);
  const postgres = await startDatabases();
  const url = await postgres.createDatabase('orchestrator');
  const [port = 0, http = 0] = await freePorts(2);
  const args = ['orchestrator', '--port', String(port), '--http-port', String(http), '--folder', root];
  const startOrchestrator = () => startProgram(args, { env: { ORCHESTRATOR_DATABASE_URL: url } });
  let orchestrator = await startOrchestrator();
  const orchestratorStore = createPostgresDatabase({ url, poolSize: 1 });
  const cases: CrashCase[] = [];
  let begun = 0;
  return {
    postgres,
    orchestratorStore,
    async begin(settings = {}) {
      const number = ++begun;
      const made = await createCase({
        postgres,
        orchestratorStore,
        prefix: `case-${number}`,
        folder: join(root, `case-${number}`),
        endpoint: `tcp://127.0.0.1:${port}`,
        settings,
      });
      cases.push(made);
      return made;
    },
    killOrchestrator: () => orchestrator.kill(),
    async startOrchestrator() {
      orchestrator = await startOrchestrator();
    },
    async end() {
      for (const one of cases) await one.end();
      await orchestrator.kill();
      await orchestratorStore.close();
      await postgres.stop();
      rmSync(root, { recursive: true, force: true });
    },
  };
}

async function createCase(facts: {
  postgres: TestPostgres;
  orchestratorStore: Database;
  prefix: string;
  folder: string;
  endpoint: string;
  settings: CaseSettings;
}): Promise<CrashCase> {
  const { folder, prefix, settings } = facts;
  const folders = { legacy: join(folder, 'legacy'), flags: join(folder, 'flags') };
  for (const name of Object.values(folders)) mkdirSync(name, { recursive: true });
  const ask = (dualWrite: boolean): void => writeFlags(folders.flags, { ...NOTHING_ASKED, dualWrite });
  ask(settings.dualWrite ?? true);
  writeStores(folders.legacy, prefix, settings.memories);
  const databaseUrl = await facts.postgres.createDatabase(`journal_${prefix.replace('-', '_')}`);
  const urlOf = (of: 'first' | 'second') => settings.journalVia?.(databaseUrl, of) ?? databaseUrl;
  const [front, back, http] = [await portsOf(), await portsOf(), await freePort()];
  const second = { front: await portsOf(), http: await freePort() };
  const standIns = await startProgram(
    standInArguments(back, { folder: folders.legacy, entries: settings.entries ?? MANY }),
  );
  const config = join(folder, 'crossfade.yaml');
  writeFileSync(config, stringify(proxyConfig({ ...facts, front, back, http, folders })));
  const secondConfig = join(folder, 'second.yaml');
  writeFileSync(secondConfig, stringify(proxyConfig({ ...facts, ...second, back, folders })));
  let proxy: WatchedProxy | undefined;
  let another: WatchedProxy | undefined;
  return {
    endpoints: endpointsOf(front),
    secondEndpoints: endpointsOf(second.front),
    prefix,
    journalUrl: databaseUrl,
    legacyFolder: folders.legacy,
    operator: createOperatorCalls(`http://127.0.0.1:${http}`),
    ask,
    askForAll: () =>
      writeFlags(folders.flags, { ...NOTHING_ASKED, dualWrite: true, readCutover: 100, writeCutover: 100 }),
    async startProxy(haltOn) {
      proxy = await startWatched({ config, url: urlOf('first'), haltOn, ...settings });
      return proxy;
    },
    async startSecond() {
      another = await startWatched({ config: secondConfig, url: urlOf('second'), ...settings });
      return another;
    },
    settled: (of = 'first') =>
      of === 'first'
        ? settled(http, () => proxy?.output() ?? '')
        : settled(second.http, () => another?.output() ?? ''),
    status: async () => (await (await fetch(`http://127.0.0.1:${http}/v1/status`)).json()) as ProxyStatus,
    stores: async () => ({
      legacy: readLegacyStores(folders.legacy),
      orchestrator: await readOrchestratorStore(facts.orchestratorStore),
    }),
    async end() {
      await proxy?.kill();
      await another?.kill();
      await standIns.kill();
    },
  };
}

function sum(status: ProxyStatus, count: (service: ProxyStatus['services'][number]) => number): number {
  return status.services.reduce((total, service) => total + count(service), 0);
}

function isSettled({ backlog, replicas, services }: ProxyStatus): boolean {
  // What a killed one left is taken over when its lease has ended.
  if (replicas.silent > 0) return false;
  const { deliveries, copies, listings, shadow_reads } = backlog;
  const isIdle = deliveries + copies + listings + shadow_reads === 0;
  return isIdle && services.every(({ lanes }) => lanes.dirty + lanes.copying === 0);
}

async function settled(http: number, output: () => string): Promise<ProxyStatus> {
  const startedAtMs = performance.now();
  // Twice in a row: between an answer and the record that its lane is dirty nothing is counted.
  for (let readings = 0; ;) {
    const reply = await fetch(`http://127.0.0.1:${http}/v1/status`);
    const status = (await reply.json()) as ProxyStatus;
    readings = reply.ok && isSettled(status) ? readings + 1 : 0;
    if (readings === 2) {
      const unwell = sum(status, ({ lanes, dead_letters }) => lanes.stopped + dead_letters);
      if (unwell > 0) throw new Error(`A lane waits for a person: ${JSON.stringify(status.services)}`);
      return status;
    }
    if (performance.now() - startedAtMs > SETTLE_LIMIT_MS)
      throw new Error(`Not settled: ${JSON.stringify(status)}\n${output().slice(-OUTPUT_SHOWN)}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

/** Files as services have them that were in use already: a file that is not there is never taken as an empty one. */
function writeStores(folder: string, prefix: string, memories: CaseSettings['memories']): void {
  const { user, count } = memories ?? { user: 'nobody', count: 0 };
  const list = Array.from({ length: count }, (_, index) => ({
    timestamp: 1_700_000_000 + index,
    memory: `memory ${index}`,
  }));
  const jarvis = count === 0 ? {} : { [`${prefix}-${user}`]: list };
  writeFileSync(join(folder, 'jarvis_memory_store.json'), JSON.stringify(jarvis));
  const contextual = { sessions: {}, summaries: {} };
  writeFileSync(join(folder, 'contextual_memory_store.json'), JSON.stringify(contextual));
}

type Ports = Readonly<Record<'session' | 'health' | 'pub' | 'contextual' | 'jarvis', number>>;

async function portsOf(): Promise<Ports> {
  const [session = 0, health = 0, pub = 0, contextual = 0, jarvis = 0] = await freePorts(5);
  return { session, health, pub, contextual, jarvis };
}

function endpointsOf({ session, contextual, jarvis }: Ports): AgentEndpoints {
  return { session: at(session), contextual: at(contextual), jarvis: at(jarvis) };
}

function at(port: number): string {
  return `tcp://127.0.0.1:${port}`;
}

function standInArguments(
  ports: Ports,
  { folder, entries }: { readonly folder: string; readonly entries: number },
): string[] {
  const named = Object.entries(ports).flatMap(([name, port]) => [`--${name}-port`, String(port)]);
  return ['stand-ins', '--data', folder, '--no-fsync', '--max-entries', String(entries), ...named];
}

function proxyConfig(facts: {
  front: Ports;
  back: Ports;
  http: number;
  folder: string;
  folders: { legacy: string; flags: string };
  endpoint: string;
  settings: CaseSettings;
}): object {
  const { front, back, folders } = facts;
  const { session, health, pub, contextual, jarvis } = front;
  const stored = (name: string): string => join(folders.legacy, name);
  return {
    http: { port: facts.http },
    proxy: { deadlineMs: facts.settings.deadlineMs ?? 2_000, takeOverMs: facts.settings.takeOverMs ?? 0 },
    journal: {
      folder: join(facts.folder, 'journal'),
      ...(facts.settings.laneBacklog !== undefined && { laneBacklog: facts.settings.laneBacklog }),
      ...(facts.settings.spills === true && { spillFolder: join(facts.folder, 'spill') }),
    },
    orchestrator: { endpoint: facts.endpoint },
    rollout: { folder: folders.flags },
    // Reads move here before there are 3,000 comparisons.
    interlocks: 'warn',
    // Tests that break the orchestrator go on reading from it.
    guard: { mode: 'warn' },
    readOnly: SHORT_END,
    telemetry: { logLevel: 'warn' },
    services: {
      'session-memory': {
        port: session,
        healthPort: health,
        pubPort: pub,
        legacy: { endpoint: at(back.session), sqliteFile: stored('session_memory.db') },
      },
      'contextual-memory': {
        port: contextual,
        retention: { entries: facts.settings.entries ?? MANY },
        legacy: { endpoint: at(back.contextual), jsonFile: stored('contextual_memory_store.json') },
      },
      'jarvis-memory': {
        port: jarvis,
        legacy: { endpoint: at(back.jarvis), jsonFile: stored('jarvis_memory_store.json') },
      },
    },
  };
}
