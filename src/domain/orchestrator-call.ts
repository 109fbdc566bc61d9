import type { LaneFence } from './lane.ts';
import type { SessionId } from './ids.ts';
import type { JsonObject } from './json.ts';

/** The orchestrator's actions for writing. */
export type WriteActionName =
  'create' | 'update' | 'delete' | 'bulk_delete' | 'create_session' | 'upsert_session' | 'end_session';

/** The orchestrator's actions for reading. */
export type ReadActionName =
  'read' | 'batch_read' | 'search' | 'scan' | 'digest' | 'list_sessions' | 'health';

/** One call in the orchestrator's protocol (../orchestrator/README.md). Members of `payload` may be raw {@link Json}. */
export interface OrchestratorRead {
  readonly action: ReadActionName;
  readonly sessionId?: SessionId;
  readonly payload: Readonly<Record<string, unknown>>;
}

/** One operation of a `batch_write`. Consecutive operations with the same lane, generation and sequence are one write. */
export interface OrchestratorWrite {
  readonly action: WriteActionName;
  readonly sessionId: SessionId;
  readonly payload: Readonly<Record<string, unknown>>;
  readonly lane?: LaneFence;
}

/** The `data` of an answer, parsed and as the received raw text. */
export interface OrchestratorAnswer {
  readonly data: JsonObject;
  readonly text: string;
}
