import type { ComparisonRule } from '../domain/comparison.ts';
import type { ServiceName } from '../domain/ids.ts';
import type { OperatorRule, RuleChanges, RuleHits, RuleStore } from '../engine/compare/comparison-stores.ts';
import type { Database } from './database.ts';

interface RuleRow {
  readonly id: number;
  readonly service: string;
  readonly action: string;
  readonly rule: ComparisonRule;
  readonly added_at: Date;
}

interface HitRow {
  readonly service: string;
  readonly action: string;
  readonly rule: string;
  readonly hits: number;
  readonly last_hit_at: Date;
}

const ADD_HITS = `
  insert into rule_hits (service, action, rule, hits, last_hit_at)
  select * from unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::timestamptz[])
  order by 1, 2, 3
  on conflict (service, action, rule) do update
  set hits = rule_hits.hits + excluded.hits, last_hit_at = greatest(rule_hits.last_hit_at, excluded.last_hit_at)`;

const CHANGES = `
  select service, action, count(*) + count(removed_at) as changes from comparison_rules group by service, action order by 1, 2`;

/** The operators' comparison rules, and the hits of all rules, in PostgreSQL. */
export function createRuleStore(database: Database): RuleStore {
  return {
    async rules() {
      const rows = await database.query<RuleRow>(
        'select id, service, action, rule, added_at from comparison_rules where removed_at is null order by id',
      );
      return rows.map(ruleOf);
    },
    changes: () => database.query<RuleChanges>(CHANGES),
    async add({ service, action, rule }) {
      const [row] = await database.query<{ id: number }>(
        'insert into comparison_rules (service, action, rule) values ($1, $2, $3::jsonb) returning id',
        [service, action, JSON.stringify(rule)],
      );
      return row?.id ?? 0;
    },
    async remove(id, by) {
      const rows = await database.query(
        `update comparison_rules set removed_at = now(), removed_by = $2
         where id = $1 and removed_at is null returning id`,
        [id, by],
      );
      return rows.length > 0;
    },
    async addHits(hits) {
      await database.query(ADD_HITS, [
        hits.map(({ service }) => service),
        hits.map(({ action }) => action),
        hits.map(({ rule }) => rule),
        hits.map((counted) => counted.hits),
        hits.map(({ lastHitAtMs }) => new Date(lastHitAtMs).toISOString()),
      ]);
    },
    async hits() {
      const rows = await database.query<HitRow>('select * from rule_hits order by service, action, rule');
      return rows.map(hitsOf);
    },
  };
}

function ruleOf({ id, service, action, rule, added_at: addedAt }: RuleRow): OperatorRule {
  return { id, service: service as ServiceName, action, rule, addedAtMs: addedAt.getTime() };
}

function hitsOf({ service, action, rule, hits, last_hit_at: lastHitAt }: HitRow): RuleHits {
  return { service: service as ServiceName, action, rule, hits, lastHitAtMs: lastHitAt.getTime() };
}
