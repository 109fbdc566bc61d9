import type { DifferenceClass, Hint } from '../domain/comparison.ts';
import type { ServiceName } from '../domain/ids.ts';
import {
  SIGNATURES_KEPT,
  type SignatureExample,
  type SignatureSightings,
  type SignatureStore,
} from '../engine/compare/comparison-stores.ts';
import type { Database } from './database.ts';

const TRIM_EVERY = 100;

interface Row {
  readonly service: string;
  readonly action: string;
  readonly path: string;
  readonly class: string;
  readonly shape: string;
  readonly count: number;
  readonly first_at: Date;
  readonly last_at: Date;
  readonly hint_counts: Readonly<Partial<Record<Hint, number>>>;
  readonly lane_registers: number[];
  readonly examples: SignatureExample[];
}

// Rows are in the order of the key, so that two replicas never deadlock. The first five examples are kept, because they show the start.
const ADD = `
  insert into difference_signatures as known
    (service, action, path, class, shape, count, first_at, last_at, hint_counts, lane_registers, examples)
  select s->>'service', s->>'action', s->>'path', s->>'class', s->>'shape', (s->>'count')::bigint,
    (s->>'first_at')::timestamptz, (s->>'last_at')::timestamptz, s->'hints',
    array(select r::smallint from jsonb_array_elements_text(s->'lane_registers') with ordinality t(r, i) order by i),
    s->'examples'
  from jsonb_array_elements($1::jsonb) s
  order by 1, 2, 3, 4, 5
  on conflict (service, action, path, class, shape) do update set
    count = known.count + excluded.count,
    first_at = least(known.first_at, excluded.first_at),
    last_at = greatest(known.last_at, excluded.last_at),
    hint_counts = (
      select coalesce(jsonb_object_agg(hint, times), '{}') from (
        select key as hint, sum(value::bigint) as times
        from (select * from jsonb_each_text(known.hint_counts) union all select * from jsonb_each_text(excluded.hint_counts)) both_sides
        group by key
      ) summed),
    lane_registers = array(
      select greatest(a, b) from unnest(known.lane_registers, excluded.lane_registers) with ordinality t(a, b, i) order by i),
    examples = (
      select jsonb_agg(e order by i) from (
        select e, i from jsonb_array_elements(known.examples || excluded.examples) with ordinality t(e, i) order by i limit 5
      ) first)`;

/** Difference signatures in PostgreSQL. */
export function createSignatureStore(database: Database): SignatureStore {
  let added = 0;
  return {
    async add(sightings) {
      await database.query(ADD, [JSON.stringify(sightings.map(rowOf))]);
      added += 1;
      if (added % TRIM_EVERY !== 1) return;
      for (const service of new Set(sightings.map((sighting) => sighting.service)))
        await trim(database, service);
    },
    async list(service, limit) {
      const rows = await database.query<Row>(
        'select * from difference_signatures where service = $1 order by count desc, last_at desc limit $2',
        [service, limit],
      );
      return rows.map(sightingsOf);
    },
  };
}

async function trim(database: Database, service: ServiceName): Promise<void> {
  await database.query(
    `delete from difference_signatures where service = $1 and last_at < (
       select last_at from difference_signatures where service = $1 order by last_at desc offset $2 limit 1)`,
    [service, SIGNATURES_KEPT],
  );
}

function rowOf({ firstAtMs, lastAtMs, laneRegisters, ...sightings }: SignatureSightings): object {
  return {
    ...sightings,
    first_at: new Date(firstAtMs).toISOString(),
    last_at: new Date(lastAtMs).toISOString(),
    lane_registers: laneRegisters,
  };
}

function sightingsOf(row: Row): SignatureSightings {
  const { service, action, path, shape, count, examples } = row;
  return {
    service: service as ServiceName,
    action,
    path,
    class: row.class as DifferenceClass,
    shape,
    count,
    firstAtMs: row.first_at.getTime(),
    lastAtMs: row.last_at.getTime(),
    hints: row.hint_counts,
    laneRegisters: row.lane_registers,
    examples,
  };
}
