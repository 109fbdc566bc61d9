import { CrossfadeError } from '../../domain/errors.ts';
import type { ServiceName } from '../../domain/ids.ts';
import { addEvidence, NO_EVIDENCE, type Evidence } from '../evidence/confidence.ts';
import type { DigestOf, EvidenceRow, EvidenceStore } from './guard-ports.ts';

const keyOf = (...names: readonly string[]): string => names.join(' ');

/** Comparisons on their way to the database, where they are added to those of all replicas. */
export class EvidenceBook {
  readonly #digestOf: DigestOf;
  #rows = new Map<string, EvidenceRow>();

  constructor(digestOf: DigestOf) {
    this.#digestOf = digestOf;
  }

  add(service: ServiceName, action: string, evidence: Evidence): void {
    this.#put({ service, action, digest: this.#digestOf(service, action), evidence });
  }

  unwritten(service: ServiceName, action: string): Evidence {
    return this.#of(service, action, this.#digestOf(service, action));
  }

  /** Writes what was counted. What could not be written is kept. @throws StorageError */
  async writeTo(store: EvidenceStore): Promise<void> {
    if (this.#rows.size === 0) return;
    const rows = [...this.#rows.values()];
    this.#rows = new Map();
    try {
      await store.add(rows);
    } catch (error) {
      // The database may have added it despite the error. Matches that are counted twice would prove too much, so only mismatches
      // are kept.
      const isCertain = error instanceof CrossfadeError && error.effect === 'not_applied';
      for (const row of rows) this.#put(isCertain ? row : { ...row, evidence: onlyMismatches(row.evidence) });
      throw error;
    }
  }

  #of(service: ServiceName, action: string, digest: string): Evidence {
    return this.#rows.get(keyOf(service, action, digest))?.evidence ?? NO_EVIDENCE;
  }

  #put({ service, action, digest, evidence }: EvidenceRow): void {
    const sum = addEvidence(this.#of(service, action, digest), evidence);
    this.#rows.set(keyOf(service, action, digest), { service, action, digest, evidence: sum });
  }
}

function onlyMismatches({ mismatches, laneMismatches }: Evidence): Evidence {
  return {
    comparable: mismatches,
    errors: 0,
    mismatches,
    laneComparable: laneMismatches,
    laneMismatches,
  };
}
