import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { LaneRecord } from './lane-book.ts';
import { STORE_FILES } from './legacy-service.ts';
import type { Plant } from './options.ts';
import type { World } from './world.ts';

const NEWEST = `select max(memory_id) from memory_entries where session_id = $1 and is_active`;
const REMOVED = `update memory_entries set is_active = false where memory_id = (${NEWEST})`;

/** A spoilt table of the orchestrator, or of session-memory's own file. */
interface Spoiling {
  readonly sql: string;
  /** @defaultValue the orchestrator's */
  readonly isLegacys?: true;
  /** The lane's primary. @defaultValue legacy */
  readonly isFlipped?: true;
}

const NEWEST_ON_LEGACY = 'select max(id) from interactions where session_id = $owner';

const SPOIL: Readonly<Record<Plant, Spoiling>> = {
  'lost-write': { sql: REMOVED },
  duplicate: {
    sql: `insert into memory_entries (memory_id, session_id, memory_type, content, tags, position)
      select 'twice-' || memory_id, session_id, memory_type, content, tags, position + 1
      from memory_entries where memory_id = (${NEWEST})`,
  },
  reorder: { sql: 'update memory_entries set position = -position where session_id = $1 and is_active' },
  resurrect: { sql: `update memory_entries set is_active = true where session_id = $1` },
  // What legacy acknowledged before the flip never came to the orchestrator.
  'flip-without-drain': { sql: REMOVED, isFlipped: true },
  'lost-reverse': {
    sql: `delete from interactions where id = (${NEWEST_ON_LEGACY})`,
    isLegacys: true,
    isFlipped: true,
  },
  'double-reverse': {
    sql: `insert into interactions (session_id, role, content, timestamp, metadata)
      select session_id, role, content, timestamp, metadata from interactions where id = (${NEWEST_ON_LEGACY})`,
    isLegacys: true,
    isFlipped: true,
  },
};

/** Spoils one session of the round: one that holds enough for the fault to show. */
export async function plantIn(world: World, lanes: readonly LaneRecord[], plant: Plant): Promise<void> {
  const { sql, isLegacys = false, isFlipped = false } = SPOIL[plant];
  const flipped = await world.journal<{ key: string }>(
    `select key from lanes where primary_backend = 'orchestrator'`,
  );
  const keys = new Set(flipped.map(({ key }) => key));
  for (const lane of lanes) {
    if ((isFlipped && !keys.has(lane.key)) || !(await showsIt(world, lane, plant))) continue;
    if (isLegacys) spoilLegacy(world, sql, lane.owner);
    else await world.orchestratorStore.query(sql, [lane.owner]);
    return;
  }
}

async function showsIt({ orchestratorStore }: World, lane: LaneRecord, plant: Plant): Promise<boolean> {
  if (lane.service !== 'session-memory' || lane.losses.length > 0) return false;
  const [held] = await orchestratorStore.query<{ active: number; gone: number }>(
    `select count(*) filter (where is_active) as active, count(*) filter (where not is_active) as gone
     from memory_entries where session_id = $1`,
    [lane.owner],
  );
  return (held?.active ?? 0) >= 2 && (plant !== 'resurrect' || held?.gone !== 0);
}

function spoilLegacy({ legacyFolder }: World, sql: string, owner: string): void {
  const file = new DatabaseSync(join(legacyFolder, STORE_FILES['session-memory']), { timeout: 5_000 });
  try {
    file.prepare(sql).run({ owner });
  } finally {
    file.close();
  }
}
