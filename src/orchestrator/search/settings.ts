import { Type, type Static } from 'typebox';
import { whole } from '../whole-number.ts';

const text = Type.Optional(Type.String({ minLength: 1 }));

const VertexSettings = Type.Object(
  {
    apiEndpoint: text,
    indexEndpoint: text,
    deployedIndexId: text,
    index: text,
    timeoutMs: whole(10, 1_000),
  },
  { additionalProperties: false },
);

/** Settings of semantic search. */
export const SearchSettings = Type.Object(
  {
    store: Type.Union([Type.Literal('pgvector'), Type.Literal('in_process'), Type.Literal('vertex')], {
      default: 'pgvector',
    }),
    exactBelow: whole(0, 500),
    inProcessVectors: whole(1, 50_000),
    vertex: VertexSettings,
  },
  { additionalProperties: false },
);

export type SearchSettings = Static<typeof SearchSettings>;
