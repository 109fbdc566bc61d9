import { randomUUID } from 'node:crypto';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import type { StandInService } from '../../src/sandbox/stand-ins.ts';
import { replicaId } from '../../src/domain/ids.ts';
import { ReplicaIdentity } from '../../src/engine/ports/replica-ports.ts';
import { createPostgresDatabase, type Database } from '../../src/storage/database.ts';
import { PostgresJournal, PRUNED_AT_ONCE } from '../../src/storage/journal/journal.ts';
import { PLAIN } from '../../src/storage/seal.ts';
import { type Asked, writeFlags } from '../accept/flags.ts';
import { readLegacyStores, readOrchestratorStore, type StoreContents } from '../accept/stores.ts';
import type { ProxyStatus } from '../accept/world.ts';
import { createOperatorCalls, type OperatorCalls } from '../support/operator-calls.ts';
import { freePort, freePorts } from '../support/ports.ts';
import { startOwnPostgres, type OwnPostgres } from '../support/postgres.ts';
import { LegacyService, STORE_FILES } from './legacy-service.ts';
import { REPLICAS, SERVICES, startLinks, type Links, type Replica } from './links.ts';
import { startHaltable, startRestartable, type Haltable, type Restartable } from './programs.ts';
import { PointBook } from './points.ts';
import { replicaConfig, type ReplicaPorts } from './replica-config.ts';

/** Some lanes have moved their writes, some only their reads, and some neither. */
const ASKED: Asked = { dualWrite: true, shadowRead: 20, readCutover: 90, writeCutover: 75 };

/** Two replicas of the proxy between agents, three legacy services, the orchestrator and one PostgreSQL: all processes of their own. */
export interface World {
  readonly replicas: Readonly<Record<Replica, Haltable>>;
  readonly orchestrator: Restartable;
  readonly legacy: Readonly<Record<StandInService, LegacyService>>;
  readonly postgres: OwnPostgres;
  readonly links: Links;
  /** Where agents of a service connect, by replica. */
  endpoints(service: StandInService): readonly string[];
  status(replica: Replica): Promise<ProxyStatus>;
  readonly points: PointBook;
  /** A person's calls of a replica. */
  readonly operators: Readonly<Record<Replica, OperatorCalls>>;
  /** Edits the flags of all services. */
  ask(asked: Asked): void;
  /** Deletes all that is through from the journal, as after a day in which nobody wrote. */
  prune(): Promise<void>;
  /** Rows of the journal's database, past all links. */
  journal<Row>(sql: string): Promise<readonly Row[]>;
  readonly orchestratorStore: Database;
  /** Of the legacy services' files. */
  readonly legacyFolder: string;
  stores(): Promise<{ legacy: StoreContents; orchestrator: StoreContents }>;
  end(): Promise<void>;
}

/** @param signal on it everything ends, also what is being started */
export async function startWorld(signal: AbortSignal): Promise<World> {
  const root = mkdtempSync(join(tmpdir(), 'crossfade-chaos-'));
  chmodSync(root, 0o755);
  const ending: Ending = {
    steps: [],
    push(step) {
      this.steps.push(step);
      signal.throwIfAborted();
    },
  };
  const end = async (): Promise<void> => {
    for (const step of ending.steps.splice(0).toReversed()) await step();
    rmSync(root, { recursive: true, force: true });
  };
  try {
    return { ...(await assemble(root, ending)), end };
  } catch (error) {
    await end();
    throw error;
  }
}

/** What was started, in order. */
interface Ending {
  readonly steps: (() => Promise<void>)[];
  /** @throws where all is to end already */
  push(step: () => Promise<void>): void;
}

