import { LRUCache } from 'lru-cache';
import type { Session } from '../../storage/database.ts';
import { conditionOf, isCommon, Parameters, planned, type Selection, VISIBLE } from '../memories/filter.ts';
import type { Space } from '../vectors/vector-store.ts';

/** What the filters of a search let through, where that is not too much to count. */
export interface Census {
  /** How many have a text, but no vector of its present version. Undefined where there are more memories than are counted. */
  waiting(session: Session, among: { selection: Selection; space: Space }): Promise<number | undefined>;
}

// Who was found to have too many is not counted again for so long. Should there be fewer meanwhile, the index is asked for no reason.
const CROWDED_MS = 10_000;
const CROWDS = 10_000;

/** Counts no further than one past the limit, and beyond it nothing else: a search must not cost more for what it says about itself. */
export function createCensus(limit: number): Census {
  const crowds = new LRUCache<string, true>({ max: CROWDS, ttl: CROWDED_MS });
  return {
    async waiting(session, { selection, space }) {
      const crowd = crowdOf(selection);
      if (crowd !== undefined && crowds.has(crowd)) return undefined;
      const waiting = await counted(session, { selection, space, limit });
      if (waiting === undefined && crowd !== undefined) crowds.set(crowd, true);
      return waiting;
    },
  };
}

function crowdOf(selection: Selection): string | undefined {
  return isCommon(selection) ? JSON.stringify([selection.sessionId, selection.filter.user_id]) : undefined;
}

async function counted(
  session: Session,
  { selection, space, limit }: { selection: Selection; space: Space; limit: number },
): Promise<number | undefined> {
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
  return row?.waiting ?? undefined;
}
