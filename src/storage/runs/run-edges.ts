import type { ReplicaIdentity } from '../../engine/ports/replica-identity.ts';
import type { RunEdges } from '../../engine/parts.ts';
import { createAuditStore } from '../audit.ts';
import { PostgresBaselines } from './baselines.ts';
import type { Database } from '../database.ts';
import { createDivergenceStore, createLostItemStore, createRepairStore } from './divergences.ts';
import { createLaneDirectory } from '../lane-directory.ts';
import { PostgresRunStore } from './runs.ts';
import type { Seal } from '../seal.ts';
import { createWriteHistory } from '../journal/write-history.ts';

/** The stores of runs. */
export function createRunEdges(database: Database, replica: ReplicaIdentity, seal: Seal): RunEdges {
  return {
    store: new PostgresRunStore(database, replica.services),
    baselines: new PostgresBaselines(database),
    directory: createLaneDirectory(database, replica),
    history: createWriteHistory(database, seal),
    divergences: createDivergenceStore(database),
    lostItems: createLostItemStore(database),
    repairs: createRepairStore(database, seal),
    audit: createAuditStore(database),
  };
}
