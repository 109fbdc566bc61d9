import type { LaneFence } from './lane.ts';
import type { SessionId } from './ids.ts';
import type { JsonObject } from './json.ts';

/** The orchestrator's actions that the migration writes with. */
export type WriteActionName =
  'create' | 'update' | 'delete' | 'bulk_delete' | 'create_session' | 'upsert_session' | 'end_session';

/** The orchestrator's actions that the migration reads with. */
export type ReadActionName =
  'read' | 'batch_read' | 'search' | 'scan' | 'digest' | 'list_sessions' | 'health';

/** One call in the orchestrator's words (../orchestrator/README.md). Members of `payload` may be raw {@link Json}. */
export interface OrchestratorRead {
  readonly action: ReadActionName;
  readonly sessionId?: SessionId;
  readonly payload: Readonly<Record<string, unknown>>;
}

/** One operation of a `batch_write`. Operations of one lane, generation and sequence that follow each other are one write. */
export interface OrchestratorWrite {
  readonly action: WriteActionName;
  readonly sessionId: SessionId;
  readonly payload: Readonly<Record<string, unknown>>;
  readonly lane?: LaneFence;
}

/** The `data` of an answer: parsed, and as the raw text that came. */
export interface OrchestratorAnswer {
  readonly data: JsonObject;
  readonly text: string;
}
