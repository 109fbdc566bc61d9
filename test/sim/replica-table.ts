import type { ReplicaId, ServiceName } from '../../src/domain/ids.ts';
import type { FlipShare } from '../../src/engine/ports/flip-ports.ts';
import type { Beat, BeatAnswer } from '../../src/engine/ports/replica-ports.ts';
import type { SpillTable } from './spill-table.ts';

/** How long a replica is believed to live after its last heartbeat: `LEASE` of `storage/journal-sql.ts`. */
const LEASE_MS = 3_000;
/** `SILENCE` of the same. */
const SILENCE_MS = 2_000;

interface ReplicaRow {
  heartbeatMs: number;
  coverage: Readonly<Record<string, number>>;
  shares: Readonly<Record<string, number>>;
  versions: Readonly<Record<string, string>>;
  spill: string | undefined;
}

interface Registration {
  readonly isEmbedded: boolean;
  readonly spill: string | undefined;
  readonly versions: Readonly<Record<string, string>>;
}

/** The rows of `replicas`, as `storage/replicas.ts` has them. */
export class ReplicaTable {
  readonly #now: () => number;
  readonly #spills: SpillTable;
  readonly #rows = new Map<ReplicaId, ReplicaRow>();

  constructor(now: () => number, spills: SpillTable) {
    this.#now = now;
    this.#spills = spills;
  }

  /** An embedded database has one proxy: whoever else is registered is dead. */
  register(me: ReplicaId, { isEmbedded, spill, versions }: Registration): number {
    const others = [...this.#rows.keys()].filter((id) => id !== me).length;
    if (isEmbedded) this.#rows.clear();
    if (spill !== undefined) {
      this.#spills.open(spill);
      for (const [id, row] of this.#rows) if (id !== me && row.spill === spill) this.#rows.delete(id);
    }
    const known = this.#rows.get(me);
    if (known === undefined)
      this.#rows.set(me, { heartbeatMs: this.#now(), coverage: {}, shares: {}, versions, spill });
    else Object.assign(known, { spill, versions });
    return others;
  }

  heartbeat(me: ReplicaId, { coverage, shares, isSpilling }: Beat): BeatAnswer {
    // One instant, as a statement has: of its own heartbeat a replica is told no age.
    const now = this.#now();
    const own = this.#rows.get(me);
    const isAnySpilled = this.#spills.isAnyOpen(own?.spill);
    if (own !== undefined) {
      Object.assign(own, { heartbeatMs: now, coverage: { ...coverage }, shares: { ...shares } });
      if (own.spill !== undefined) this.#spills[isSpilling ? 'open' : 'close'](own.spill);
    }
    const replicas = [...this.#rows].map(([replica, row]) => ({
      replica,
      silentMs: now - row.heartbeatMs,
      coverage: row.coverage,
    }));
    return { replicas, isAnySpilled, nowMs: now };
  }

  /** Whether every registered replica acts on the share, and answers writes with its version. */
  allReport(service: ServiceName, { number, version }: FlipShare): boolean {
    const doAct = [...this.#rows.values()].every(({ shares }) => (shares[service] ?? 0) === number);
    return doAct && this.allHave(service, version);
  }

  /** How many registered replicas do not fulfil it. */
  without(holds: (row: Pick<ReplicaRow, 'shares' | 'versions'>) => boolean): number {
    return [...this.#rows.values()].filter((row) => !holds(row)).length;
  }

  allHave(service: ServiceName, version: string): boolean {
    return [...this.#rows.values()].every(({ versions }) => versions[service] === version);
  }

  /** Somebody may write what is in no journal, or has. */
  get isAnySilent(): boolean {
    const silentSince = this.#now() - SILENCE_MS;
    const isSilent = [...this.#rows.values()].some(
      (row) => row.spill !== undefined && row.heartbeatMs < silentSince,
    );
    return isSilent || this.#spills.isAnyOpen();
  }

  isWorkedOn(spill: string): boolean {
    return [...this.#rows.values()].some((row) => row.spill === spill);
  }

  delete(id: ReplicaId): void {
    this.#rows.delete(id);
  }

  /** Within its lease. */
  isAlive(id: ReplicaId): boolean {
    const row = this.#rows.get(id);
    return row !== undefined && row.heartbeatMs > this.#now() - LEASE_MS;
  }

  /** Nobody has given it up, whether it lives or not. */
  isListed(id: ReplicaId): boolean {
    return this.#rows.has(id);
  }

  removeDead(me: ReplicaId): void {
    for (const [id, { heartbeatMs, spill }] of this.#rows) {
      if (id === me || heartbeatMs >= this.#now() - LEASE_MS) continue;
      this.#rows.delete(id);
      if (spill !== undefined) this.#spills.open(spill);
    }
  }

  /** It has not been heard of for so long. */
  silence(id: ReplicaId, ms: number): void {
    const row = this.#rows.get(id);
    if (row !== undefined) row.heartbeatMs = this.#now() - ms;
  }
}
