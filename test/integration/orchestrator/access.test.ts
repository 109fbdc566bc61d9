import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ROLES, type Role } from '../../../src/orchestrator/access/identity.ts';
import type { Action } from '../../../src/orchestrator/wire/payloads.ts';
import { type Ask, type GuardedOrchestrator, startGuarded } from '../../support/access.ts';
import type { Envelope } from '../../support/orchestrator.ts';
import { createPlace as createPlaceBy, type Place } from '../../support/place.ts';

let orchestrator: GuardedOrchestrator;
const keys = {} as Record<Role, string>;

beforeAll(async () => {
  orchestrator = await startGuarded({
    access: { keys: 'required', keyCacheMs: 1_000, requestsPerSecond: 10_000, logFlushMs: 20 },
  });
  for (const role of ROLES) {
    const grant = role === 'agent' ? { agent: 'ada', users: ['user-ada'] } : { agent: role, role };
    keys[role] = (await orchestrator.grant(grant)).text;
  }
});
afterAll(() => orchestrator.stop());

const createPlace = (agent: string) => createPlaceBy(orchestrator.as(keys.migration), agent);

type Code = 'success' | 'permission_denied';

interface Case {
  readonly payload: (place: Place) => object;
  /** The lane of the request. */
  readonly lane?: (place: Place) => Envelope['lane'];
  /** What an agent gets on what is its own, and on what is another agent's. */
  readonly own: Code;
  readonly foreign: Code;
}

const content = { text: 'mine', source_agent: 'ada' };
const SEEN = { own: 'success', foreign: 'permission_denied' } as const;
const NEVER = { own: 'permission_denied', foreign: 'permission_denied' } as const;
const ALWAYS = { own: 'success', foreign: 'success' } as const;

/** Every action: the compiler asks for the row of a new one. */
const CASES: { readonly [A in Action]: Case } = {
  create: { payload: () => ({ memory_type: 'fact', content }), ...SEEN },
  update: { payload: ({ memory }) => ({ memory_id: memory, content }), ...SEEN },
  delete: { payload: ({ memory }) => ({ memory_id: memory }), ...SEEN },
  bulk_delete: { payload: () => ({ filter: { memory_type: 'fact' } }), ...SEEN },
  create_session: { payload: ({ user }) => ({ user_id: user }), ...SEEN },
  upsert_session: { payload: ({ user }) => ({ user_id: user }), ...NEVER },
  end_session: { payload: () => ({}), ...SEEN },
  batch_write: {
    payload: ({ memory }) => ({
      operations: [{ action: 'update', payload: { memory_id: memory, priority: 7 } }],
    }),
    ...SEEN,
  },
  close_sequence: {
    payload: () => ({}),
    lane: ({ session }) => ({ key: session, generation: 1, sequence: 1 }),
    ...NEVER,
  },
  lane_positions: { payload: ({ session }) => ({ keys: [session] }), ...NEVER },
  read: { payload: ({ memory }) => ({ memory_id: memory }), ...SEEN },
  batch_read: { payload: ({ memory }) => ({ memory_ids: [memory] }), ...SEEN },
  search: { payload: () => ({ query: 'roses' }), ...SEEN },
  summarize: { payload: () => ({}), ...SEEN },
  digest: { payload: () => ({ fields: ['text'] }), ...SEEN },
  scan: { payload: () => ({}), ...NEVER },
  list_sessions: { payload: ({ agent }) => ({ source_agent: agent }), ...SEEN },
  put_profile: { payload: ({ user }) => ({ user_id: user, preferences: { tone: 'dry' } }), ...SEEN },
  get_profile: { payload: ({ user }) => ({ user_id: user }), ...SEEN },
  delete_profile: { payload: ({ user }) => ({ user_id: user }), ...NEVER },
  put_agent_state: { payload: ({ agent }) => ({ agent_id: agent, state_data: { mood: 'good' } }), ...SEEN },
  get_agent_state: { payload: ({ agent }) => ({ agent_id: agent }), ...SEEN },
  add_relationship: {
    payload: ({ memory, second }) => ({
      source_memory_id: memory,
      target_memory_id: second,
      relationship_type: 'x',
    }),
    ...SEEN,
  },
  get_related: { payload: ({ memory }) => ({ source_memory_id: memory }), ...SEEN },
  health: { payload: () => ({}), ...ALWAYS },
  ping: { payload: () => ({}), ...ALWAYS },
  health_check: { payload: () => ({}), ...ALWAYS },
};

