import { isJsonObject, type JsonObject } from '../../src/domain/json.ts';
import type { Lane } from '../../src/orchestrator/wire/payloads.ts';

/** A row of `memory_entries`. */
export interface MemoryRow {
  readonly memoryId: string;
  readonly sessionId: string;
  readonly memoryType: string;
  /** JSON text. */
  readonly content: string;
  readonly tags: readonly string[];
  readonly position: number;
  readonly createdAt: string;
  readonly sourceAgent: string | null;
  readonly laneKey: string | undefined;
  readonly isActive: boolean;
}

export interface SessionRow {
  readonly sessionId: string;
  readonly userId: string | undefined;
  readonly endedAt: string | null;
  readonly metadata: string;
}

/** In no lane's order: behind every position. */
export const NO_POSITION = 2 ** 53;

type Condition = (row: MemoryRow, value: unknown) => boolean;

const ALWAYS: Condition = () => true;

/** The filters that the migration uses. */
const CONDITIONS: Readonly<Record<string, Condition>> = {
  tags: ({ tags }, value) => Array.isArray(value) && value.every((tag) => tags.includes(String(tag))),
  memory_type: ({ memoryType }, value) => memoryType === value,
  memory_ids: ({ memoryId }, value) => Array.isArray(value) && value.includes(memoryId),
  position_below: ({ position }, value) => position < Number(value),
  position_above: ({ position }, value) => position > Number(value) && position < NO_POSITION,
  limit: ALWAYS,
  offset: ALWAYS,
  sort: ALWAYS,
};

/** Whether a filter of the orchestrator selects a row. @throws Error for a filter that nobody uses yet */
export function matches(row: MemoryRow, filter: JsonObject): boolean {
  return Object.entries(filter).every(([field, value]) => {
    const condition = CONDITIONS[field];
    if (condition === undefined) throw new Error(`The simulated orchestrator knows no filter "${field}"`);
    return condition(row, value);
  });
}

/** A row as every reader gets it. */
export function spell(row: MemoryRow): string {
  const { memoryId, sessionId, memoryType, content, tags, position, createdAt, sourceAgent } = row;
  const columns = {
    memory_id: memoryId,
    session_id: sessionId,
    memory_type: memoryType,
    tags,
    position: position === NO_POSITION ? null : position,
    created_at: createdAt,
    source_agent: sourceAgent,
    is_active: row.isActive,
    lane_key: row.laneKey ?? null,
  };
  return `${JSON.stringify(columns).slice(0, -1)},"content":${content}}`;
}

export function byPosition(a: MemoryRow, b: MemoryRow): number {
  if (a.position !== b.position) return a.position - b.position;
  return a.memoryId < b.memoryId ? -1 : 1;
}

/** One operation of a batch, or a single request, as the wire has it. */
export interface WireOperation {
  readonly action: string;
  readonly sessionId: string;
  readonly payload: JsonObject;
  /** The payload's members as they were spelled. */
  readonly raw: Readonly<Record<string, string>>;
  readonly lane: Lane | undefined;
}

export function laneOf(value: unknown): Lane | undefined {
  if (!isJsonObject(value)) return undefined;
  const { key, epoch, generation, sequence, operation_id: operationId } = value;
  return {
    key: String(key),
    generation: Number(generation),
    ...(typeof epoch === 'number' && { epoch }),
    ...(typeof sequence === 'number' && { sequence }),
    ...(typeof operationId === 'string' && { operation_id: operationId }),
  };
}
