import { flagName, KILL_SWITCH, SERVICE_FLAGS } from '../domain/flags.ts';
import type { ServiceName } from '../domain/ids.ts';
import type { Feature } from './definitions.ts';
import type { DefinitionStore } from './definition-store.ts';

/** The flags of a service for display. A constraint shows only the number of its values, because the values name people. */
export function shownFlags(store: DefinitionStore, service: ServiceName): readonly object[] {
  const names = [...SERVICE_FLAGS.map((flag) => flagName(service, flag)), KILL_SWITCH];
  return names.map((name) => {
    const feature = store.getToggle(name);
    return feature === undefined ? { name, known: false } : { name, ...shownFeature(feature) };
  });
}

function shownFeature({ enabled, strategies = [] }: Feature): object {
  return {
    enabled,
    strategies: strategies.map(({ name, parameters, constraints, segments = [] }) => ({
      name,
      parameters: shownParameters(parameters),
      segments: segments.length,
      constraints: constraints.map(({ contextName, operator, inverted, values }) => ({
        contextName,
        operator,
        inverted,
        values: values.length,
      })),
    })),
  };
}

const SHOWN_PARAMETERS = new Set(['rollout', 'percentage', 'stickiness', 'groupId']);

/** Hides other parameters, which are lists of users and hosts. */
function shownParameters(parameters: Readonly<Record<string, unknown>>): object {
  return Object.fromEntries(
    Object.entries(parameters).map(([name, value]) => [name, SHOWN_PARAMETERS.has(name) ? value : '(set)']),
  );
}