const ACTIONS = Object.keys(CASES) as Action[];

async function codeOf(ask: Ask, action: Action, place: Place): Promise<string> {
  const { payload, lane = () => undefined } = CASES[action];
  const { status, error } = await ask(action, payload(place), {
    session_id: place.session,
    lane: lane(place),
  });
  return status === 'success' ? status : error.code;
}

describe('the permissions of a key', () => {
  test.each(ACTIONS)('%s: an agent only on its own objects, migration and admin on all', async (action) => {
    const agent = orchestrator.as(keys.agent);
    expect({
      own: await codeOf(agent, action, await createPlace('ada')),
      foreign: await codeOf(agent, action, await createPlace('bob')),
      migration: await codeOf(orchestrator.as(keys.migration), action, await createPlace('bob')),
      admin: await codeOf(orchestrator.as(keys.admin), action, await createPlace('bob')),
    }).toEqual({
      own: CASES[action].own,
      foreign: CASES[action].foreign,
      migration: 'success',
      admin: 'success',
    });
  });

  test.each(ACTIONS)('%s in a batch is refused to an agent on foreign objects', async (action) => {
    if (CASES[action].foreign === 'success' || action === 'batch_write') return;
    const { session, ...place } = await createPlace('bob');
    const operation = { action, session_id: session, payload: CASES[action].payload({ session, ...place }) };
    const { error } = await orchestrator.as(keys.agent)('batch_write', { operations: [operation] });
    // What is no write at all is refused before anybody asks whose it is.
    expect(['permission_denied', 'invalid_request']).toContain(error.code);
    const [row] = await orchestrator.database.query<{ count: number }>(
      `select count(*) as count from memory_entries where session_id = $1 and is_active and version = 1`,
      [session],
    );
    expect(row?.count).toBe(2);
  });

  test('an agent writes under its own name only, wherever it is', async () => {
    const { session, memory } = await createPlace('ada');
    const ask = orchestrator.as(keys.agent);
    for (const source_agent of ['bob', undefined, 7]) {
      const foreign = { text: 'x', source_agent };
      const created = await ask('create', { memory_type: 'fact', content: foreign }, { session_id: session });
      expect(created.error).toMatchObject({
        code: 'permission_denied',
        details: { reason: 'foreign_agent', field: 'content.source_agent' },
      });
      const updated = await ask('update', { memory_id: memory, content: foreign }, { session_id: session });
      expect(updated.error.code).toBe('permission_denied');
    }
  });

  test('an agent may not touch the fence', async () => {
    const { session } = await createPlace('ada');
    const lane = { key: 'svc/x', generation: 9, sequence: 9 };
    const ask = orchestrator.as(keys.agent);
    const { error } = await ask('create', { memory_type: 'fact', content }, { session_id: session, lane });
    expect(error).toMatchObject({ code: 'permission_denied', details: { reason: 'role' } });
    const operations = [{ action: 'create', payload: { memory_type: 'fact', content } }];
    const named = { ...lane, operation_id: 'a' };
    const write = await ask('batch_write', { operations }, { session_id: session, lane: named });
    expect(write.error).toMatchObject({ code: 'permission_denied', details: { reason: 'role' } });
    // Without a lane a precondition would only tell what is stored.
    const requires = [{ memory: 'present', memory_id: 'of-bob' }];
    const asked = await ask('batch_write', { operations, requires }, { session_id: session });
    expect(asked.error).toMatchObject({ code: 'validation_error', details: { field: 'lane' } });
  });

  test('in a shared session each agent changes its own memories and deletes not all', async () => {
    const { session, memory } = await createPlace('bob');
    const migration = orchestrator.as(keys.migration);
    await migration(
      'create',
      { memory_id: `mine-${session}`, memory_type: 'fact', content },
      { session_id: session },
    );
    const ask = orchestrator.as(keys.agent);
    const at = { session_id: session };
    expect((await ask('batch_read', {}, at)).data.memories).toHaveLength(2 + 1);
    expect((await ask('update', { memory_id: `mine-${session}`, priority: 9 }, at)).status).toBe('success');
    expect((await ask('update', { memory_id: memory, priority: 9 }, at)).error.details['reason']).toBe(
      'foreign_memory',
    );
    expect((await ask('bulk_delete', {}, at)).error.details['reason']).toBe('foreign_memory');
    expect((await ask('end_session', {}, at)).error.details['reason']).toBe('foreign_session');
  });

  test('an agent sees the sessions that it opened in any way', async () => {
    const key = (await orchestrator.grant({ agent: 'eve' })).text;
    const ask = orchestrator.as(key);
    const made = await ask('create_session', { user_id: 'u' });
    const batch = await ask('batch_write', {
      operations: [
        { action: 'create_session', payload: { user_id: 'u' } },
        { action: 'create_session', session_id: 'eve-named', payload: { user_id: 'u' } },
      ],
    });
    const results = batch.data['results'] as { session_id: string }[];
    const opened = await ask(
      'create',
      { memory_type: 'fact', content: { source_agent: 'eve' }, create_session: true },
      { session_id: 'eve-by-memory' },
    );
    expect(opened.status).toBe('success');
    const ids = [made.data.session_id, ...results.map(({ session_id: id }) => id), 'eve-by-memory'];
    for (const session_id of ids)
      expect([session_id, (await ask('batch_read', {}, { session_id })).status]).toEqual([
        session_id,
        'success',
      ]);
    const other = orchestrator.as((await orchestrator.grant({ agent: 'mallory' })).text);
    for (const session_id of ids) {
      expect((await other('batch_read', {}, { session_id })).error.code).toBe('permission_denied');
      // Nor by opening it again for the same user.
      expect((await other('create_session', { user_id: 'u' }, { session_id })).error.code).toBe(
        'permission_denied',
      );
    }
  });

  test('reads over all sessions of a user need the user in the key', async () => {
    await createPlace('ada');
    const ask = orchestrator.as(keys.agent);
    expect((await ask('batch_read', { filter: { user_id: 'user-ada' } })).status).toBe('success');
    expect((await ask('search', { query: 'roses', filters: { user_id: 'user-ada' } })).status).toBe(
      'success',
    );
    expect((await ask('batch_read', { filter: { user_id: 'user-bob' } })).error.details['reason']).toBe(
      'foreign_user',
    );
    expect((await ask('list_sessions')).error.details['reason']).toBe('foreign_user');
    const everybody = orchestrator.as((await orchestrator.grant({ agent: 'all', users: ['*'] })).text);
    expect((await everybody('batch_read', { filter: { user_id: 'user-bob' } })).status).toBe('success');
    expect((await everybody('list_sessions')).status).toBe('success');
  });

  test('a relation shows no memory of a session that the agent does not see', async () => {
    const [mine, theirs] = [await createPlace('ada'), await createPlace('bob')];
    await orchestrator.database.query(
      `insert into memory_relationships (source_memory_id, target_memory_id, relationship_type) values ($1, $2, 'x')`,
      [mine.memory, theirs.memory],
    );
    const { error } = await orchestrator.as(keys.agent)(
      'get_related',
      { source_memory_id: mine.memory },
      { session_id: mine.session },
    );
    expect(error).toMatchObject({ code: 'permission_denied', details: { session_id: theirs.session } });
  });
});
