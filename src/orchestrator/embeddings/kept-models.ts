import type { Database, Session } from '../../storage/database.ts';
import { isSameSpace, type Space } from '../vectors/vector-store.ts';

/** A model whose vectors are stored. */
export interface KeptModel extends Space {
  readonly provider: string;
  readonly state: 'filling' | 'serving' | 'retired';
  /** The last memory id that was filled. */
  readonly cursor: string;
  readonly lookedAt: number;
  /** Milliseconds since its state last changed. */
  readonly ageMs: number;
}

/** The table embedding_models: which vectors are in use, and the progress of their successors. */
export interface KeptModels {
  list(): Promise<KeptModel[]>;
  /** Ensures that the wanted model serves, or is being filled while another serves. */
  want(space: Space, provider: string): Promise<void>;
  /** Leases the right to sweep the memories for this model. False while another process has it. */
  lease(space: Space, forMs: number): Promise<boolean>;
  /** Releases the lease. */
  release(): Promise<void>;
  saveProgress(space: Space, cursor: string, lookedAt: number): Promise<void>;
  /** The filled model serves from now on; the previous model is retired. */
  serve(space: Space): Promise<void>;
  forget(space: Space): Promise<void>;
}

const COLUMNS = `model, dimension, provider, state, cursor, looked_at as "lookedAt",
  (extract(epoch from now() - changed_at) * 1000)::float8 as "ageMs"`;
const ONE = 'model = $1 and dimension = $2';

export function createKeptModels(database: Database, owner: string): KeptModels {
  const list = () =>
    database.query<KeptModel>(`select ${COLUMNS} from embedding_models order by changed_at, model`);

  return {
    list,
    want: (space, provider) => database.transaction((session) => want(session, space, provider)),
    async lease({ model, dimension }, forMs) {
      const rows = await database.query(
        `update embedding_models set leased_by = $3, leased_until = now() + $4::float8 * interval '1 millisecond'
         where ${ONE} and (leased_by = $3 or leased_until < now()) returning 1`,
        [model, dimension, owner, forMs],
      );
      return rows.length === 1;
    },
    async release() {
      await database.query(`update embedding_models set leased_until = '-infinity' where leased_by = $1`, [
        owner,
      ]);
    },
    async saveProgress({ model, dimension }, cursor, lookedAt) {
      await database.query(`update embedding_models set cursor = $3, looked_at = $4 where ${ONE}`, [
        model,
        dimension,
        cursor,
        lookedAt,
      ]);
    },
    async serve({ model, dimension }) {
      await database.transaction(async (session) => {
        await session.query(
          `update embedding_models set state = 'retired', changed_at = now() where state = 'serving' and not (${ONE})`,
          [model, dimension],
        );
        await session.query(
          `update embedding_models set state = 'serving', changed_at = now() where ${ONE}`,
          [model, dimension],
        );
      });
    },
    async forget({ model, dimension }) {
      await database.query(`delete from embedding_models where ${ONE} and state = 'retired'`, [
        model,
        dimension,
      ]);
    },
  };
}

async function want(session: Session, space: Space, provider: string): Promise<void> {
  await session.script('lock table embedding_models in share row exclusive mode');
  const kept = await session.query<KeptModel>(`select ${COLUMNS} from embedding_models`);
  const serving = kept.find(({ state }) => state === 'serving');
  if (serving !== undefined && isSameSpace(serving, space)) return;
  // A model that was being filled and is no longer wanted never served, so it can be retired.
  await session.query(
    `update embedding_models set state = 'retired', changed_at = now() where state = 'filling' and not (${ONE})`,
    [space.model, space.dimension],
  );
  await session.query(
    `insert into embedding_models (model, dimension, provider, state) values ($1, $2, $3, $4)
       on conflict (model, dimension) do update set state = excluded.state, provider = excluded.provider,
         cursor = case when embedding_models.state = 'filling' then embedding_models.cursor else '' end,
         looked_at = case when embedding_models.state = 'filling' then embedding_models.looked_at else 0 end,
         changed_at = case when embedding_models.state = 'filling' then embedding_models.changed_at else now() end`,
    [space.model, space.dimension, provider, serving === undefined ? 'serving' : 'filling'],
  );
}
