import { ValidationError } from '../../domain/errors.ts';
import { rawMembers } from '../../domain/json.ts';
import { prepared } from '../../storage/sessions/session.ts';
import { markedWith } from '../encryption/blind-search.ts';
import type { Vault } from '../encryption/vault.ts';
import type { PayloadOf } from '../wire/payloads.ts';
import { parseTime } from '../wire/times.ts';

/** The parameters of one statement, numbered in order of use. */
export class Parameters {
  readonly values: unknown[] = [];

  /** Adds a value and returns its placeholder. */
  bind(value: unknown): string {
    return `$${this.values.push(value)}`;
  }
}

/** The condition of a visible memory. */
export const VISIBLE = 'm.is_active and (m.expires_at is null or m.expires_at > now())';

export type Filter = NonNullable<PayloadOf<'bulk_delete'>['filter']>;
type Condition<K extends keyof Filter> = (value: NonNullable<Filter[K]>, bind: Bind) => string;
type Bind = (value: unknown) => string;

// One entry per field of a filter. All given conditions must be true; `tags` requires every tag.
const CONDITIONS: { readonly [K in Exclude<keyof Filter, 'metadata'>]-?: Condition<K> } = {
  memory_type: (type, bind) => `m.memory_type = ${bind(type)}`,
  memory_types: (types, bind) => `m.memory_type = any(${bind(types)}::text[])`,
  memory_ids: (ids, bind) => `m.memory_id = any(${bind(ids)}::text[])`,
  time_range: ({ start, end }, bind) =>
    [
      ...(start === undefined ? [] : [`m.created_at >= ${bind(parseTime(start, 'time_range.start'))}`]),
      ...(end === undefined ? [] : [`m.created_at < ${bind(parseTime(end, 'time_range.end'))}`]),
    ].join(' and ') || 'true',
  older_than: (bound, bind) =>
    typeof bound === 'number'
      ? `m.created_at < now() - ${bind(bound)}::float8 * interval '1 second'`
      : `m.created_at < ${bind(parseTime(bound, 'older_than'))}`,
  tags: (tags, bind) => `m.tags @> ${bind(tags)}::text[]`,
  user_id: (user, bind) => `m.session_id in (select session_id from sessions where user_id = ${bind(user)})`,
  position_below: (position, bind) => `m.position < ${bind(position)}`,
  // Memories without a position are above every position.
  position_above: (position, bind) =>
    `m.position > ${bind(position)} and m.position < ${bind(2 ** 53)}::bigint`,
};

/** All fields of a filter. */
export const FILTERS = ['metadata', ...Object.keys(CONDITIONS)] as readonly (keyof Filter)[];

/** A filter with its session. `rawFilter` is its JSON text, because metadata is compared exactly as spelled. */
export interface Selection {
  readonly sessionId: string;
  readonly filter: Filter;
  readonly rawFilter?: string | undefined;
  /** Needed to find sealed contents by their metadata. */
  readonly vault: Vault;
}

/** The condition of a selection on `memory_entries m`, without visibility. @throws ValidationError */
export function conditionOf(selection: Selection, parameters: Parameters): string {
  const { sessionId, filter, rawFilter, vault } = selection;
  const bind: Bind = (value) => parameters.bind(value);
  const conditions = sessionId === '' ? [] : [`m.session_id = ${bind(sessionId)}`];
  for (const name of Object.keys(CONDITIONS) as (keyof typeof CONDITIONS)[]) {
    const value = filter[name];
    if (value !== undefined)
      conditions.push((CONDITIONS[name] as (v: unknown, b: Bind) => string)(value, bind));
  }
  if (filter.metadata !== undefined) conditions.push(metadataCondition(vault, rawFilter, bind));
  return conditions.join(' and ');
}

/** Marks the statement of a common selection (no filter except the user) as prepared. */
export function planned(sql: string, selection: Selection): string {
  return isCommon(selection) ? prepared(sql) : sql;
}

/** Whether a selection has no filter but the user. */
export function isCommon({ filter }: Selection): boolean {
  return !FILTERS.some((name) => name !== 'user_id' && filter[name] !== undefined);
}

function metadataCondition(vault: Vault, rawFilter: string | undefined, bind: Bind): string {
  const text = rawMembers(rawFilter ?? '{}')['metadata'];
  if (text === undefined) throw new ValidationError('filter.metadata must be an object');
  const clear = `m.content_key is null and not exists (select from jsonb_each(${bind(text)}::jsonb) wanted
    where m.content -> 'metadata' -> wanted.key is distinct from wanted.value)`;
  return `(${clear} or ${markedWith(vault, text, bind)})`;
}
