import { EventEmitter } from 'node:events';
import { FLAG_PREFIX, flagName, KILL_SWITCH, SERVICE_FLAGS } from '../domain/flags.ts';
import type { ServiceName } from '../domain/ids.ts';
import type { Definitions, Feature, Repository, Segment } from './definitions.ts';

/** The definitions that unleash-client evaluates, kept in memory. It fetches nothing itself. */
export interface DefinitionStore extends Repository {
  /** Replaces all definitions and notifies the listeners. */
  replace(definitions: Definitions): void;
  version(): number;
  /** The result of `evaluate` while `feature` replaces the stored definition of its name. */
  asIf<Answer>(feature: Feature, evaluate: () => Answer): Answer;
  onReplaced(listener: () => void): void;
}

export function createDefinitionStore(): DefinitionStore {
  return new MemoryDefinitionStore();
}

class MemoryDefinitionStore extends EventEmitter implements DefinitionStore {
  #features = new Map<string, Feature>();
  #segments = new Map<number, Segment>();
  #version = 0;
  #standIn: Feature | undefined;
  readonly #listeners: (() => void)[] = [];

  replace({ features, segments }: Definitions): void {
    this.#features = new Map(features.map((feature) => [feature.name, feature]));
    this.#segments = new Map(segments.map((segment) => [segment.id, segment]));
    this.#version += 1;
    // Before this event the SDK answers every evaluation with its fallback.
    if (this.#version === 1) this.emit('ready');
    this.emit('changed', features);
    for (const listener of this.#listeners) listener();
  }

  version(): number {
    return this.#version;
  }

  onReplaced(listener: () => void): void {
    this.#listeners.push(listener);
  }

  asIf<Answer>(feature: Feature, evaluate: () => Answer): Answer {
    this.#standIn = feature;
    try {
      return evaluate();
    } finally {
      this.#standIn = undefined;
    }
  }

  getToggle(name: string): Feature | undefined {
    return this.#standIn?.name === name ? this.#standIn : this.#features.get(name);
  }

  getToggles(): Feature[] {
    return [...this.#features.values()];
  }

  getTogglesWithSegmentData(): ReturnType<Repository['getTogglesWithSegmentData']> {
    return this.getToggles().map((feature) => ({
      ...feature,
      strategies: (feature.strategies ?? []).map((strategy) => ({
        ...strategy,
        segments: (strategy.segments ?? []).map((id) => this.#segments.get(id)),
      })),
    }));
  }

  getSegment(id: number): Segment | undefined {
    return this.#segments.get(id);
  }

  async start(): Promise<void> {
    // Filled by replace().
  }

  stop(): void {
    this.removeAllListeners();
  }
}

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

/** Our flags that are not defined, which counts as off, plus unknown flags with our prefix, possibly typos. */
interface MissingFlags {
  readonly missing: readonly string[];
  /** Empty if no flag is missing, because then these flags belong to another application. */
  readonly misspelled: readonly string[];
}

export function missingFlags(defined: readonly string[], services: readonly ServiceName[]): MissingFlags {
  const ours = [
    ...services.flatMap((service) => SERVICE_FLAGS.map((flag) => flagName(service, flag))),
    KILL_SWITCH,
  ];
  const known = new Set(defined);
  const missing = ours.filter((name) => !known.has(name));
  if (missing.length === 0) return { missing, misspelled: [] };
  const strangers = defined.filter((name) => name.startsWith(FLAG_PREFIX) && !ours.includes(name));
  return { missing, misspelled: strangers };
}

/** A message if a flag may be misspelled; otherwise undefined. */
export function misspelling({ missing, misspelled }: MissingFlags): string | undefined {
  if (misspelled.length === 0) return undefined;
  return `flags not defined, therefore off: ${missing.join(', ')}; unknown flags, possibly typos: ${misspelled.join(', ')}`;
}
