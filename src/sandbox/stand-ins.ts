import { createContextualMemory } from './contextual-memory.ts';
import type { ContextualMemorySettings } from './contextual-memory.ts';
import { createJarvisMemory } from './jarvis-memory.ts';
import type { JarvisMemorySettings } from './jarvis-memory.ts';
import type { Faults } from './serial-server.ts';
import { createSessionMemory } from './session-memory.ts';
import type { SessionMemorySettings } from './session-memory.ts';
import type { StandIn } from './stand-in.ts';

/** The services that are imitated. */
export const STAND_IN_SERVICES = ['session-memory', 'contextual-memory', 'jarvis-memory'] as const;
export type StandInService = (typeof STAND_IN_SERVICES)[number];

/** A service that is left out does not run. */
export interface StandInsSettings {
  readonly 'session-memory'?: SessionMemorySettings;
  readonly 'contextual-memory'?: ContextualMemorySettings;
  readonly 'jarvis-memory'?: JarvisMemorySettings;
}

export interface StandIns {
  /** Either all start or none. */
  start: () => Promise<void>;
  stop: () => Promise<void>;
  /** @throws Error for a service that was left out */
  setFaults: (service: StandInService, faults: Faults) => void;
}

/** The legacy services in this process, each with its own sockets and store. */
export function createStandIns(settings: StandInsSettings): StandIns {
  const standIns = new Map<StandInService, StandIn>();
  const { 'session-memory': session, 'contextual-memory': contextual, 'jarvis-memory': jarvis } = settings;
  if (session !== undefined) standIns.set('session-memory', createSessionMemory(session));
  if (contextual !== undefined) standIns.set('contextual-memory', createContextualMemory(contextual));
  if (jarvis !== undefined) standIns.set('jarvis-memory', createJarvisMemory(jarvis));
  const started: StandIn[] = [];
  const stop = async (): Promise<void> => {
    for (const standIn of started.splice(0).toReversed()) await standIn.stop();
  };
  return {
    start: async () => {
      try {
        for (const standIn of standIns.values()) {
          started.push(standIn);
          await standIn.start();
        }
      } catch (error) {
        await stop();
        throw error;
      }
    },
    stop,
    setFaults: (service, faults) => {
      const standIn = standIns.get(service);
      if (standIn === undefined) throw new Error(`The stand-in "${service}" does not run here`);
      standIn.setFaults(faults);
    },
  };
}
