import { LRUCache } from 'lru-cache';
import type { Session } from '../../storage/database.ts';
import { conditionOf, isCommon, Parameters, planned, type Selection, VISIBLE } from '../memories/filter.ts';
import type { Space } from '../vectors/vector-store.ts';

/** Counts the memories that the filters of a search select, if there are not too many. */
export interface Census {
  /** Number of memories with a text but without a vector of its current version. Undefined above the limit. */
  waiting(session: Session, among: { selection: Selection; space: Space }): Promise<number | undefined>;
}

// A selection above the limit is not counted again for this time. If it has fewer memories by then, the index is used unnecessarily.
const CROWDED_MS = 10_000;
const CROWDS = 10_000;

/** Counts at most one past the limit, so that search metadata does not make a search slower. */
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
  // PostgreSQL does not execute unused branches of a case.
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
