import type { ReverseProof, ReverseProofs } from '../../src/engine/ports/reverse-ports.ts';
import type { Database } from './database.ts';
import type { Statement } from './journal.ts';

const CLAIM_MS = 600_000;

/** `storage/reverse-proofs.ts` over the tables in memory. */
export function createSimReverseProofs(database: Database, statement: Statement): ReverseProofs {
  const { reverseProofs, canaryRuns, clock } = database;
  return {
    proved: (service, by) =>
      statement(`proved ${service}`, () => {
        database.synced();
        reverseProofs.set(`${service} ${by}`, { by, atMs: clock.wallOf(clock.now()) });
      }),
    provenAt: (service) =>
      statement(`proven ${service}`, () => {
        const proofs = (['agent', 'canary'] as const).flatMap(
          (by) => reverseProofs.get(`${service} ${by}`) ?? [],
        );
        return proofs.toSorted((a, b) => b.atMs - a.atMs).at(0) satisfies ReverseProof | undefined;
      }),
    claimCanary: (service) =>
      statement(`claim canary ${service}`, () => {
        if ((canaryRuns.get(service) ?? -Infinity) >= clock.now() - CLAIM_MS) return false;
        database.synced();
        canaryRuns.set(service, clock.now());
        return true;
      }),
  };
}
