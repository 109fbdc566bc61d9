import { messageOf } from '../../domain/errors.ts';
import { type Session, sqlstateOf } from '../../storage/database.ts';
import type { StorageSettings } from './storage-settings.ts';

export type RoleNames = Pick<StorageSettings, 'applicationRole' | 'readOnlyRole'>;

// Roles belong to the whole server, so another database may create the same role at the same moment.
const EXISTS_ALREADY = new Set(['42710', '23505']);

// Only our own tables, because a grant on another owner's table would fail as a whole.
const TABLES = `
select string_agg(format('%I', relname), ', ') as all, string_agg(format('%I', relname), ', ') filter (where relname <> 'schema_steps') as written
from pg_class where relnamespace = current_schema()::regnamespace and relkind in ('r', 'p')
  and pg_has_role(relowner, 'usage')
  and not exists (select from pg_depend where objid = pg_class.oid and deptype = 'e')`;

/**
 * Creates the application role, which cannot change tables, and the read-only role. Neither can log in; grant them to users. Runs after
 * the schema steps, in their transaction.
 * @returns the problem, if the connecting user lacks the rights
 */
export async function prepareRoles(session: Session, names: RoleNames): Promise<string | undefined> {
  const { applicationRole, readOnlyRole } = names;
  await session.script('savepoint roles');
  try {
    for (const name of [applicationRole, readOnlyRole]) await createRole(session, name);
    const [tables] = await session.query<{ all: string; written: string }>(TABLES);
    const { schema } = (
      await session.query<{ schema: string }>(`select format('%I', current_schema()) as schema`)
    )[0] ?? { schema: 'public' };
    if (tables === undefined) return undefined;
    await session.script(`
      grant usage on schema ${schema} to ${applicationRole}, ${readOnlyRole};
      grant select on ${tables.all} to ${applicationRole}, ${readOnlyRole};
      grant insert, update, delete on ${tables.written} to ${applicationRole}`);
    await session.script('release savepoint roles');
    return undefined;
  } catch (error) {
    if (sqlstateOf(error) === undefined) throw error;
    await session.script('rollback to savepoint roles');
    return messageOf(error);
  }
}

async function createRole(session: Session, name: string): Promise<void> {
  const known = await session.query('select from pg_roles where rolname = $1', [name]);
  if (known.length > 0) return;
  await session.script('savepoint role');
  try {
    // The creator becomes a member that may act as the role.
    await session.script(`create role ${name} nologin`);
    const [creator] = await session.query<{ member: boolean }>(
      `select pg_has_role(current_user, $1::name, 'set') as member`,
      [name],
    );
    if (creator?.member === false) await session.script(`grant ${name} to current_user with set true`);
  } catch (error) {
    if (!EXISTS_ALREADY.has(sqlstateOf(error) ?? '')) throw error;
    await session.script('rollback to savepoint role');
  }
}
