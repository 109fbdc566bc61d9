import { NotFoundError } from '../../domain/errors.ts';
import type { Session } from '../../storage/database.ts';
import type { Request } from '../wire/request.ts';
import { parseOptionalTime } from '../wire/times.ts';
import { restoredJson, storableMember } from '../wire/unstorable-text.ts';
import { versionConflict } from '../memories/refused-operation.ts';

// A deleted profile starts again empty. Its version continues, so that an old if_version never matches.
const PUT = `
insert into user_profiles as p (user_id, profile_data, profile_data_escaped, preferences, preferences_escaped, updated_at)
select $1, coalesce($2::jsonb, '{}'), coalesce($3::boolean, false), coalesce($4::jsonb, '{}'), coalesce($5::boolean, false),
  coalesce($6::timestamptz, now())
where $7::bigint is null or exists (select from user_profiles where user_id = $1 and is_active)
on conflict (user_id) do update set
  profile_data = coalesce($2::jsonb, p.profile_data), profile_data_escaped = coalesce($3::boolean, p.profile_data_escaped),
  preferences = coalesce($4::jsonb, p.preferences), preferences_escaped = coalesce($5::boolean, p.preferences_escaped),
  created_at = case when p.is_active then p.created_at else excluded.created_at end, updated_at = excluded.updated_at,
  version = p.version + 1, is_active = true
  where $7::bigint is null or (p.is_active and p.version = $7)
returning p.user_id, p.created_at, p.updated_at, p.version`;

/** Creates the profile or replaces its given members; omitted members keep their values. @throws ValidationError, reason `version_conflict` */
export async function putProfile(session: Session, request: Request<'put_profile'>): Promise<object> {
  const { payload } = request;
  const data = storableMember(request, 'profile_data');
  const preferences = storableMember(request, 'preferences');
  const [row] = await session.query(PUT, [
    payload.user_id,
    data?.json.text,
    data?.escaped,
    preferences?.json.text,
    preferences?.escaped,
    parseOptionalTime(payload.updated_at, 'updated_at'),
    payload.if_version,
  ]);
  if (row === undefined) throw versionConflict('The profile', { user_id: payload.user_id });
  return row;
}

interface ProfileRow {
  readonly profile_data: string;
  readonly profile_data_escaped: boolean;
  readonly preferences: string;
  readonly preferences_escaped: boolean;
  readonly [column: string]: unknown;
}

const GET = `
select user_id, profile_data::text as profile_data, profile_data_escaped, preferences::text as preferences, preferences_escaped,
  created_at, updated_at, version
from user_profiles where user_id = $1 and is_active`;

/** @throws NotFoundError */
export async function getProfile(session: Session, request: Request<'get_profile'>): Promise<object> {
  const { user_id: userId } = request.payload;
  const [row] = await session.query<ProfileRow>(GET, [userId]);
  if (row === undefined) throw unknownProfile(userId);
  const { profile_data: data, profile_data_escaped, preferences, preferences_escaped, ...columns } = row;
  return {
    ...columns,
    profile_data: restoredJson(data, profile_data_escaped),
    preferences: restoredJson(preferences, preferences_escaped),
  };
}

// Removes all data of the person. The empty row stays until the purge.
const DELETE = `
update user_profiles set is_active = false, profile_data = '{}', profile_data_escaped = false, preferences = '{}',
  preferences_escaped = false, version = version + 1, updated_at = now()
where user_id = $1 and is_active returning 1`;

/** @throws NotFoundError */
export async function deleteProfile(session: Session, request: Request<'delete_profile'>): Promise<object> {
  const { user_id: userId } = request.payload;
  const rows = await session.query(DELETE, [userId]);
  if (rows.length === 0) throw unknownProfile(userId);
  return { deleted: true };
}

function unknownProfile(userId: string): NotFoundError {
  return new NotFoundError('Unknown profile', { details: { user_id: userId } });
}
