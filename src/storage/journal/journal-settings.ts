import type { ReplicaIdentity } from '../../engine/ports/replica-identity.ts';
import type { Database } from '../database.ts';
import type { Seal } from '../seal.ts';

export interface JournalSettings {
  readonly database: Database;
  readonly replica: ReplicaIdentity;
  readonly seal: Seal;
}
