import { createHttpLegacyBackend } from '../backends/http-channel.ts';
import type { LegacyClient } from '../backends/channels.ts';
import { createLegacyAccess } from '../backends/legacy-store.ts';
import { createZmqLegacyBackend } from '../backends/zmq-channel.ts';
import type { DefinedService } from './definitions.ts';
import { serviceName } from '../domain/ids.ts';
import type { LegacyAccess } from '../domain/service-definition.ts';
import type { Clock } from '../shared/clock.ts';

/** The connections to one legacy service. They open when they are started or first used. */
interface LegacyParts {
  readonly legacy: LegacyClient;
  readonly access: LegacyAccess;
  stop(): Promise<void>;
}

export function createLegacyParts({ name, config }: DefinedService, clock: Clock): LegacyParts {
  const { endpoint, inFlight, queueSize, connections, sqliteFile, jsonFile } = config.legacy;
  const shared = { service: serviceName(name), endpoint, queueLimit: queueSize, clock };
  const legacy = endpoint.startsWith('http')
    ? createHttpLegacyBackend({ ...shared, connections })
    : createZmqLegacyBackend({ ...shared, inFlightLimit: inFlight });
  const access = createLegacyAccess({
    backend: legacy,
    clock,
    ...(sqliteFile !== undefined && { sqlitePath: sqliteFile }),
    ...(jsonFile !== undefined && { jsonPath: jsonFile }),
  });
  return {
    legacy,
    access,
    stop: async () => {
      await access.stop();
      await legacy.stop();
    },
  };
}
