import { join } from 'node:path';
import type { StandInService } from '../../src/sandbox/stand-ins.ts';
import { SHORT_END } from '../support/end-of-service.ts';
import { MANY, STORE_FILES } from './legacy-service.ts';
import type { Links, Replica } from './links.ts';

export type ReplicaPorts = Readonly<Record<StandInService | 'health' | 'http', number>>;

/** Shorter than the originals' 4.5 s, so that rounds are short. */
const DEADLINE_MS = 1_500;
/** So long a successor waits for the ports of the one before it. */
const TAKE_OVER_MS = 40_000;

/** As the services are started. */
const KEPT: Readonly<Record<StandInService, object>> = {
  'session-memory': { owners: MANY },
  'contextual-memory': { entries: MANY },
  'jarvis-memory': {},
};
/** A lane that was verified a second ago may be flipped, and all lanes of a service within seconds. */
const FLIPS = { perSecond: 100, soakHours: 0 };

interface ReplicaFacts {
  readonly root: string;
  readonly folders: { readonly legacy: string; readonly flags: string };
  readonly links: Links;
  readonly replica: Replica;
  readonly ports: ReplicaPorts;
}

/** Settings of one replica, which reaches everything through its own links. */
export function replicaConfig({ root, folders, links, replica, ports }: ReplicaFacts): object {
  const at = (link: string): string => `tcp://127.0.0.1:${links.port(link)}`;
  const stored = (service: StandInService): string => join(folders.legacy, STORE_FILES[service]);
  const legacy = (service: StandInService): object => ({
    port: ports[service],
    retention: KEPT[service],
    legacy: {
      endpoint: at(`${replica}-legacy-${service}`),
      [service === 'session-memory' ? 'sqliteFile' : 'jsonFile']: stored(service),
    },
  });
  return {
    http: { port: ports.http },
    proxy: { deadlineMs: DEADLINE_MS, takeOverMs: TAKE_OVER_MS },
    journal: { folder: join(root, `${replica}-journal`) },
    orchestrator: { endpoint: at(`${replica}-orchestrator`) },
    rollout: { folder: folders.flags },
    // Reads move here before there are 3,000 comparisons, and go on moving while everything is broken.
    interlocks: 'warn',
    guard: { mode: 'warn' },
    flips: FLIPS,
    readOnly: SHORT_END,
    telemetry: { logLevel: 'warn' },
    services: {
      'session-memory': { ...legacy('session-memory'), healthPort: ports.health },
      'contextual-memory': legacy('contextual-memory'),
      'jarvis-memory': legacy('jarvis-memory'),
    },
  };
}
