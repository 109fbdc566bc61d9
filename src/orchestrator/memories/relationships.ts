import { NotFoundError, ValidationError } from '../../domain/errors.ts';
import type { Session } from '../../storage/database.ts';
import { decodeCursor, encodeCursor } from './cursor.ts';
import { Parameters, VISIBLE } from './filter.ts';
import { LIMITS } from '../wire/limits.ts';
import { MEMORY_COLUMNS, type MemoryRow, renderMemory } from './read-memories.ts';
import type { Request } from '../wire/request.ts';
import { parseOptionalTime } from '../wire/times.ts';
import { restoredJson, storableMember } from '../wire/unstorable-text.ts';

// The target is in the same session, or in another session of the same user.
const ADD = `
with source as (
  select m.memory_id, s.user_id from memory_entries m join sessions s using (session_id)
  where m.memory_id = $1 and m.session_id = $2 and ${VISIBLE}
), target as (
  select m.memory_id from memory_entries m join sessions s using (session_id), source
  where m.memory_id = $3 and ${VISIBLE} and (m.session_id = $2 or s.user_id = source.user_id)
), added as (
  insert into memory_relationships as r (source_memory_id, target_memory_id, relationship_type, metadata, escaped, created_at)
  select source.memory_id, target.memory_id, $4, coalesce($5::jsonb, '{}'), coalesce($6::boolean, false), coalesce($7::timestamptz, now())
  from source, target
  on conflict (source_memory_id, target_memory_id, relationship_type) do update set
    metadata = coalesce($5::jsonb, r.metadata), escaped = coalesce($6::boolean, r.escaped)
  returning r.relationship_id, r.created_at
)
select exists (select from source) as found, added.* from (values (1)) one left join added on true`;

interface AddedRow {
  readonly found: boolean;
  readonly relationship_id: number | null;
  readonly created_at: Date | null;
}

/** Creates a relationship. A repetition gets the first answer; given metadata replaces the old. @throws NotFoundError */
export async function addRelationship(
  session: Session,
  request: Request<'add_relationship'>,
): Promise<object> {
  const { payload, sessionId } = request;
  const metadata = storableMember(request, 'metadata');
  const [row] = await session.query<AddedRow>(ADD, [
    payload.source_memory_id,
    sessionId,
    payload.target_memory_id,
    payload.relationship_type,
    metadata?.json.text,
    metadata?.escaped,
    parseOptionalTime(payload.created_at, 'created_at'),
  ]);
  if (row === undefined || row.relationship_id === null) {
    const memoryId = row?.found === true ? payload.target_memory_id : payload.source_memory_id;
    throw new NotFoundError('Unknown memory', { details: { memory_id: memoryId } });
  }
  return { relationship_id: row.relationship_id, created_at: row.created_at };
}

interface RelatedRow extends MemoryRow {
  readonly relationship_id: number;
  readonly source_memory_id: string;
  readonly target_memory_id: string;
  readonly relationship_type: string;
  readonly relationship_metadata: string;
  readonly relationship_escaped: boolean;
  readonly related_at: Date;
  readonly found: number;
}

/**
 * The related memories: the targets of `source_memory_id`, or the sources of `target_memory_id`. With both, the relationships between the
 * two, and the target. In the order of creation. @throws ValidationError without either
 */
export async function getRelated(session: Session, request: Request<'get_related'>): Promise<object> {
  const { payload } = request;
  const parameters = new Parameters();
  const condition = relatedCondition(request, parameters);
  const limit = payload.limit ?? LIMITS.pageDefault;
  const [near, far] = payload.source_memory_id === undefined ? ['target', 'source'] : ['source', 'target'];
  const rows = await session.query<RelatedRow>(
    `with page as materialized (
     select ${MEMORY_COLUMNS}, r.relationship_id, r.source_memory_id, r.target_memory_id, r.relationship_type,
       r.metadata::text as relationship_metadata, r.escaped as relationship_escaped, r.created_at as related_at
     from memory_relationships r
       join memory_entries anchor on anchor.memory_id = r.${near}_memory_id
       join memory_entries m on m.memory_id = r.${far}_memory_id
     where ${condition} and ${VISIBLE} and ${VISIBLE.replaceAll('m.', 'anchor.')}
     order by r.relationship_id limit ${parameters.bind(limit + 1)}
   ), fitting as (
     select *, count(*) over () as found, octet_length(content) as bytes,
       sum(octet_length(content)) over (order by relationship_id) as bytes_so_far from page
   )
   select * from fitting where bytes_so_far - bytes < ${LIMITS.pageBytes} order by relationship_id`,
    parameters.values,
  );
  const page = rows.slice(0, limit);
  const last = page.at(-1);
  return {
    related: page.map(renderRelated),
    next_cursor:
      last !== undefined && last.found > page.length ? encodeCursor([last.relationship_id]) : undefined,
  };
}

function relatedCondition({ payload, sessionId }: Request<'get_related'>, parameters: Parameters): string {
  const { source_memory_id: source, target_memory_id: target, relationship_type: type, cursor } = payload;
  if (source === undefined && target === undefined)
    throw new ValidationError('source_memory_id or target_memory_id is required', {
      details: { field: 'source_memory_id' },
    });
  const last = cursor === undefined ? undefined : decodeCursor<[number]>(cursor, ['number'])[0];
  const wanted: readonly (readonly [column: string, value: string | number | undefined])[] = [
    ['anchor.session_id =', sessionId],
    ['r.source_memory_id =', source],
    ['r.target_memory_id =', target],
    ['r.relationship_type =', type],
    ['r.relationship_id >', last],
  ];
  return wanted
    .flatMap(([column, value]) => (value === undefined ? [] : [`${column} ${parameters.bind(value)}`]))
    .join(' and ');
}

function renderRelated(row: RelatedRow): object {
  const { found: _found, bytes: _own, bytes_so_far: _all, ...shown } = row;
  const { relationship_metadata, relationship_escaped, related_at, ...rest } = shown;
  const { relationship_id, source_memory_id, target_memory_id, relationship_type, ...memory } = rest;
  return {
    relationship_id,
    relationship_type,
    source_memory_id,
    target_memory_id,
    metadata: restoredJson(relationship_metadata, relationship_escaped),
    created_at: related_at,
    memory: renderMemory(memory as MemoryRow),
  };
}
