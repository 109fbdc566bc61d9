import { serviceName, type ServiceName } from '../../src/domain/ids.ts';
import { Database } from './database.ts';
import { Faults, drawApart, drawProfile, type Profile } from './faults.ts';
import { SimFlags } from './flags.ts';
import { History } from './history.ts';
import { ContextualModel } from './legacy/contextual-model.ts';
import type { LegacyModel, ModelClock } from './legacy/effects.ts';
import { JarvisModel } from './legacy/jarvis-model.ts';
import { NotesModel } from './legacy/notes-model.ts';
import { SessionModel } from './legacy/session-model.ts';
import type { Monitor } from './monitor.ts';
import { OrchestratorStore } from './orchestrator-store.ts';
import { answerRequest } from './orchestrator-wire.ts';
import { Plant, type Break } from './plant.ts';
import { Primaries } from './primaries.ts';
import { Restores } from './restores.ts';
import { Random } from './random.ts';
import { Scheduler } from './scheduler.ts';
import { Server } from './server.ts';
import { SpillDisk } from './spill-disk.ts';
import { Trace } from './trace.ts';
import { useFor, virtualInstantOf, virtualWallMs, virtualWallOf } from './virtual-globals.ts';

export interface RunSettings {
  readonly seed: number;
  readonly replicas: number;
  readonly without: readonly string[];
  readonly broken: Break | undefined;
  readonly keepsTrace: boolean;
  readonly jumpsClocks: boolean;
  readonly hasShadowReads: boolean;
}

/** A legacy service of a run, as a process and as what it holds. */
export interface SimService {
  readonly name: ServiceName;
  readonly model: LegacyModel;
  /** What legacy would hold if it had executed what the primaries of its lanes took, and nothing else. */
  readonly truth: LegacyModel;
  readonly server: Server;
  readonly owners: readonly string[];
}

/** Everything of a run that is no proxy. */
export interface World {
  readonly settings: RunSettings;
  readonly random: Random;
  readonly trace: Trace;
  readonly scheduler: Scheduler;
  readonly profile: Profile;
  readonly faults: Faults;
  readonly flags: SimFlags;
  readonly database: Database;
  /** The database dies with the one process that has it. */
  readonly isEmbedded: boolean;
  readonly store: OrchestratorStore;
  readonly orchestrator: Server;
  readonly services: readonly SimService[];
  /** Of its proxies; where they leave in order there is one to spare. */
  readonly names: readonly string[];
  /** Of each replica that spills, by its name. */
  readonly disks: ReadonlyMap<string, SpillDisk>;
  readonly history: History;
  readonly primaries: Primaries;
  readonly plant: Plant;
  readonly restores: Restores;
  monitor?: Monitor;
}

const MODELS: readonly (new (clock: ModelClock) => LegacyModel)[] = [
  SessionModel,
  ContextualModel,
  JarvisModel,
  NotesModel,
];

export function createWorld(settings: RunSettings): World {
  const random = new Random(settings.seed);
  const trace = new Trace(settings.keepsTrace);
  const scheduler = new Scheduler(random, trace);
  useFor(scheduler, random);
  const plant = new Plant(settings.broken, random);
  const without = new Set(settings.without);
  const profile = plant.profile({
    ...drawProfile(random, without),
    ...drawApart(settings.seed, without),
  });
  const faults = new Faults(random, profile, () => scheduler.nowMs);
  plant.poisonEvery = faults.rate('poison') > 0 ? random.whole(7, 40) : 0;
  const store = new OrchestratorStore(plant);
  const orchestrator = new Server({
    name: 'orchestrator',
    isSerial: false,
    scheduler,
    faults,
    execute: ({ body }) => answerRequest(store, body),
  });
  const database = new Database({
    now: () => scheduler.nowMs,
    instantOf: (wallMs) => virtualInstantOf(wallMs, scheduler),
    wallOf: (instantMs) => virtualWallOf(instantMs, scheduler),
  });
  const primaries = new Primaries({ database, scheduler, faults, random, plant });
  const isEmbedded = settings.replicas === 1 && random.chance(0.5);
  const names = namesOf(settings.replicas + (faults.rate('leave') > 0 && !isEmbedded ? 1 : 0));
  return {
    settings,
    random,
    trace,
    scheduler,
    profile,
    faults,
    flags: new SimFlags(scheduler, random, settings.hasShadowReads),
    database,
    isEmbedded,
    names,
    store,
    orchestrator,
    services: createServices(random, { scheduler, faults, primaries }),
    disks: createDisks(names, random),
    history: new History(),
    primaries,
    plant,
    restores: new Restores(),
  };
}

/** Most replicas may spill; the others refuse writes while the journal is away. */
function createDisks(names: readonly string[], random: Random): Map<string, SpillDisk> {
  const spilling = names.filter(() => random.chance(0.8));
  return new Map(spilling.map((name) => [name, new SpillDisk(random.uuid())]));
}

function namesOf(replicas: number): string[] {
  return Array.from({ length: replicas }, (_, index) => `r${index}`);
}

interface ServiceParts {
  readonly scheduler: Scheduler;
  readonly faults: Faults;
  readonly primaries: Primaries;
}

function createServices(random: Random, { scheduler, faults, primaries }: ServiceParts): SimService[] {
  const clock = { nowMs: () => scheduler.nowMs, wallMs: () => virtualWallMs(scheduler) };
  const first = random.whole(0, MODELS.length - 1);
  const count = random.chance(0.3) ? 2 : 1;
  return Array.from({ length: count }, (_, index) => {
    const Model = MODELS[(first + index) % MODELS.length] ?? NotesModel;
    const [model, truth] = [new Model(clock), new Model(clock)];
    const name = serviceName(model.definition.name);
    const server = new Server({
      name,
      isSerial: true,
      scheduler,
      faults,
      execute: (request) => primaries.onLegacy({ name, model, truth }, request),
    });
    const owners = Array.from({ length: random.whole(1, 3) }, (__, owner) => `o${owner}`);
    return { name, model, truth, server, owners };
  });
}
