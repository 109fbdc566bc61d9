import type { Config } from '../config/schema.ts';
import type { ServiceName } from '../domain/ids.ts';
import type { EndEdges } from '../engine/parts.ts';
import type { ServiceRuntime } from '../engine/ports/service-runtime.ts';
import type { CompletionSources } from '../operator/ends/completion.ts';
import type { Clock } from '../shared/clock.ts';
import type { Database } from '../storage/database.ts';
import { createEndFactStore } from '../storage/end-facts.ts';
import { portsOf } from './listeners.ts';

interface EndingFacts {
  readonly config: Config;
  readonly services: ReadonlyMap<ServiceName, ServiceRuntime>;
  readonly ends: Pick<EndEdges, 'store'>;
  readonly database: Database;
  readonly clock: Clock;
}

/** Where the facts are by which the end of a service's migration is judged. */
export function completionSourcesOf({ config, services, ends, database, clock }: EndingFacts) {
  return {
    services,
    store: ends.store,
    facts: createEndFactStore(database),
    sidePorts: ({ name, definition }) => {
      const service = config.services[name];
      const ports = service === undefined ? undefined : portsOf({ definition, config: service });
      return ports?.pubPort === undefined ? [] : ['pub'];
    },
    requiredSeconds: config.readOnly.requiredSeconds,
    nowMs: () => clock.wallMs(),
  } satisfies CompletionSources;
}
