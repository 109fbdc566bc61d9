import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll } from 'vitest';
import { replicaId } from '../../src/domain/ids.ts';
import { ReplicaIdentity } from '../../src/engine/ports/replica-ports.ts';
import { PostgresBaselines } from '../../src/storage/runs/baselines.ts';
import { createCoverageStore } from '../../src/storage/coverage.ts';
import type { Database } from '../../src/storage/database.ts';
import { PostgresJournal } from '../../src/storage/journal/journal.ts';
import { PostgresKeptReplies } from '../../src/storage/journal/kept-replies.ts';
import { createReplicaStore } from '../../src/storage/replicas.ts';
import { createReverseProofs } from '../../src/storage/reverse-proofs.ts';
import { createRestoredStore } from '../../src/storage/restored-lanes.ts';
import { createReverseLedger } from '../../src/storage/reverse-ledger.ts';
import { createReverseSends } from '../../src/storage/reverse-sends.ts';
import { createFlipBook } from '../../src/storage/flip-book.ts';
import { createFlipShareStore } from '../../src/storage/flip-shares.ts';
import { createFlipStore } from '../../src/storage/flips.ts';
import { createServiceWritesStore } from '../../src/storage/service-writes.ts';
import { PLAIN } from '../../src/storage/seal.ts';
import { createWayBackStore } from '../../src/storage/way-back.ts';
import { createSpillJournal } from '../../src/storage/spill/spill-journal.ts';
import { createJournalDatabase } from '../integration/storage/journal-under-test.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';
import { coverageStoreOf, Database as SimDatabase, replicaStoreOf } from './database.ts';
import { describeJournal } from './journal-contract.ts';
import { createSimFlipBook } from './flip-book.ts';
import { createSimFlipStore } from './flip-store.ts';
import { shareStoreOf } from './flip-tables.ts';
import { createSimServiceWritesStore } from './service-writes-store.ts';
import { createKeptReplies } from './kept-replies.ts';
import { createSimReverseProofs } from './reverse-proofs.ts';
import { createSimRestoredStore } from './restored-store.ts';
import { createSimReverseLedger, createSimReverseSends } from './reverse-sends.ts';
import { createSimWayBackStore } from './way-back-store.ts';
import { createSimSpillJournal } from './spill-journal.ts';
import { createSimJournal, type Statement } from './journal.ts';

let postgres: TestPostgres;
let database: Database;
beforeAll(async () => {
  postgres = await startPostgres();
  database = await createJournalDatabase('postgres', postgres);
});
afterAll(async () => {
  await database.close();
  await postgres.stop();
});

function newIdentity(): ReplicaIdentity {
  return new ReplicaIdentity(() => replicaId(randomUUID()));
}

describeJournal('the journal in PostgreSQL', async () => ({
  open(identity = newIdentity(), versions = {}) {
    return {
      identity,
      journal: new PostgresJournal({ database, replica: identity, seal: PLAIN }),
      kept: new PostgresKeptReplies({ database, seal: PLAIN }),
      coverage: createCoverageStore(database),
      replicas: createReplicaStore({ database }, undefined, versions),
      spills: createSpillJournal({ database, replica: identity }),
      proofs: createReverseProofs(database),
      sends: createReverseSends({ database, replica: identity, seal: PLAIN }),
      ledger: createReverseLedger(database),
      wayBack: createWayBackStore(database, identity),
      restored: createRestoredStore(database),
      flips: createFlipStore(database, identity),
      shares: createFlipShareStore(database),
      book: createFlipBook(database, identity),
      serviceWrites: createServiceWritesStore(database),
      baselines: new PostgresBaselines(database),
    };
  },
  async flip(lane) {
    await database.query(
      `update lanes set primary_backend = 'orchestrator', epoch = epoch + 1, obeyed_sequence = sequence where key = $1`,
      [lane],
    );
  },
  async silence(replica, ms) {
    await database.query(
      'update replicas set heartbeat_at = now() - make_interval(secs => $2) where id = $1',
      [replica, ms / 1_000],
    );
  },
}));

describeJournal('the journal of the simulation', async () => {
  const simulated = new SimDatabase({
    now: () => performance.timeOrigin + performance.now(),
    instantOf: (wallMs) => wallMs,
    wallOf: (ms) => ms,
  });
  const statement: Statement = async (_what, apply) => apply();
  return {
    open(identity = newIdentity(), versions = {}) {
      return {
        identity,
        journal: createSimJournal({ database: simulated, identity, statement }),
        kept: createKeptReplies(simulated, statement),
        coverage: coverageStoreOf(simulated, statement),
        replicas: replicaStoreOf(simulated, statement, { versions }),
        spills: createSimSpillJournal(simulated, identity, statement),
        proofs: createSimReverseProofs(simulated, statement),
        sends: createSimReverseSends({ database: simulated, identity, statement }),
        ledger: createSimReverseLedger(simulated, statement),
        wayBack: createSimWayBackStore({ database: simulated, identity, statement }),
        restored: createSimRestoredStore(simulated, statement),
        flips: createSimFlipStore({ database: simulated, identity, statement }),
        shares: shareStoreOf(simulated, statement),
        book: createSimFlipBook({ database: simulated, identity, statement }),
        serviceWrites: createSimServiceWritesStore(simulated, statement),
        baselines: { of: async (lane) => simulated.baselines.get(lane) },
      };
    },
    async flip(key) {
      const lane = simulated.laneOrNew(key);
      Object.assign(lane, { primary: 'orchestrator', epoch: lane.epoch + 1 });
    },
    silence: async (replica, ms) => simulated.replicas.silence(replica, ms),
  };
});
