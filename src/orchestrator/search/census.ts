import type { Session } from '../../storage/database.ts';
import { conditionOf, Parameters, type Selection, VISIBLE } from '../filter.ts';
import type { Space } from '../vectors/vector-store.ts';

/** What the filters let through, where that is not too much to count. */
export interface Census {
  /** They have a text, but no vector of its present version. Unknown where there are more memories than are counted. */
  readonly waiting: number | undefined;
}

/** Counts no further than one past the limit, and beyond it nothing else: a search must not cost more for what it says about itself. */
export async function takeCensus(
  session: Session,
  { selection, space, limit }: { selection: Selection; space: Space; limit: number },
): Promise<Census> {
  const parameters = new Parameters();
  const filtered = conditionOf(selection, parameters);
  const condition = [filtered, VISIBLE].filter((part) => part !== '').join(' and ');
  const most = parameters.bind(limit);
  // A branch of a case that is not taken is not run.
  const [row] = await session.query<{ waiting: number | null }>(
    `with seen as materialized (
       select m.memory_id, m.version, m.text_content from memory_entries m where ${condition} limit ${most}::int + 1)
     select case when (select count(*) from seen) <= ${most}::int then (
       select count(*) filter (where e.memory_version is distinct from m.version and m.text_content ~ '[^[:space:]]')
       from seen m left join vector_embeddings e on e.memory_id = m.memory_id
         and e.embedding_model = ${parameters.bind(space.model)} and e.dimension = ${parameters.bind(space.dimension)}) end as waiting`,
    parameters.values,
  );
  return { waiting: row?.waiting ?? undefined };
}
