import type { Session } from '../../storage/database.ts';
import { conditionOf, Parameters, type Selection, VISIBLE } from '../filter.ts';
import type { Space } from '../vectors/vector-store.ts';

/** What the filters let through, as far as it was counted. */
export interface Census {
  readonly memories: number;
  /** They have a text, but no vector of its present version. */
  readonly waiting: number;
  /** There are more than were counted. */
  readonly isCut: boolean;
}

/** Counts no further than one past the limit. */
export async function takeCensus(
  session: Session,
  { selection, space, limit }: { selection: Selection; space: Space; limit: number },
): Promise<Census> {
  const parameters = new Parameters();
  const filtered = conditionOf(selection, parameters);
  const condition = [filtered, VISIBLE].filter((part) => part !== '').join(' and ');
  const [row] = await session.query<{ memories: number; waiting: number }>(
    `select count(*) as memories, count(*) filter (where has_text and embedded_version is distinct from version) as waiting
     from (select m.text_content ~ '[^[:space:]]' as has_text, m.version, e.memory_version as embedded_version
       from memory_entries m left join vector_embeddings e on e.memory_id = m.memory_id
         and e.embedding_model = ${parameters.bind(space.model)} and e.dimension = ${parameters.bind(space.dimension)}
       where ${condition} limit ${parameters.bind(limit + 1)}) seen`,
    parameters.values,
  );
  const { memories, waiting } = row ?? { memories: 0, waiting: 0 };
  return { memories, waiting, isCut: memories > limit };
}
