import type { ReplicaId } from '../../domain/ids.ts';
import type { Database } from '../database.ts';
import { prepared } from '../sessions/prepared.ts';
import { GroupCommit } from './group-commit.ts';

/** The delivery position of a lane. */
export interface Progress {
  readonly delivered?: number;
  readonly seeded?: number;
}

interface Step extends Progress {
  readonly laneId: number;
}

const LINGER_MS = 10;

const ADVANCE = prepared(`
with moved as (
  select lane_id, max(delivered) as delivered, max(seeded) as seeded
  from unnest($1::bigint[], $2::bigint[], $3::bigint[]) as t(lane_id, delivered, seeded)
  group by lane_id
), locked as (
  select id, delivered_sequence as stood_at from lanes where id = any($1::bigint[]) order by key for update
), noted as (
  insert into lane_advances (lane_id, sequence, via)
  select locked.id, moved.delivered, 'delivery' from moved join locked on locked.id = moved.lane_id
  where moved.delivered > locked.stood_at
  on conflict do nothing
), quiet as (
  -- Asynchronous, because the agents' commits wait for these rows. A position lost in a crash only causes fenced repetitions.
  select set_config('synchronous_commit', 'off', true) as setting
)
update lanes set
  delivered_sequence = greatest(delivered_sequence, moved.delivered),
  seeded_coverage = greatest(seeded_coverage, moved.seeded),
  -- No delivery waits, so the next replica that writes to the lane becomes its home.
  claim_replica = case
    when claim_replica = $4 and condition = 'clean' and greatest(delivered_sequence, moved.delivered) >= sequence then null
    else claim_replica end
from moved join locked on locked.id = moved.lane_id cross join quiet
where lanes.id = moved.lane_id`);

/**
 * Records delivery positions with a delay. A delivery whose position is lost in a crash is repeated without effect. Many steps of a lane
 * become one update, separate from the group commit that agents wait for.
 */
export class LaneProgress {
  readonly #commits: GroupCommit<Step, undefined>;

  constructor(database: Database, replica: () => ReplicaId) {
    this.#commits = new GroupCommit<Step, undefined>({
      flush: async (steps) => {
        await database.query(ADVANCE, [
          steps.map(({ laneId }) => laneId),
          steps.map(({ delivered }) => delivered ?? 0),
          steps.map(({ seeded }) => seeded ?? 0),
          replica(),
        ]);
        return [];
      },
      keyOf: () => undefined,
      isUrgent: () => false,
      lingerMs: LINGER_MS,
      batchLimit: 5_000,
    });
  }

  async add(laneId: number, progress: Progress): Promise<void> {
    await this.#commits.add({ laneId, ...progress });
  }

  drain(): Promise<void> {
    return this.#commits.drain();
  }
}
