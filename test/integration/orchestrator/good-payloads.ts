import type { Action } from '../../../src/orchestrator/wire/payloads.ts';
import type { Answer, OrchestratorClient } from '../../support/orchestrator.ts';

/** What is there before bad input comes. */
export const SESSION = 'kept-session';
export const MEMORY = 'kept-memory';
const OTHER = 'kept-other';
const relation = { source_memory_id: MEMORY, target_memory_id: OTHER, relationship_type: 'r' };

/** A payload of each action that would be taken. Bad values are put into it one at a time. */
export const GOOD: Readonly<Record<Action, object>> = {
  create: { memory_type: 'fact', content: { text: 'new' } },
  update: { memory_id: MEMORY, content: { text: 'other' } },
  delete: { memory_id: MEMORY },
  bulk_delete: {},
  create_session: { user_id: 'user' },
  upsert_session: { user_id: 'other' },
  end_session: {},
  batch_write: { operations: [{ action: 'delete', payload: { memory_id: MEMORY } }] },
  // Without a lane it closes nothing.
  close_sequence: {},
  lane_positions: { keys: ['lane'] },
  read: { memory_id: MEMORY },
  batch_read: {},
  scan: {},
  search: { query: 'x' },
  summarize: {},
  list_sessions: {},
  digest: { fields: ['text'] },
  put_profile: { user_id: 'user', profile_data: { other: true } },
  get_profile: { user_id: 'user' },
  delete_profile: { user_id: 'user' },
  put_agent_state: { agent_id: 'agent', state_data: { other: true } },
  get_agent_state: { agent_id: 'agent' },
  add_relationship: { ...relation, relationship_type: 'other' },
  get_related: { source_memory_id: MEMORY },
  health: {},
  ping: {},
  health_check: {},
};

export async function createKept({ ask }: OrchestratorClient): Promise<void> {
  const envelope = { session_id: SESSION };
  await ask('create_session', { user_id: 'user', session_metadata: { a: 1 } }, envelope);
  for (const memory_id of [MEMORY, OTHER])
    await ask('create', { memory_id, memory_type: 'fact', content: { text: 'kept' } }, envelope);
  await ask('put_profile', { user_id: 'user', profile_data: { kept: true } });
  await ask('put_agent_state', { agent_id: 'agent', state_data: { kept: true } });
  await ask('add_relationship', relation, envelope);
}

/** All of that, as it is now, and every session there is. */
export async function keptIn({ ask }: OrchestratorClient): Promise<unknown> {
  const envelope = { session_id: SESSION };
  const asked = [
    await ask('scan', { include_deleted: true, limit: 1_000 }, envelope),
    await ask('digest', { fields: ['text'] }, envelope),
    await ask('list_sessions', { limit: 1_000 }),
    await ask('get_profile', { user_id: 'user' }),
    await ask('get_agent_state', { agent_id: 'agent' }),
    await ask('get_related', { source_memory_id: MEMORY }, envelope),
  ];
  return asked.map(({ data, error }: Partial<Answer>) => {
    // A cursor names the moment at which it was given.
    const { next_cursor: _cursor, ...rest } = data ?? {};
    return error ?? rest;
  });
}
