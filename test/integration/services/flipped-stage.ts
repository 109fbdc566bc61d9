import { join } from 'node:path';
import { createLegacyAccess } from '../../../src/backends/legacy-store.ts';
import { readReply } from '../../../src/domain/request.ts';
import type { LegacyAccess, ServiceDefinition } from '../../../src/domain/service-definition.ts';
import { createContextualMemory } from '../../../src/sandbox/contextual-memory.ts';
import { createJarvisMemory } from '../../../src/sandbox/jarvis-memory.ts';
import { createSessionMemory, type SessionMemorySettings } from '../../../src/sandbox/session-memory.ts';
import type { StandIn } from '../../../src/sandbox/stand-in.ts';
import { contextualMemory } from '../../../src/services/contextual-memory/contextual-memory.ts';
import { jarvisMemory } from '../../../src/services/jarvis-memory.ts';
import { sessionMemory } from '../../../src/services/session-memory/session-memory.ts';
import { systemClock } from '../../../src/shared/clock.ts';
import type { TestOrchestrator } from '../../support/orchestrator.ts';
import { freePorts } from '../../support/ports.ts';
import type { Playground } from '../sandbox/playground.ts';
import { FlippedService } from './flipped-service.ts';
import type { Generated } from './generated-values.ts';

const LOCAL_TIME = /^"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?"$/;
const EPOCH_TIME = /^\d{10}\.\d{1,7}$/;
const SECONDS = /^\d+\.\d+$/;
const COUNT = /^\d+$/;

/** All that may differ from a recording: generated ids, times and counters, each in the form that the original gave it. */
export const GENERATED = {
  'session-memory': {
    session_id: /^"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"$/,
    'context[].timestamp': LOCAL_TIME,
  },
  'contextual-memory': {
    last_updated: EPOCH_TIME,
    'key_decisions[].timestamp': EPOCH_TIME,
    timestamp: EPOCH_TIME,
    uptime_seconds: SECONDS,
    total_requests: COUNT,
    successful_requests: COUNT,
    failed_requests: COUNT,
    health_check_requests: COUNT,
    bind_address: /^"tcp:\/\/0\.0\.0\.0:\d+"$/,
  },
  'jarvis-memory': { 'memories[].timestamp': EPOCH_TIME },
} as const satisfies Record<string, Generated>;

export type Service = keyof typeof GENERATED;

interface Kind {
  readonly definition: ServiceDefinition;
  readonly port: number;
  create(ports: readonly number[], dataFolder: string, settings: Partial<SessionMemorySettings>): StandIn;
  access(
    dataFolder: string,
    call: (text: string) => Promise<string>,
  ): LegacyAccess & { stop(): Promise<void> };
}

const clock = systemClock;
export const KINDS: Readonly<Record<Service, Kind>> = {
  'session-memory': {
    definition: sessionMemory,
    port: 5574,
    create: ([port = 0, healthPort = 0], dataFolder, settings) =>
      createSessionMemory({ port, healthPort, dataFolder, timeZone: 'UTC', ...settings }),
    access: (folder) => createLegacyAccess({ clock, sqlitePath: join(folder, 'session_memory.db') }),
  },
  'contextual-memory': {
    definition: contextualMemory,
    port: 5596,
    create: ([port = 0], dataFolder) => createContextualMemory({ port, dataFolder }),
    access: (folder) => createLegacyAccess({ clock, jsonPath: join(folder, 'contextual_memory_store.json') }),
  },
  'jarvis-memory': {
    definition: jarvisMemory,
    port: 5598,
    create: ([port = 0], dataFolder) => createJarvisMemory({ port, dataFolder }),
    access: (_folder, call) => ({
      call: async (text) => readReply(Buffer.from(await call(text))),
      stop: async () => {},
    }),
  },
};

let playgrounds = 0;

/** All recordings share an orchestrator, and use the same owners. */
function apart(definition: ServiceDefinition, number: number): ServiceDefinition {
  const { name, lanes } = definition;
  return {
    ...definition,
    name: `${name}-${number}`,
    lanes: { ...lanes, sessionPrefix: `${lanes.sessionPrefix}-${number}` },
  };
}

export interface Flipping {
  readonly service: Service;
  readonly standIn?: Partial<SessionMemorySettings>;
}

/** A stand-in of a service, and the proxy in front of it that has flipped every lane. */
export async function flip(
  playground: Playground,
  orchestrator: TestOrchestrator,
  { service, standIn: settings = {} }: Flipping,
) {
  const kind = KINDS[service];
  const standIn = await playground.start(kind.create(await freePorts(2), playground.dataFolder, settings));
  const agent = playground.connect(standIn);
  const legacy = (text: string): Promise<string> => playground.ask(agent, text);
  const access = kind.access(playground.dataFolder, legacy);
  const { timeZone = 'UTC' } = settings;
  playgrounds += 1;
  const flipped = new FlippedService({
    definition: apart(kind.definition, playgrounds),
    orchestrator,
    legacy,
    access,
    timeZone,
  });
  return { standIn, legacy, flipped, access };
}