async function assemble(root: string, ending: Ending): Promise<Omit<World, 'end'>> {
  const folders = { legacy: join(root, 'legacy'), flags: join(root, 'flags') };
  for (const folder of Object.values(folders)) mkdirSync(folder);
  writeFlags(folders.flags, ASKED);
  writeEmptyStores(folders.legacy);
  const postgres = await startOwnPostgres();
  ending.push(() => postgres.stop());
  const [journalUrl, orchestratorUrl] = [
    await postgres.createDatabase('journal'),
    await postgres.createDatabase('orchestrator'),
  ];
  const legacy = await startLegacy(folders.legacy, ending);
  const ports = { first: await replicaPorts(), second: await replicaPorts() };
  const [orchestratorPort = 0, orchestratorHttp = 0] = await freePorts(2);
  const links = await startLinks({
    replicas: ports,
    legacy: legacy.ports,
    orchestrator: orchestratorPort,
    postgres: Number(new URL(journalUrl).port),
  });
  ending.push(() => links.stop());
  const through = (url: string, link: string): string => via(url, links.port(link));
  const where = ['--port', String(orchestratorPort), '--http-port', String(orchestratorHttp)];
  const orchestrator = await startRestartable(['orchestrator', ...where, '--folder', join(root, 'vectors')], {
    ORCHESTRATOR_DATABASE_URL: through(orchestratorUrl, 'orchestrator-postgres'),
  });
  ending.push(() => orchestrator.kill());
  const startReplica = async (replica: Replica): Promise<Haltable> => {
    const config = join(root, `${replica}.yaml`);
    writeFileSync(config, stringify(replicaConfig({ root, folders, links, replica, ports: ports[replica] })));
    const started = await startHaltable(['start', '--config', config], {
      DATABASE_URL: through(journalUrl, `${replica}-postgres`),
    });
    ending.push(() => started.kill());
    return started;
  };
  const replicas = { first: await startReplica('first'), second: await startReplica('second') };
  const journalDatabase = createPostgresDatabase({ url: journalUrl, poolSize: 1 });
  ending.push(() => journalDatabase.close());
  const identity = new ReplicaIdentity(() => replicaId(randomUUID()));
  const journal = new PostgresJournal({ database: journalDatabase, replica: identity, seal: PLAIN });
  const orchestratorStore = createPostgresDatabase({ url: orchestratorUrl, poolSize: 1 });
  ending.push(() => orchestratorStore.close());
  return {
    replicas,
    orchestrator,
    legacy: legacy.services,
    postgres,
    links,
    orchestratorStore,
    endpoints: (service) =>
      REPLICAS.map((replica) => `tcp://127.0.0.1:${links.port(`agents-${replica}-${service}`)}`),
    status: async (replica) => statusOf(ports[replica].http),
    operators: { first: operatorAt(ports.first), second: operatorAt(ports.second) },
    ask: (asked) => writeFlags(folders.flags, asked),
    legacyFolder: folders.legacy,
    points: new PointBook(),
    async prune() {
      while ((await journal.prune(0)) >= PRUNED_AT_ONCE);
    },
    journal: async <Row>(sql: string) => (await postgres.execute(sql, 'journal')) as Row[],
    stores: async () => ({
      legacy: readLegacyStores(folders.legacy),
      orchestrator: await readOrchestratorStore(orchestratorStore),
    }),
  };
}

function operatorAt({ http }: ReplicaPorts): OperatorCalls {
  return createOperatorCalls(`http://127.0.0.1:${http}`);
}

async function statusOf(port: number): Promise<ProxyStatus> {
  const reply = await fetch(`http://127.0.0.1:${port}/v1/status`, { signal: AbortSignal.timeout(2_000) });
  if (!reply.ok) throw new Error(`The status answers ${reply.status}`);
  return (await reply.json()) as ProxyStatus;
}

async function startLegacy(folder: string, ending: Ending) {
  const [session = 0, contextual = 0, jarvis = 0, healthPort = 0, pubPort = 0] = await freePorts(5);
  const ports = { 'session-memory': session, 'contextual-memory': contextual, 'jarvis-memory': jarvis };
  const start = async (service: StandInService): Promise<LegacyService> => {
    const made = new LegacyService({ service, folder, port: ports[service], healthPort, pubPort });
    await made.start();
    ending.push(() => made.kill());
    return made;
  };
  const services = {
    'session-memory': await start('session-memory'),
    'contextual-memory': await start('contextual-memory'),
    'jarvis-memory': await start('jarvis-memory'),
  };
  return { ports, services };
}

async function replicaPorts(): Promise<ReplicaPorts> {
  const [session = 0, contextual = 0, jarvis = 0, health = 0] = await freePorts(4);
  return {
    'session-memory': session,
    'contextual-memory': contextual,
    'jarvis-memory': jarvis,
    health,
    http: await freePort(),
  };
}

function via(url: string, port: number): string {
  const through = new URL(url);
  through.port = String(port);
  return String(through);
}

/** Files as services have them that were in use already: a file that is not there is never taken as an empty one. */
function writeEmptyStores(folder: string): void {
  for (const service of SERVICES) {
    if (service === 'session-memory') continue;
    const empty = service === 'jarvis-memory' ? {} : { sessions: {}, summaries: {} };
    writeFileSync(join(folder, STORE_FILES[service]), JSON.stringify(empty));
  }
}
