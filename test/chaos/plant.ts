import type { Database } from '../../src/storage/database.ts';
import type { LaneRecord } from './lane-book.ts';
import type { Plant } from './options.ts';

const NEWEST = `select max(memory_id) from memory_entries where session_id = $1 and is_active`;

const SPOIL: Readonly<Record<Plant, string>> = {
  'lost-write': `update memory_entries set is_active = false where memory_id = (${NEWEST})`,
  duplicate: `insert into memory_entries (memory_id, session_id, memory_type, content, tags, position)
    select 'twice-' || memory_id, session_id, memory_type, content, tags, position + 1
    from memory_entries where memory_id = (${NEWEST})`,
  reorder: 'update memory_entries set position = -position where session_id = $1 and is_active',
  resurrect: `update memory_entries set is_active = true where session_id = $1`,
};

/** Spoils one session of the round in the orchestrator's tables: one that holds enough for the fault to show. */
export async function plantIn(store: Database, lanes: readonly LaneRecord[], plant: Plant): Promise<void> {
  for (const lane of lanes) {
    if (lane.service !== 'session-memory' || lane.losses.length > 0) continue;
    const [held] = await store.query<{ active: number; gone: number }>(
      `select count(*) filter (where is_active) as active, count(*) filter (where not is_active) as gone
       from memory_entries where session_id = $1`,
      [lane.owner],
    );
    if ((held?.active ?? 0) < 2 || (plant === 'resurrect' && held?.gone === 0)) continue;
    await store.query(SPOIL[plant], [lane.owner]);
    return;
  }
}
