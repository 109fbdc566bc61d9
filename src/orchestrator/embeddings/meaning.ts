import { randomUUID } from 'node:crypto';
import type { Logger } from 'pino';
import type { VaultDatabase } from '../encryption/vault-session.ts';
import type { Part } from '../part.ts';
import type { Request } from '../wire/request.ts';
import { type Census, createCensus } from '../search/census.ts';
import { embeddingProblems, type EmbeddingSettings, type SearchSettings, spaceOf } from '../settings.ts';
import { createVectorStore } from '../vectors/create-vector-store.ts';
import type { VectorStore } from '../vectors/vector-store.ts';
import { createEmbedder, type Embedder } from './embedder.ts';
import { createKeptModels } from './kept-models.ts';
import { createLines, type Line, type Lines } from './lines.ts';
import { createQueryVectors, type QueryVectors } from './query-vectors.ts';
import { createStaleMemories } from './stale-memories.ts';
import { createStoredVectors } from './stored-vectors.ts';
import {
  checkSupplied,
  keepSupplied,
  type SuppliedParts,
  type VectorsInHand,
  vectorsInHand,
  writtenBy,
} from './supplied-vectors.ts';
import { createTally, type Tally } from './tally.ts';

interface MeaningParts {
  readonly database: VaultDatabase;
  /** Whether the database has pgvector. */
  readonly hasVector: () => boolean;
  readonly embeddings: EmbeddingSettings;
  readonly search: SearchSettings;
  readonly log: Logger;
}

/** The parts of a semantic search. */
export interface Searchable {
  readonly store: VectorStore;
  readonly line: Line;
  readonly queries: QueryVectors;
  readonly census: Census;
  /** Number of memories of this process that wait for their vector. */
  readonly waiting: () => number;
}

/** Why semantic search is not available at all. */
export type NoMeaningReason = 'embedding_off' | 'no_vector_store' | 'no_vectors';

/** Semantic search: makes vectors after writes, and compares them in searches. */
export interface Meaning extends Part {
  searchable(): Searchable | NoMeaningReason;
  /**
   * Call it before a write. Returns the request, with the supplied vector if the write can store it in the same statement.
   * @throws ValidationError if a caller's vector has the wrong shape
   */
  checked(request: Request): Request;
  /** Call it after a write. Queues the memories for embedding, and stores supplied vectors. */
  afterWrite(request: Request, data: object): Promise<void>;
  /** Why semantic searches do not work as configured; undefined if they do. */
  problem(): string | undefined;
  /** For people: the active models, their progress, and statistics. */
  details(): Readonly<Record<string, unknown>>;
  /** Memories written by this process that wait for their vector. */
  backlog(): { readonly length: number; readonly oldestMs: number };
}

/** @throws Error listing the settings that are missing */
export function createMeaning(parts: MeaningParts): Meaning {
  const { embeddings } = parts;
  const works = createWorks(parts);
  const { store, lines, queries, embedder, census } = works;
  const isOff = embeddings.provider === 'off';
  const canCompare = () => store.name === 'in_process' || parts.hasVector();
  const backlog = () => embedder.backlog();

  return {
    backlog,
    searchable() {
      if (isOff) return 'embedding_off';
      if (!canCompare()) return 'no_vector_store';
      const line = lines.serving();
      const waiting = () => backlog().length;
      return line === undefined ? 'no_vectors' : { store, line, queries, census, waiting };
    },
    checked(request) {
      const { wanted } = lines;
      if (wanted === undefined || !isAboutMemories(request)) return request;
      checkSupplied(request, wanted);
      return { ...request, vector: works.inHand(request, wanted) };
    },
    async afterWrite(request, data) {
      if (lines.wanted === undefined || !isAboutMemories(request)) return;
      const { memoryIds, supplied } = writtenBy(request, data);
      if (request.vector?.isKept() === true) store.stored();
      else if (supplied.size > 0) await keepSupplied(works, lines.wanted, supplied);
      if (!canCompare()) return;
      embedder.note(lines.isSettled() ? memoryIds.filter((id) => !supplied.has(id)) : memoryIds);
    },
    problem() {
      if (!canCompare()) return 'pgvector is not installed, so semantic search is off';
      const { lastError } = works.tally.counts();
      return isOff || lastError === undefined ? undefined : `Embedding failed: ${lastError}`;
    },
    details: () => ({ provider: embeddings.provider, ...detailsOf(works) }),
    async start() {
      // Without pgvector no vectors are made, because they cannot be compared. A start with pgvector makes all of them.
      if (isOff || !canCompare()) return;
      await embedder.start();
      await store.start();
    },
    async stop() {
      await embedder.stop();
      await store.stop();
    },
  };
}

interface Works extends SuppliedParts {
  readonly tally: Tally;
  readonly lines: Lines;
  readonly queries: QueryVectors;
  readonly embedder: Embedder;
  readonly census: Census;
  readonly inHand: VectorsInHand;
}

function createWorks({ database, embeddings, search, log, hasVector }: MeaningParts): Works {
  const problems = embeddingProblems(embeddings);
  if (problems.length > 0) throw new Error(problems.join('\n'));
  const store = createVectorStore(search, { database, space: spaceOf(embeddings), log });
  const tally = createTally();
  const models = createKeptModels(database, randomUUID());
  const lines = createLines(models, embeddings);
  const memories = createStaleMemories(database, embeddings.maxTextCharacters);
  const vectors = createStoredVectors(database, store.name === 'vertex');
  const embedder = createEmbedder({
    lines,
    models,
    memories,
    vectors,
    store,
    tally,
    settings: embeddings,
    onFailure(message) {
      tally.failed(message);
      log.warn(`Embedding failed: ${message}`);
    },
  });
  // With copies outside the database each row must be tracked, and without pgvector the column has another type.
  const keepsAtOnce = () => hasVector() && store.name !== 'vertex';
  const inHand = vectorsInHand(database.vault, { ...embeddings, keepsAtOnce });
  const queries = createQueryVectors(embeddings, tally);
  const census = createCensus(search.exactBelow);
  return { store, tally, lines, memories, vectors, queries, embedder, census, inHand };
}

function detailsOf({ store, tally, lines, embedder }: Works): Record<string, unknown> {
  const lineOf = (line: Line | undefined) =>
    line && { ...line.space, looked_at: embedder.lookedAt(line.space) ?? line.lookedAt };
  const { lastError, embeddingMs, ...counts } = tally.counts();
  return {
    store: store.name,
    waiting: embedder.backlog().length,
    serving: lineOf(lines.serving()),
    filling: lineOf(lines.filling()),
    ...counts,
    embedding_ms: Math.round(embeddingMs),
    last_error: lastError,
  };
}

const WRITES: ReadonlySet<string> = new Set(['create', 'update', 'delete', 'batch_write']);

function isAboutMemories({ action }: Request): boolean {
  return WRITES.has(action);
}
