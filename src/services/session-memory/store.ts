import { createHash } from 'node:crypto';
import { type Owner, parseOwner, sessionIdOf } from '../../domain/ids.ts';
import { encodeJson, Json, parseTolerantly, rawMembers } from '../../domain/json.ts';
import type { OwnersAround } from '../../domain/retention.ts';
import type {
  LaneDefinition,
  LegacyAccess,
  LegacyItem,
  LegacyLane,
  ServiceContext,
  StoredSession,
} from '../../domain/service-definition.ts';
import { retime, textOfMembers, unwrapMetadata, wrapMetadata, writerIn } from '../stored-items.ts';
import { instantOf, isLocalTime, localTimeOf } from '../local-time.ts';
import { isFalsy, respell } from '../python-spelling.ts';
import { boundText, interactionFields, interactionPayload } from './interaction.ts';

type Row = Readonly<Record<string, unknown>>;
type Query = NonNullable<LegacyAccess['sqlite']>;

const ID_LENGTH = 64;
const NUL = '\u0000';

/** Rows per statement. No index leads to a session's interactions, and the service waits while a statement reads. */
const IDS_PER_STATEMENT = 20_000;

const OWNERS_PER_STATEMENT = 1_000;
const OWNERS = `select rowid as place, session_id from sessions where rowid > cast(? as integer)
  order by rowid limit ${OWNERS_PER_STATEMENT}`;
// `last_active` changes when the service creates or loads a session, and decides the order of deletion. A session whose value is
// not a time is never deleted.
const AROUND = `select count(*) as held, count(case when last_active < ? then 1 end) as before from sessions
  where datetime(last_active) is not null`;
const SESSION = 'select user_id, created_at, last_active, metadata from sessions where session_id = ?';
const RANGE =
  'select (select min(id) from interactions) as first, (select max(id) from interactions) as last';
// In the order of insertion, which the service shows while it has the session in memory. After loading it orders by timestamp,
// which is the same unless clocks went back.
const INTERACTIONS = `select id, timestamp, role, content, metadata from interactions
  where session_id = ? and id >= cast(? as integer) and id < cast(? as integer) order by id`;
const SESSIONS = `select session_id, user_id, created_at, last_active, metadata from sessions
  where session_id in (select value from json_each(?))`;
const INTERACTIONS_OF_MANY = `select id, session_id, timestamp, role, content, metadata from interactions
  where session_id in (select value from json_each(?)) and id >= cast(? as integer) and id < cast(? as integer) order by id`;
// `not in` would return nothing as soon as one session has no id.
const ORPHANS = `select count(*) as rows from interactions
  where id >= cast(? as integer) and id < cast(? as integer) 
    and not exists (select 1 from sessions where sessions.session_id = interactions.session_id)`;

interface SessionSource {
  readonly owner: Owner;
  /** JSON text. Undefined if the request left it out. */
  readonly userId: string | undefined;
  readonly metadata: string | undefined;
}

/** A session's members as the orchestrator accepts them. Values that they cannot hold go into its metadata. */
export function sessionFields({ owner, userId, metadata }: SessionSource): {
  readonly user_id: string;
  readonly session_metadata: Readonly<Record<string, unknown>>;
} {
  const kept = wrapMetadata(isFalsy(metadata) ? undefined : metadata);
  const user = userIdOf(userId ?? '"default"');
  const sessionId: string = sessionIdOf('', owner);
  return {
    user_id: user.id,
    session_metadata: {
      ...kept,
      ...(sessionId === owner ? {} : { legacy_id: owner }),
      ...(user.isExact ? {} : { legacy_user_id: new Json(userId ?? 'null') }),
    },
  };
}

/** The request that creates a session again under its own id, user and metadata. */
function restoreOwner(owner: Owner, session: StoredSession): string {
  const {
    legacy_id: _id,
    legacy_user_id: user = JSON.stringify(session.userId),
    ...kept
  } = rawMembers(session.metadata);
  const metadata = unwrapMetadata(textOfMembers(kept)) ?? '{}';
  return `{"action": "create_session", "session_id": ${JSON.stringify(owner)}, "user_id": ${user}, "metadata": ${metadata}}`;
}

