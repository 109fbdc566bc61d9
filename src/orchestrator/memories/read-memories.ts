import { NotFoundError, ValidationError } from '../../domain/errors.ts';
import { CONTENT } from '../encryption/sealed-content.ts';
import type { Vault } from '../encryption/vault.ts';
import { prepared } from '../../storage/sessions/session.ts';
import type { VaultSession as Session } from '../encryption/vault-session.ts';
import { conditionOf, type Filter, Parameters, VISIBLE } from './filter.ts';
import { LIMITS } from '../wire/limits.ts';
import type { PayloadOf } from '../wire/payloads.ts';
import type { Request } from '../wire/request.ts';
import { restoredJson } from '../wire/unstorable-text.ts';

export const MEMORY_COLUMNS = `m.memory_id, m.session_id, m.memory_type, ${CONTENT} as content, m.escaped, m.tags,
  m.source_agent, m.created_at, m.updated_at, m.expires_at, m.priority, nullif(m.position, 9007199254740992) as position, m.version`;

export interface MemoryRow {
  readonly content: string;
  readonly escaped: boolean;
  readonly [column: string]: unknown;
}

/** A memory in the form of an answer. Its content is exactly the text that was sent. */
export function renderMemory({ content, escaped, ...columns }: MemoryRow): object {
  return { ...columns, content: restoredJson(content, escaped) };
}

/** The size of all contents of `page`. It is materialized, so contents are converted to text once. */
export const PAGE_BYTES = 'select coalesce(sum(octet_length(content)), 0) as page_bytes from page';

/** Refuses an answer that is too large. It is not shortened, because the caller pages by offsets and would miss the rest. */
export function requireFitting(row: { readonly page_bytes: number } | undefined): void {
  if (row === undefined || row.page_bytes <= LIMITS.pageBytes) return;
  throw new ValidationError(
    `limit: the contents of this page exceed ${LIMITS.pageBytes} bytes; request fewer memories`,
    {
      reason: 'page_too_large',
      details: { field: 'limit', limit: LIMITS.pageBytes, actual: row.page_bytes },
    },
  );
}

const READ = prepared(
  `select ${MEMORY_COLUMNS} from memory_entries m where m.memory_id = $1 and m.session_id = $2 and ${VISIBLE}`,
);

export async function readMemory(session: Session, request: Request<'read'>): Promise<object> {
  const { payload, sessionId } = request;
  const [row] = await session.query<MemoryRow>(READ, [payload.memory_id, sessionId]);
  if (row === undefined)
    throw new NotFoundError('Unknown memory', { details: { memory_id: payload.memory_id } });
  return renderMemory(row);
}

type Sort = NonNullable<PayloadOf<'batch_read'>['sort']>;
type Present<T> = { readonly [K in keyof T]-?: NonNullable<T[K]> };

const DEFAULT_SORT: Present<Sort> = { field: 'created_at', order: 'desc' };

// Equal values are ordered by position, then id, in the same direction. Null is stored as the greatest position.
function orderBy({ field, order }: Present<Sort>, row: 'm' | 'page'): string {
  const ties = field === 'position' ? '' : `, ${row}.position ${order}`;
  return `${row}.${field} ${order}${ties}, ${row}.memory_id ${order}`;
}

interface BatchPlan {
  readonly filter: Filter;
  readonly ids: readonly string[] | undefined;
  readonly limit: number;
  readonly offset: number;
  readonly sort: Present<Sort>;
  readonly counts: boolean;
}

function planOf({ payload }: Request<'batch_read'>): BatchPlan {
  const { filter = {} } = payload;
  return {
    filter,
    ids: payload.memory_ids,
    limit: filter.limit ?? payload.limit ?? LIMITS.pageDefault,
    offset: filter.offset ?? payload.offset ?? 0,
    sort: { ...DEFAULT_SORT, ...payload.sort, ...filter.sort },
    counts: payload.count ?? true,
  };
}

interface BatchRow extends MemoryRow {
  /** Null in the row that has only the totals, if the page is empty. */
  readonly memory_id: string | null;
  readonly total: number | null;
  readonly missing: string[] | null;
  readonly page_bytes: number;
}

interface Statement {
  readonly sql: string;
  readonly values: unknown[];
}

/** Reads by ids, by filter, or both, in one statement. */
export async function batchRead(session: Session, request: Request<'batch_read'>): Promise<object> {
  const plan = planOf(request);
  const { sql, values } = batchStatement(request, plan, session.vault);
  const rows = await session.query<BatchRow>(prepared(sql), values);
  const [first] = rows;
  requireFitting(first);
  const memories = rows
    .filter((row) => row.memory_id !== null)
    .map(({ total: _total, missing: _missing, page_bytes: _bytes, ...row }) => renderMemory(row));
  const page = memories.slice(0, plan.limit);
  return {
    memories: page,
    total_count: plan.counts ? (first?.total ?? 0) : null,
    page_info: { limit: plan.limit, offset: plan.offset, has_more: memories.length > plan.limit },
    missing_ids: plan.ids === undefined ? undefined : (first?.missing ?? []),
  };
}

function batchStatement(request: Request<'batch_read'>, plan: BatchPlan, vault: Vault): Statement {
  const { sessionId, raw } = request;
  const parameters = new Parameters();
  const filtered = conditionOf(
    { sessionId, filter: plan.filter, rawFilter: raw['filter'], vault },
    parameters,
  );
  const ids = plan.ids === undefined ? undefined : parameters.bind(plan.ids);
  const condition = [filtered, VISIBLE, ...(ids === undefined ? [] : [`m.memory_id = any(${ids}::text[])`])]
    .filter((part) => part !== '')
    .join(' and ');
  const page = `select ${MEMORY_COLUMNS} from memory_entries m
    where ${condition} order by ${orderBy(plan.sort, 'm')} limit ${parameters.bind(plan.limit + 1)} offset ${parameters.bind(plan.offset)}`;
  const total = plan.counts ? `(select count(*) from memory_entries m where ${condition})` : 'null::bigint';
  const missing = ids === undefined ? 'null::text[]' : missingIds(ids, sessionId, parameters);
  return {
    sql: `with page as materialized (${page}), weight as (${PAGE_BYTES})
      select ${total} as total, ${missing} as missing, page_bytes, page.*
      from weight left join page on page_bytes <= ${LIMITS.pageBytes} order by ${orderBy(plan.sort, 'page')}`,
    values: parameters.values,
  };
}

// Not visible, whatever the filter: never created, deleted, expired, or of another session.
function missingIds(ids: string, sessionId: string, parameters: Parameters): string {
  const within = sessionId === '' ? '' : `and m.session_id = ${parameters.bind(sessionId)}`;
  return `(select array_agg(id order by place) from unnest(${ids}::text[]) with ordinality wanted (id, place)
    where not exists (select from memory_entries m where m.memory_id = wanted.id and ${VISIBLE} ${within}))`;
}
