import { EventEmitter } from 'node:events';
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
