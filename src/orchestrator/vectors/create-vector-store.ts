import type { Logger } from 'pino';
import type { Database } from '../../storage/database.ts';
import type { SearchSettings } from '../settings.ts';
import { createInProcessStore } from './in-process.ts';
import { createPgvectorStore } from './pgvector.ts';
import type { Space, VectorStore } from './vector-store.ts';
import { createVertexStore } from './vertex.ts';
import { createVertexClient, vertexAddressOf } from './vertex-client.ts';

interface VectorStoreParts {
  readonly database: Database;
  /** The space of the configured model. */
  readonly space: Space | undefined;
  readonly log: Logger;
}

/** The configured store. @throws Error listing the missing settings of Vertex AI */
export function createVectorStore(settings: SearchSettings, parts: VectorStoreParts): VectorStore {
  const { database, space, log } = parts;
  switch (settings.store) {
    case 'in_process':
      return createInProcessStore(database, settings.inProcessVectors);
    case 'vertex':
      // Without a model there are no vectors for Vertex AI.
      if (space === undefined) return createPgvectorStore(database);
      return createVertexStore({
        database,
        space,
        client: createVertexClient(vertexAddressOf(settings.vertex)),
        onFailure: (message) => log.warn(`Vertex AI failed, so pgvector answers: ${message}`),
      });
    default:
      return createPgvectorStore(database);
  }
}
