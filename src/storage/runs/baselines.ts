import type { LaneKey } from '../../domain/ids.ts';
import type {
  Baseline,
  BaselineEntry,
  BaselineStore,
  BaselineSummary,
} from '../../engine/ports/lane-history.ts';
import { packBaseline, REPLACE_BASELINE, unpackBaseline } from '../baseline-rows.ts';
import type { Database } from '../database.ts';
import { prepared } from '../sessions/prepared.ts';
import { GroupCommit } from '../journal/group-commit.ts';

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
