import type { LaneFence } from './lane.ts';
import type { MemoryId, SessionId } from './ids.ts';
import type { JsonObject } from './json.ts';

/** The orchestrator's actions for writing. */
export type WriteActionName =
  'create' | 'update' | 'delete' | 'bulk_delete' | 'create_session' | 'upsert_session' | 'end_session';

/** The orchestrator's actions for reading. */
export type ReadActionName =
  'read' | 'batch_read' | 'search' | 'scan' | 'digest' | 'list_sessions' | 'lane_positions' | 'health';

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

/** What must hold when a write is applied. The orchestrator checks it after the fence, in the transaction of the write. */
export type Precondition =
  /** `open`: present, and neither ended nor archived. `absent`: the orchestrator has no row of it. */
  | { readonly session: 'present' | 'absent' | 'open'; readonly sessionId: SessionId }
  | { readonly memory: 'present' | 'absent'; readonly memoryId: MemoryId };

/** A write of a lane whose primary is the orchestrator. If a precondition fails, none of its operations is applied. */
export interface PrimaryWrite {
  readonly requires: readonly Precondition[];
  /** At least one. */
  readonly operations: readonly OrchestratorWrite[];
}

/** The orchestrator's answer to a {@link PrimaryWrite}. A repeat of the write gets the same answer. */
export type PrimaryResult =
  /** One result for each operation. */
  | { readonly results: readonly JsonObject[] }
  /** The index of the precondition that failed, in `requires`. */
  | { readonly refused: { readonly requirement: number } };
