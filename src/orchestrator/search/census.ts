import type { Session } from '../../storage/database.ts';
import { conditionOf, Parameters, planned, type Selection, VISIBLE } from '../filter.ts';
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
  const condition = [conditionOf(selection, parameters), VISIBLE].filter((part) => part !== '').join(' and ');
  const ofSpace = `e.embedding_model = ${parameters.bind(space.model)} and e.dimension = ${parameters.bind(space.dimension)}`;
  // A branch of a case that is not taken is not run.
  const [row] = await session.query<{ waiting: number | null }>(
    planned(
      `select case when (select count(*) from (select from memory_entries m where ${condition} limit ${limit + 1}) counted) <= ${limit} then (
         select count(*) filter (where e.memory_version is distinct from m.version and m.text_content ~ '[^[:space:]]')
         from memory_entries m left join vector_embeddings e on e.memory_id = m.memory_id and ${ofSpace}
         where ${condition}) end as waiting`,
      selection,
    ),
    parameters.values,
  );
  return { waiting: row?.waiting ?? undefined };
}