function userIdOf(raw: string): { readonly id: string; readonly isExact: boolean } {
  const text = boundText(raw) ?? '';
  if (text === '') return { id: 'default', isExact: false };
  if (text.length > ID_LENGTH || text.includes(NUL)) {
    const digest = createHash('sha256').update(text).digest('hex').slice(0, 40);
    return { id: `user~${digest}`, isExact: false };
  }
  return { id: text, isExact: raw.startsWith('"') };
}

function openStore(access: LegacyAccess): Query {
  const query = access.sqlite?.bind(access);
  if (query === undefined) throw new Error('The store of session-memory (its SQLite file) is not configured');
  return query;
}

async function* readSessions(access: LegacyAccess): AsyncGenerator<readonly Row[]> {
  const query = openStore(access);
  let rows: readonly Row[] = [];
  do {
    rows = await query(OWNERS, [String(Number(rows.at(-1)?.['place'] ?? 0))]);
    yield rows;
  } while (rows.length === OWNERS_PER_STATEMENT);
}

async function* readOwners(access: LegacyAccess): AsyncGenerator<readonly Owner[]> {
  for await (const rows of readSessions(access))
    yield rows.map((row) => parseOwner(row['session_id'])).filter((owner) => owner !== undefined);
}

async function countAround(
  instant: string,
  access: LegacyAccess,
  { timeZone }: ServiceContext,
): Promise<OwnersAround> {
  const [row] = await openStore(access)(AROUND, [localTimeOf(instant, timeZone)]);
  const before = Number(row?.['before'] ?? 0);
  return { before, since: Number(row?.['held'] ?? 0) - before };
}

async function readLane(owner: Owner, access: LegacyAccess, context: ServiceContext): Promise<LegacyLane> {
  const query = openStore(access);
  const [session] = await query(SESSION, [owner]);
  if (session === undefined) return { exists: false, items: [] };
  const rows = await readPages(query, (first, end) => query(INTERACTIONS, [owner, first, end]));
  return laneOf(owner, { session, rows }, context);
}

/** One pass over the interactions for all owners, so the service waits no longer than for a single lane. */
async function readMany(
  owners: readonly Owner[],
  access: LegacyAccess,
  context: ServiceContext,
): Promise<ReadonlyMap<Owner, LegacyLane>> {
  const query = openStore(access);
  const asked = JSON.stringify(owners);
  const sessions = await query(SESSIONS, [asked]);
  const rows = await readPages(query, (first, end) => query(INTERACTIONS_OF_MANY, [asked, first, end]));
  const rowsOf = Map.groupBy(rows, ({ session_id: id }) => id);
  return new Map(
    sessions.flatMap((session) => {
      const owner = parseOwner(session['session_id']);
      if (owner === undefined) return [];
      return [[owner, laneOf(owner, { session, rows: rowsOf.get(owner) ?? [] }, context)] as const];
    }),
  );
}

interface SessionRows {
  readonly session: Row;
  readonly rows: readonly Row[];
}

function laneOf(owner: Owner, { session, rows }: SessionRows, context: ServiceContext): LegacyLane {
  const created = String(session['created_at']);
  const createdAt = instantOf(created, context.timeZone);
  const { user_id, session_metadata } = sessionFields({
    owner,
    userId: rawText(session['user_id']),
    metadata: rawMetadata(session['metadata']),
  });
  let notBeforeMs = Date.parse(createdAt);
  const items = rows.map((row) => {
    const item = itemOf(row, context.timeZone, notBeforeMs);
    notBeforeMs = Date.parse(item.at);
    return item;
  });
  const used = String(session['last_active']);
  return {
    exists: true,
    items,
    ...(isLocalTime(used) && { usedAt: instantOf(used, context.timeZone) }),
    session: {
      userId: user_id,
      metadata: encodeJson(session_metadata),
      createdAt,
      ...(!isLocalTime(created) && { isTimeUnknown: true }),
    },
  };
}

