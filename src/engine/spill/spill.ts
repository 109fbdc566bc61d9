import type { ServiceName } from '../../domain/ids.ts';
import type { Emit } from '../ports/events.ts';
import type { Clock } from '../../shared/clock.ts';
import type { CoverageStore } from '../ports/ports.ts';
import type { Outage } from './outage.ts';
import { Replay, type ReplayParts } from './replay.ts';
import type { SpillFacts, SpillJournal, SpillStore } from '../ports/spill-ports.ts';

/** Where a replica writes while the journal is away. */
export interface SpillEdges {
  readonly store: SpillStore;
  readonly journal: SpillJournal;
}

export interface SpillParts extends ReplayParts {
  readonly outage: Outage;
  readonly coverageStore: CoverageStore;
  readonly services: ReadonlyMap<ServiceName, unknown>;
  readonly emit: Emit;
  readonly clock: Clock;
}

/** What waits in the spill. */
export interface SpillStatus extends SpillFacts {
  /** Whether the journal is away, or has not got everything that was spilled. */
  readonly isSpilling: boolean;
  /** For how long, milliseconds; 0 if it is not. */
  readonly ageMs: number;
}

/** The spill of this replica, from its start to its end. */
export class Spill {
  readonly #parts: SpillParts;
  readonly #replay: Replay;

  constructor(parts: SpillParts) {
    this.#parts = parts;
    this.#replay = new Replay(parts);
  }

  status(): SpillStatus {
    const { store, outage } = this.#parts;
    return { ...store.facts(), isSpilling: outage.isSpilling, ageMs: outage.ageMs };
  }

  /** Whether a process may serve agents before it has reached the journal. True if an earlier process has reached it. */
  get mayStartAway(): boolean {
    return this.#parts.store.hasHistory;
  }

  /** Called before the first heartbeat: an earlier process has spilled writes that are not in the journal yet. */
  inherit(): void {
    const { store, outage } = this.#parts;
    if (store.facts().writes === 0 && !store.isDamaged) return;
    this.#replay.inherit();
    outage.begin('an earlier process has spilled');
  }

  /** The process starts without the journal. */
  startAway(): void {
    this.#parts.outage.begin('it was away at the start', { isHeld: true });
  }

  /** The journal is reached, so it is known to be usable. If part of the spill is lost, every lane becomes uncertain. */
  async prepare(): Promise<void> {
    const { store, journal, coverageStore, services, emit } = this.#parts;
    await store.prepare(await journal.progress(store.id));
    if (!store.isDamaged) return;
    for (const service of services.keys()) {
      if ((await coverageStore.current(service)).number === 0) continue;
      await coverageStore.end(service);
      await coverageStore.begin(service);
    }
    await store.mended();
    emit('spill:damaged', { services: services.size });
  }

  /** A heartbeat was answered. */
  answered(): void {
    if (this.#parts.outage.answered()) this.#replay.start();
  }

  failed(): void {
    this.#parts.outage.failed();
  }
}
