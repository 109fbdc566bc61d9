import type { Config, ServiceConfig } from '../config/schema.ts';
import { importDefinition } from './definition-file.ts';
import type { ServiceDefinition } from '../domain/service-definition.ts';
import { contextualMemory } from '../services/contextual-memory/contextual-memory.ts';
import { nearestName } from '../shared/nearest-name.ts';
import { jarvisMemory } from '../services/jarvis-memory.ts';
import { sessionMemory } from '../services/session-memory/session-memory.ts';

const BUILT_IN: ReadonlyMap<string, ServiceDefinition> = new Map(
  [sessionMemory, contextualMemory, jarvisMemory].map((definition) => [definition.name, definition]),
);

/** A configured service with the definition of its protocol. */
export interface DefinedService {
  readonly name: string;
  readonly config: ServiceConfig;
  readonly definition: ServiceDefinition;
}

/** Loads the definition of each configured service: built in, or the user's own file. @throws Error with the service and its file */
export async function loadDefinitions(config: Config): Promise<readonly DefinedService[]> {
  return Promise.all(
    Object.entries(config.services).map(async ([name, service]) => {
      const found =
        service.definition === undefined
          ? BUILT_IN.get(name)
          : await importDefinition(name, service.definition);
      if (found === undefined) {
        const known = [...BUILT_IN.keys()];
        const near = nearestName(name, known);
        throw new Error(
          `services.${name} has no definition: set services.${name}.definition to your own file, or use the name of a built-in service (${known.join(', ')})${near === undefined ? '' : `; did you mean services.${near}?`}`,
        );
      }
      return { name, config: service, definition: adjusted(found, service) };
    }),
  );
}

/** The definition with the ports and the retention of the settings. */
function adjusted(
  definition: ServiceDefinition,
  { port, healthPort, pubPort, retention }: ServiceConfig,
): ServiceDefinition {
  const { endpoint, lanes } = definition;
  const ports = given({ port, healthPort, pubPort });
  return {
    ...definition,
    endpoint: endpoint.kind === 'zmq' ? { ...endpoint, ...ports } : endpoint,
    lanes: { ...lanes, retention: { ...lanes.retention, ...given(retention) } },
  };
}

/** The settings that are set. */
function given<Value>(settings: Readonly<Record<string, Value | undefined>> = {}): Record<string, Value> {
  const entries = Object.entries(settings).filter(
    (entry): entry is [string, Value] => entry[1] !== undefined,
  );
  return Object.fromEntries(entries);
}
