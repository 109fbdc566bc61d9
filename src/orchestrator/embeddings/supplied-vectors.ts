import { ValidationError } from '../../domain/errors.ts';
import { isJsonObject, type JsonObject } from '../../domain/json.ts';
import type { Vault } from '../encryption/vault.ts';
import type { PayloadOf } from '../wire/payloads.ts';
import type { Request } from '../wire/request.ts';
import type { Space, VectorStore } from '../vectors/vector-store.ts';
import { type StaleMemories, textHashOf } from './stale-memories.ts';
import type { NewVector, StoredVectors } from './stored-vectors.ts';

/** The memories of a write, with their supplied vectors. */
export interface Written {
  readonly memoryIds: readonly string[];
  readonly supplied: ReadonlyMap<string, readonly number[]>;
}

/** A vector supplied with a create, stored by the statement that creates the memory. */
export interface VectorInHand {
  readonly space: Space;
  /** In pgvector's text format. */
  readonly text: string;
  readonly textHash: Buffer;
  /** Call it when the statement has taken effect. */
  kept(): void;
  isKept(): boolean;
}

interface WrittenMemory {
  /** Undefined if the orchestrator generated the id, which only the answer contains. */
  readonly memoryId: string | undefined;
  readonly vector: readonly number[] | undefined;
}

const ABOUT_MEMORIES: ReadonlySet<unknown> = new Set(['create', 'update', 'delete']);

/** @param data the answer of the write */
export function writtenBy(request: Request, data: object): Written {
  const memoryIds: string[] = [];
  const supplied = new Map<string, readonly number[]>();
  // A late vector may belong to a text that was replaced since.
  if (hadNoEffect(data)) return { memoryIds, supplied };
  for (const { memoryId, vector } of memoriesIn(request, data)) {
    if (memoryId === undefined) continue;
    memoryIds.push(memoryId);
    if (vector !== undefined) supplied.set(memoryId, vector);
  }
  return { memoryIds, supplied };
}

const NO_EFFECT = ['already_applied', 'superseded', 'refused', 'repeated'];

function hadNoEffect(answer: unknown): boolean {
  return isJsonObject(answer) && NO_EFFECT.some((member) => Object.hasOwn(answer, member));
}

/** @throws ValidationError if a supplied vector does not belong to the space */
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
  if (!ABOUT_MEMORIES.has(action) || !isJsonObject(payload) || hadNoEffect(result)) return [];
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

/** Returns the vector to store with the write itself. */
export type VectorsInHand = (request: Request, space: Space) => VectorInHand | undefined;

interface InHandSettings {
  readonly maxTextCharacters: number;
  /** Whether the creating statement can store vectors. */
  readonly keepsAtOnce: () => boolean;
}

/**
 * Prepares a vector that the creating statement can store. Undefined for all other writes, whose vectors are stored by later statements.
 * If the embedded text differs from the sent text, only the stored row has it.
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

/** @throws ValidationError if the vector cannot be compared with the vectors of the space */
export function checkedVector(vector: readonly number[], field: string, { model, dimension }: Space): void {
  if (vector.length !== dimension)
    throw new ValidationError(`${field} must have ${dimension} numbers, as the vectors of ${model}`, {
      details: { field, dimension },
    });
  if (vector.every((number) => number === 0))
    throw new ValidationError(`${field} must not be all zeros, because it has no direction`, {
      details: { field },
    });
}

export interface SuppliedParts {
  readonly memories: StaleMemories;
  readonly vectors: StoredVectors;
  readonly store: VectorStore;
}

/** Stores vectors that callers supplied. */
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
