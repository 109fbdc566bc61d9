import type { ReplicaId } from '../../src/domain/ids.ts';
import type { ReplicaReport } from '../../src/migration/ports.ts';

/** How long a replica is believed to live after its last heartbeat: `LEASE` of `storage/journal-sql.ts`. */
const LEASE_MS = 3_000;

interface ReplicaRow {
  heartbeatMs: number;
  coverage: Readonly<Record<string, number>>;
}

/** The rows of `replicas`, as `storage/replicas.ts` has them. */
export class ReplicaTable {
  readonly #now: () => number;
  readonly #rows = new Map<ReplicaId, ReplicaRow>();

  constructor(now: () => number) {
    this.#now = now;
  }

  /** An embedded database has one proxy: whoever else is registered is dead. */
  register(me: ReplicaId, isEmbedded: boolean): number {
    const others = [...this.#rows.keys()].filter((id) => id !== me).length;
    if (isEmbedded) this.#rows.clear();
    if (!this.#rows.has(me)) this.#rows.set(me, { heartbeatMs: this.#now(), coverage: {} });
    return others;
  }

  heartbeat(me: ReplicaId, coverage: Readonly<Record<string, number>>): ReplicaReport[] {
    const own = this.#rows.get(me);
    if (own !== undefined) Object.assign(own, { heartbeatMs: this.#now(), coverage: { ...coverage } });
    return [...this.#rows].map(([replica, row]) => ({
      replica,
      silentMs: this.#now() - row.heartbeatMs,
      coverage: row.coverage,
    }));
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
    for (const [id, { heartbeatMs }] of this.#rows)
      if (id !== me && heartbeatMs < this.#now() - LEASE_MS) this.#rows.delete(id);
  }

  /** It has not been heard of for so long. */
  silence(id: ReplicaId, ms: number): void {
    const row = this.#rows.get(id);
    if (row !== undefined) row.heartbeatMs = this.#now() - ms;
  }
}
