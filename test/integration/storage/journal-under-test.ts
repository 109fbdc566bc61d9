import { randomUUID } from 'node:crypto';
import {
  laneKeyOf,
  operationId,
  replicaId,
  serviceName,
  type LaneKey,
  type Owner,
  type ServiceName,
} from '../../../src/domain/ids.ts';
import type { Outcome } from '../../../src/domain/outcome.ts';
import type { Intent, RecordedOutcome, WriteRef } from '../../../src/engine/ports/ports.ts';
import { applySchema } from '../../../src/storage/apply-schema.ts';
import {
  createPgliteDatabase,
  createPostgresDatabase,
  type Database,
} from '../../../src/storage/database.ts';
import { PostgresJournal } from '../../../src/storage/journal/journal.ts';
import { ReplicaIdentity } from '../../../src/engine/ports/replica-ports.ts';
import { PLAIN, type Seal } from '../../../src/storage/seal.ts';
import type { TestPostgres } from '../../support/postgres.ts';
import type { DatabaseKind } from '../../support/tier.ts';

export { DATABASES } from '../../support/tier.ts';

const SCHEMA = new URL('../../../src/storage/schema/', import.meta.url);

/** An empty database that knows the journal's tables. */
export async function createJournalDatabase(kind: DatabaseKind, postgres: TestPostgres): Promise<Database> {
  const database =
    kind === 'pglite'
      ? createPgliteDatabase()
      : createPostgresDatabase({ url: await postgres.createDatabase(), poolSize: 4 });
  await applySchema(database, SCHEMA);
  return database;
}

let made = 0;

/** What is there. */
export function present<Value>(value: Value | undefined): Value {
  if (value === undefined) throw new Error('another replica was busy with the lane');
  return value;
}

/** A journal as a newly started process has it, and a service of the test's own: nothing of other tests is seen. */
export function beginJournal(database: Database, seal: Seal = PLAIN) {
  const service = serviceName(`service-${++made}`);
  const open = (services?: readonly ServiceName[]) =>
    new PostgresJournal({
      database,
      replica: new ReplicaIdentity(() => replicaId(randomUUID()), services),
      seal,
    });
  const journal = open();
  const laneOf = (owner: string): LaneKey => laneKeyOf(service, owner as Owner);
  const intent = (owner: string, request = '{}'): Intent => ({
    operationId: operationId(randomUUID()),
    service,
    owner: owner as Owner,
    lane: laneOf(owner),
    action: 'add_memory',
    request,
    acceptedAtMs: Date.UTC(2026, 0, 2, 3, 4, 5, 678),
  });
  const write = async (owner: string, outcome?: Outcome, more: Partial<RecordedOutcome> = {}) => {
    const asked = intent(owner, `{"memory": "${owner}"}`);
    const state = present(await journal.append(asked));
    const ref: WriteRef = { laneId: state.id, lane: asked.lane, sequence: state.sequence };
    if (outcome !== undefined) await journal.recordOutcome({ ref, outcome, ...more });
    return ref;
  };
  const state = async (owner: string) => (await journal.lanes([laneOf(owner)])).get(laneOf(owner));
  const pending = async (owner: string, after = 0, limit = 100) =>
    (await journal.pending(laneOf(owner), after, { writes: limit, bytes: 1_000_000 })).map(
      ({ sequence }) => sequence,
    );
  return { journal, open, service, laneOf, intent, write, state, pending };
}
