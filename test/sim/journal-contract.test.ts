import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll } from 'vitest';
import { replicaId } from '../../src/domain/ids.ts';
import { ReplicaIdentity } from '../../src/engine/ports/replica-ports.ts';
import { createCoverageStore } from '../../src/storage/coverage.ts';
import type { Database } from '../../src/storage/database.ts';
import { PostgresJournal } from '../../src/storage/journal/journal.ts';
import { PostgresKeptReplies } from '../../src/storage/journal/kept-replies.ts';
import { createReplicaStore } from '../../src/storage/replicas.ts';
import { PLAIN } from '../../src/storage/seal.ts';
import { createSpillJournal } from '../../src/storage/spill/spill-journal.ts';
import { createJournalDatabase } from '../integration/storage/journal-under-test.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';
import { coverageStoreOf, Database as SimDatabase, replicaStoreOf } from './database.ts';
import { describeJournal } from './journal-contract.ts';
import { createKeptReplies } from './kept-replies.ts';
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
  open(identity = newIdentity()) {
    return {
      identity,
      journal: new PostgresJournal({ database, replica: identity, seal: PLAIN }),
      kept: new PostgresKeptReplies({ database, seal: PLAIN }),
      coverage: createCoverageStore(database),
      replicas: createReplicaStore({ database }),
      spills: createSpillJournal({ database, replica: identity }),
    };
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
    now: () => Date.now(),
    instantOf: (wallMs) => wallMs,
    wallOf: (ms) => ms,
  });
  const statement: Statement = async (_what, apply) => apply();
  return {
    open(identity = newIdentity()) {
      return {
        identity,
        journal: createSimJournal({ database: simulated, identity, statement }),
        kept: createKeptReplies(simulated, statement),
        coverage: coverageStoreOf(simulated, statement),
        replicas: replicaStoreOf(simulated, statement),
        spills: createSimSpillJournal(simulated, identity, statement),
      };
    },
    silence: async (replica, ms) => simulated.replicas.silence(replica, ms),
  };
});
