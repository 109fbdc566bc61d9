import { createHash } from 'node:crypto';
import type { LaneKey } from '../../domain/ids.ts';
import type {
  Baseline,
  BaselineEntry,
  BaselineItem,
  BaselineStore,
  BaselineSummary,
} from '../../engine/ports/journal-facts.ts';
import type { Database } from '../database.ts';
import { prepared } from '../sessions/session.ts';
import { GroupCommit } from '../journal/group-commit.ts';

/** Follows an insert into `lane_baselines as b`. An older list replaces nothing, and known equal states stay. */
export const REPLACE_BASELINE = `
on conflict (lane_id) do update set
  sequence = excluded.sequence, items = excluded.items, digest = excluded.digest, entries = excluded.entries,
  equal_legacy = coalesce(excluded.equal_legacy, b.equal_legacy),
  equal_orchestrator = coalesce(excluded.equal_orchestrator, b.equal_orchestrator),
  at = case when (b.sequence, b.digest) is distinct from (excluded.sequence, excluded.digest) then now() else b.at end
where b.sequence <= excluded.sequence and ((b.sequence, b.digest) is distinct from (excluded.sequence, excluded.digest)
  or (b.equal_legacy, b.equal_orchestrator) is distinct from
    (coalesce(excluded.equal_legacy, b.equal_legacy), coalesce(excluded.equal_orchestrator, b.equal_orchestrator)))`;

const SAVE = `
insert into lane_baselines as b (lane_id, sequence, items, digest, entries, equal_legacy, equal_orchestrator)
select l.id, t.sequence, t.items, t.digest, decode(t.entries, 'base64'), t.legacy, t.orchestrator
from unnest($1::text[], $2::bigint[], $3::int[], $4::text[], $5::text[], $6::text[], $7::text[])
  as t(key, sequence, items, digest, entries, legacy, orchestrator)
join lanes l on l.key = t.key order by l.id
${REPLACE_BASELINE}`;

const ONE = `
select b.sequence, encode(b.entries, 'base64') as entries from lane_baselines b join lanes l on l.id = b.lane_id
where l.key = $1`;

const SUMMARIES = prepared(`
select l.key, b.sequence, b.items, b.digest, b.at, b.equal_legacy as legacy, b.equal_orchestrator as orchestrator
from lane_baselines b join lanes l on l.id = b.lane_id
where l.key = any($1::text[])`);

interface SummaryRow extends Omit<BaselineSummary, 'states' | 'atMs'> {
  readonly key: LaneKey;
  readonly at: Date;
  readonly legacy: string | null;
  readonly orchestrator: string | null;
}

/** Baselines in PostgreSQL, written in groups. */
export class PostgresBaselines implements BaselineStore {
  readonly #database: Database;
  readonly #saves: GroupCommit<BaselineEntry, void>;

  constructor(database: Database) {
    this.#database = database;
    this.#saves = new GroupCommit<BaselineEntry, void>({
      flush: (batch) => this.#save(batch),
      keyOf: ({ lane }) => lane,
      isUrgent: () => true,
      lingerMs: 0,
    });
  }

  save(entry: BaselineEntry): Promise<void> {
    return this.#saves.add(entry);
  }

  async #save(batch: readonly BaselineEntry[]): Promise<void[]> {
    const packed = batch.map(({ items }) => packBaseline(items));
    await this.#database.query(SAVE, [
      batch.map(({ lane }) => lane),
      batch.map(({ sequence }) => sequence),
      packed.map(({ items }) => items),
      packed.map(({ digest }) => digest),
      packed.map(({ entries }) => entries),
      batch.map(({ states }) => states?.legacy ?? null),
      batch.map(({ states }) => states?.orchestrator ?? null),
    ]);
    return batch.map(() => undefined);
  }

  async of(lane: LaneKey): Promise<Baseline | undefined> {
    const [row] = await this.#database.query<{ sequence: number; entries: string }>(ONE, [lane]);
    return row && { sequence: row.sequence, items: unpackBaseline(row.entries) };
  }

  async summaries(lanes: readonly LaneKey[]): Promise<ReadonlyMap<LaneKey, BaselineSummary>> {
    const rows = await this.#database.query<SummaryRow>(SUMMARIES, [lanes]);
    return new Map(
      rows.map(({ key, at, legacy, orchestrator, ...summary }) => {
        const isKnown = legacy !== null && orchestrator !== null;
        return [
          key,
          { ...summary, atMs: at.getTime(), states: isKnown ? { legacy, orchestrator } : undefined },
        ];
      }),
    );
  }

  drain(): Promise<void> {
    return this.#saves.drain();
  }
}

const DIGEST_BYTES = 16;
const ENTRY_BYTES = DIGEST_BYTES + 8;

/** A list as stored in `lane_baselines`. */
interface BaselineRow {
  readonly items: number;
  /** Digest of the entries, 32 hexadecimal digits. */
  readonly digest: string;
  /** In base64. */
  readonly entries: string;
}

export function packBaseline(items: readonly BaselineItem[]): BaselineRow {
  const bytes = Buffer.alloc(items.length * ENTRY_BYTES);
  for (const [index, { digest, atMs }] of items.entries()) {
    bytes.write(digest, index * ENTRY_BYTES, 'hex');
    bytes.writeDoubleBE(atMs, index * ENTRY_BYTES + DIGEST_BYTES);
  }
  const digest = createHash('sha256').update(bytes).digest('hex');
  return {
    items: items.length,
    digest: digest.slice(0, 2 * DIGEST_BYTES),
    entries: bytes.toString('base64'),
  };
}

/** Decodes the entries of a row. */
function unpackBaseline(entries: string): BaselineItem[] {
  const bytes = Buffer.from(entries, 'base64');
  return Array.from({ length: bytes.length / ENTRY_BYTES }, (_, index) => {
    const at = index * ENTRY_BYTES;
    return {
      digest: bytes.toString('hex', at, at + DIGEST_BYTES),
      atMs: bytes.readDoubleBE(at + DIGEST_BYTES),
    };
  });
}
