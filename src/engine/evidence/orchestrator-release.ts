import { createHash } from 'node:crypto';
import { isJsonObject } from '../../domain/json.ts';
import type { Clock } from '../../shared/clock.ts';
import type { Orchestrator } from '../ports/ports.ts';
import { within } from '../../shared/within.ts';
import type { ServiceDefinition } from '../../domain/service-definition.ts';

const LOOK_EVERY_MS = 5_000;
const TIMEOUT_MS = 1_000;

/** Versions of the orchestrator, numbered in the order in which any replica saw them. @throws StorageError */
export interface ReleaseStore {
  /** 0 if no version was ever seen. */
  last(): Promise<number>;
  /**
   * Records that a version answers. @returns its number. The number is new if another version was seen last, even if this one was
   * seen earlier
   */
  seen(version: string): Promise<number>;
}

interface ReleaseParts {
  readonly orchestrator: Pick<Orchestrator, 'read'>;
  readonly store: ReleaseStore;
  readonly clock: Clock;
}

/**
 * Tracks which version of the orchestrator answers, because comparisons with one version prove nothing about another. If two
 * versions answer in turn, as during a replacement, neither gathers evidence.
 */
export class OrchestratorRelease {
  readonly #parts: ReleaseParts;
  readonly #stopped = new AbortController();
  #number = 0;
  #loop: Promise<void> = Promise.resolve();

  constructor(parts: ReleaseParts) {
    this.#parts = parts;
  }

  /** 0 while no version is known. */
  get number(): number {
    return this.#number;
  }

  /** Keeps the last version until the orchestrator reports another. @throws StorageError */
  async start(): Promise<void> {
    this.#number = await this.#parts.store.last();
    this.#loop = this.#run();
  }

  async stop(): Promise<void> {
    this.#stopped.abort();
    await this.#loop;
  }

  async #run(): Promise<void> {
    const { clock } = this.#parts;
    const { signal } = this.#stopped;
    while (!signal.aborted) {
      try {
        await within(this.#look(), TIMEOUT_MS, { what: 'the version of the orchestrator' });
      } catch {
        // Other parts report an orchestrator or a database that is away. The version stays the last one seen.
      }
      await clock.sleep(LOOK_EVERY_MS, signal);
    }
  }

  async #look(): Promise<void> {
    const { orchestrator, store, clock } = this.#parts;
    const asked = { purpose: 'probe', deadlineAtMs: clock.now() + TIMEOUT_MS } as const;
    const { data } = await orchestrator.read({ action: 'health', payload: {} }, asked);
    const version = isJsonObject(data['details']) ? data['details']['version'] : undefined;
    if (typeof version === 'string') this.#number = await store.seen(version);
  }
}

const DIGEST_CHARACTERS = 16;

/**
 * A digest of everything that decides what two answers look like and how they are judged: mappings, rules, retention. Evidence
 * gathered under another digest proves nothing. Functions count by their source. The functions that they call belong to the
 * proxy, so a new version of the proxy changes every digest.
 */
export function definitionDigest(definition: ServiceDefinition, version: string): string {
  const text = JSON.stringify([version, definition.actions, definition.lanes], (_key, value: unknown) =>
    typeof value === 'function' ? String(value) : value,
  );
  return createHash('sha256').update(text).digest('hex').slice(0, DIGEST_CHARACTERS);
}