async function readPages(
  query: Query,
  read: (first: string, end: string) => Promise<readonly Row[]>,
): Promise<readonly Row[]> {
  const [range] = await query(RANGE, []);
  if (range === undefined || range['last'] === null) return [];
  const last = Number(range['last']);
  const pages: (readonly Row[])[] = [];
  for (let first = Number(range['first']); first <= last; first += IDS_PER_STATEMENT) {
    pages.push(await read(String(first), String(first + IDS_PER_STATEMENT)));
  }
  return pages.flat();
}

function rawText(column: unknown): string {
  return typeof column === 'string' ? JSON.stringify(column) : 'null';
}

/** The metadata column is already JSON text. Anything else in it is kept as a string. */
function rawMetadata(column: unknown): string {
  if (typeof column !== 'string') return '{}';
  try {
    parseTolerantly(column);
    return respell(column);
  } catch {
    return JSON.stringify(column);
  }
}

function itemOf(row: Row, timeZone: string, notBeforeMs: number): LegacyItem {
  const timestamp = String(row['timestamp']);
  return {
    fields: {
      role: rawText(row['role']),
      content: rawText(row['content']),
      metadata: rawMetadata(row['metadata']),
    },
    timestamp,
    at: instantOf(timestamp, timeZone, notBeforeMs),
    ...(!isLocalTime(timestamp) && { isTimeUnknown: true }),
  };
}

async function countStrays(access: LegacyAccess): Promise<Readonly<Record<string, number>>> {
  const query = openStore(access);
  const pages = await readPages(query, (first, end) => query(ORPHANS, [first, end]));
  let unnamed = 0;
  for await (const sessions of readSessions(access))
    unnamed += sessions.filter(({ session_id: id }) => parseOwner(id) === undefined).length;
  return {
    'interactions of sessions that are gone': pages.reduce((sum, { rows }) => sum + Number(rows), 0),
    'sessions whose id no lane can carry': unnamed,
  };
}

/**
 * Sessions as the service's SQLite file shows them. Reading through `get_context` would push other sessions out of its memory.
 */
export const sessionLanes: LaneDefinition = {
  sessionPrefix: '',
  retention: { idleSeconds: 3_600, isProlongedByUse: false, takesLocalTimeForUtc: true, owners: 100 },
  owners: readOwners,
  ownersAround: countAround,
  readLegacy: readLane,
  isReadable: (access) => access.sqlite !== undefined,
  readMany,
  strays: countStrays,
  digest: {
    fields: ['text', 'value', 'role', 'metadata'],
    without: ['metadata.legacy_timestamp'],
    excludeTags: [],
  },
  restoreRequest: ({ role = 'null', content = 'null', metadata = '{}' }, owner) =>
    `{"action": "add_interaction", "session_id": ${JSON.stringify(owner)}, "role": ${role}, "content": ${content}, "metadata": ${metadata}}`,
  restoreOwner,
  writerOf: ({ fields: { metadata = 'null' } }) => writerIn(metadata),
  mapping: [
    { from: 'content', to: 'content.text' },
    { from: 'role', to: 'content.role, and a tag' },
    { from: 'metadata', to: 'content.metadata; its tags are tags too' },
    { from: 'session_id', to: 'session id; a long id is shortened, with the full id in metadata.legacy_id' },
    { from: 'user_id', to: 'user id of the session' },
    { from: 'timestamp', to: 'created_at; the original text in content.metadata.legacy_timestamp' },
  ],
  createPayload: ({ fields, timestamp }) =>
    interactionPayload({
      role: fields['role'] ?? 'null',
      content: fields['content'] ?? 'null',
      metadata: isFalsy(fields['metadata']) ? undefined : fields['metadata'],
      timestamp,
    }),
  retime,
  fieldsOf: interactionFields,
};
