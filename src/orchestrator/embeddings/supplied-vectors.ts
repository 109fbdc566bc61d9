import { ValidationError } from '../../domain/errors.ts';
import { isJsonObject, type JsonObject } from '../../domain/json.ts';
import type { Vault } from '../encryption/vault.ts';
import type { PayloadOf } from '../wire/payloads.ts';
import type { Request } from '../wire/request.ts';
import type { Space, VectorStore } from '../vectors/vector-store.ts';
import { type StaleMemories, textHashOf } from './stale-memories.ts';
import type { NewVector, StoredVectors } from './stored-vectors.ts';

/** Which memories a write was about, and the vectors that came with them. */
export interface Written {
  readonly memoryIds: readonly string[];
  readonly supplied: ReadonlyMap<string, readonly number[]>;
}

/** A vector that came with a create, as the statement that creates the memory keeps it. */
export interface VectorInHand {
  readonly space: Space;
  /** As pgvector reads it. */
  readonly text: string;
  readonly textHash: Buffer;
  /** The statement that holds it took effect. */
  kept(): void;
  isKept(): boolean;
}

interface WrittenMemory {
  /** The orchestrator gave the id; only the answer names it. */
  readonly memoryId: string | undefined;
  readonly vector: readonly number[] | undefined;
}

const ABOUT_MEMORIES: ReadonlySet<unknown> = new Set(['create', 'update', 'delete']);

/** @param data what the write was answered with */
export function writtenBy(request: Request, data: object): Written {
  const memoryIds: string[] = [];
  const supplied = new Map<string, readonly number[]>();
  for (const { memoryId, vector } of memoriesIn(request, data)) {
    if (memoryId === undefined) continue;
    memoryIds.push(memoryId);
    if (vector !== undefined) supplied.set(memoryId, vector);
  }
  return { memoryIds, supplied };
}

/** @throws ValidationError when a vector that comes with a write does not belong to the space */
export function checkSupplied(request: Request, space: Space): void {
  for (const { vector } of memoriesIn(request, {}))
    if (vector !== undefined) checkedVector(vector, 'embedding', space);
}

function memoriesIn(request: Request, data: object): WrittenMemory[] {
  if (request.action !== 'batch_write') return memoryIn(request.action, request.payload, data);
  const { operations } = request.payload as PayloadOf<'batch_write'>;
  const { results = [] } = data as { readonly results?: readonly unknown[] };
  return (operations as readonly JsonObject[]).flatMap(({ action, payload }, index) =>
    memoryIn(action, payload, results[index]),
  );
}

function memoryIn(action: unknown, payload: unknown, result: unknown): WrittenMemory[] {
  if (!ABOUT_MEMORIES.has(action) || !isJsonObject(payload)) return [];
  const given = isJsonObject(result) ? result['memory_id'] : undefined;
  const memoryId = given ?? payload['memory_id'];
  const { embedding } = payload;
  return [
    {
      memoryId: typeof memoryId === 'string' ? memoryId : undefined,
      vector: Array.isArray(embedding) ? (embedding as number[]) : undefined,
    },
  ];
}

/** What of a request is to be kept with the write itself. */
export type VectorsInHand = (request: Request, space: Space) => VectorInHand | undefined;

interface InHandSettings {
  readonly maxTextCharacters: number;
  /** Whether vectors can be kept by the statement that creates their memories. */
  readonly keepsAtOnce: () => boolean;
}

/**
 * Makes ready what one statement can do. Undefined for all others, whose vectors are kept in statements behind the write: where the
 * text is embedded as another one than it was sent, only the stored row tells.
 */
export function vectorsInHand(
  vault: Vault,
  { maxTextCharacters, keepsAtOnce }: InHandSettings,
): VectorsInHand {
  return ({ action, payload, suspicious }, space) => {
    if (action !== 'create' || suspicious || !keepsAtOnce()) return undefined;
    const { embedding, content } = payload as PayloadOf<'create'>;
    const { text = '' } = content as { readonly text?: unknown };
    if (embedding === undefined || typeof text !== 'string' || text.length > maxTextCharacters)
      return undefined;
    let isKept = false;
    return {
      space,
      text: `[${embedding.join(',')}]`,
      textHash: textHashOf(vault, text),
      kept: () => (isKept = true),
      isKept: () => isKept,
    };
  };
}

/** @throws ValidationError unless this can be compared with the vectors of the space */
export function checkedVector(vector: readonly number[], field: string, { model, dimension }: Space): void {
  if (vector.length !== dimension)
    throw new ValidationError(`${field} must have ${dimension} numbers, as the vectors of ${model}`, {
      details: { field, dimension },
    });
  if (vector.every((number) => number === 0))
    throw new ValidationError(`${field} must not be all zeros, because it has no direction`, { details: { field } });
}

export interface SuppliedParts {
  readonly memories: StaleMemories;
  readonly vectors: StoredVectors;
  readonly store: VectorStore;
}

/** Keeps vectors that callers made themselves. */
export async function keepSupplied(
  { memories, vectors, store }: SuppliedParts,
  space: Space,
  supplied: Written['supplied'],
): Promise<void> {
  const found = await memories.allOf(space, [...supplied.keys()]);
  const kept = found.map(({ memoryId, version, textHash }): NewVector => {
    return { memoryId, version, textHash, vector: supplied.get(memoryId) };
  });
  await vectors.keep(space, kept);
  store.stored();
}
