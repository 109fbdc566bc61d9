import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { Database } from '../../../src/storage/database.ts';
import type { AgentEndpoints } from '../agents.ts';
import { LegacyWriter } from './fill.ts';

/** How an item was broken behind the proxy's back, and what a reconciliation must call it. */
export type Breakage =
  | 'altered_on_orchestrator'
  | 'added_on_orchestrator'
  | 'removed_on_orchestrator'
  | 'reordered_on_orchestrator'
  | 'resurrected_on_orchestrator'
  | 'altered_on_legacy'
  | 'added_on_legacy'
  | 'reordered_on_legacy'
  | 'lost';

/** 60 on either store. */
export const BREAKAGES: Readonly<Record<Breakage, number>> = {
  altered_on_orchestrator: 12,
  added_on_orchestrator: 12,
  removed_on_orchestrator: 12,
  reordered_on_orchestrator: 12,
  resurrected_on_orchestrator: 12,
  altered_on_legacy: 15,
  added_on_legacy: 15,
  reordered_on_legacy: 15,
  lost: 15,
};

/** The program that goes around the proxy. */
export const INTRUDER = 'nightly-import';

export interface BrokenStores {
  readonly orchestrator: Database;
  readonly legacyFolder: string;
  readonly legacy: AgentEndpoints;
}

/** Breaks one item of each of these sessions. Each holds at least three different interactions. */
export async function breakItems(lanes: ReadonlyMap<string, Breakage>, stores: BrokenStores): Promise<void> {
  const sqlite = new DatabaseSync(join(stores.legacyFolder, 'session_memory.db'));
  sqlite.exec('pragma busy_timeout = 5000');
  const writer = new LegacyWriter(stores.legacy);
  try {
    let index = 0;
    for (const [session, breakage] of lanes) {
      const place = { session, index: (index += 1), sqlite, writer, orchestrator: stores.orchestrator };
      await BREAK[breakage](place);
    }
  } finally {
    writer.close();
    sqlite.close();
  }
}

interface Place {
  readonly session: string;
  readonly index: number;
  readonly sqlite: DatabaseSync;
  readonly writer: LegacyWriter;
  readonly orchestrator: Database;
}

interface MemoryRow {
  readonly memory_id: string;
  readonly position: number;
}

async function memoriesOf({ orchestrator, session }: Place): Promise<MemoryRow[]> {
  return orchestrator.query<MemoryRow>(
    'select memory_id, position from memory_entries where session_id = $1 and is_active order by position',
    [session],
  );
}

async function second(place: Place): Promise<MemoryRow> {
  const row = (await memoriesOf(place))[1];
  if (row === undefined) throw new Error(`${place.session} holds fewer than two memories`);
  return row;
}

function interactionsOf({
  sqlite,
  session,
}: Place): { id: number; content: string; role: string; timestamp: string }[] {
  const rows = sqlite.prepare(
    'select id, content, role, timestamp from interactions where session_id = ? order by id',
  );
  return rows.all(session) as { id: number; content: string; role: string; timestamp: string }[];
}

const BREAK: Readonly<Record<Breakage, (place: Place) => unknown>> = {
  altered_on_orchestrator: async (place) =>
    place.orchestrator.query(
      `update memory_entries set content = jsonb_set(content, '{text}', '"altered by hand"') where memory_id = $1`,
      [(await second(place)).memory_id],
    ),
  added_on_orchestrator: async (place) =>
    place.orchestrator.query(
      `insert into memory_entries (memory_id, session_id, memory_type, content, tags, position)
       select 'mem-by-hand-' || $2, session_id, memory_type, jsonb_set(content, '{text}', '"added by hand"'), tags, position + 1
       from memory_entries where memory_id = $1`,
      [(await second(place)).memory_id, String(place.index)],
    ),
  removed_on_orchestrator: async (place) => {
    const { memory_id: id } = await second(place);
    const sql =
      place.index % 2 === 0
        ? 'delete from memory_entries where memory_id = $1'
        : 'update memory_entries set is_active = false, deleted_at = now() where memory_id = $1';
    return place.orchestrator.query(sql, [id]);
  },
  reordered_on_orchestrator: async (place) => {
    const [one, two] = await memoriesOf(place);
    if (one === undefined || two === undefined) throw new Error(`${place.session} cannot be reordered`);
    await place.orchestrator.query('update memory_entries set position = $2 where memory_id = $1', [
      one.memory_id,
      two.position,
    ]);
    return place.orchestrator.query('update memory_entries set position = $2 where memory_id = $1', [
      two.memory_id,
      one.position,
    ]);
  },
  /** What an agent has deleted through the proxy. */
  resurrected_on_orchestrator: (place) =>
    place.orchestrator.query(
      `update memory_entries set is_active = true, deleted_at = null, deleted_generation = null, deleted_sequence = null
       where memory_id = (select memory_id from memory_entries where session_id = $1 and not is_active order by position limit 1)`,
      [place.session],
    ),
  altered_on_legacy: (place) =>
    place.sqlite
      .prepare('update interactions set content = ?, metadata = ? where id = ?')
      .run(
        'altered past the proxy',
        JSON.stringify({ source_agent: INTRUDER }),
        interactionsOf(place)[1]?.id ?? 0,
      ),
  added_on_legacy: (place) =>
    place.writer.ask('session', {
      action: 'add_interaction',
      session_id: place.session,
      role: 'user',
      content: 'added past the proxy',
      metadata: { source_agent: INTRUDER },
    }),
  reordered_on_legacy(place) {
    const [one, two] = interactionsOf(place);
    if (one === undefined || two === undefined) throw new Error(`${place.session} cannot be reordered`);
    const put = place.sqlite.prepare(
      'update interactions set content = ?, role = ?, timestamp = ? where id = ?',
    );
    put.run(two.content, two.role, two.timestamp, one.id);
    put.run(one.content, one.role, one.timestamp, two.id);
  },
  lost: (place) =>
    place.sqlite.prepare('delete from interactions where id = ?').run(interactionsOf(place)[1]?.id ?? 0),
};
