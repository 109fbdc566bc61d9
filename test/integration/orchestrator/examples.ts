import { expect } from 'vitest';
import type { Action } from '../../../src/orchestrator/wire/payloads.ts';

/** One request and what its answer must hold. The examples of a list build on each other, in order. */
export interface Example {
  readonly action: Action;
  readonly session_id?: string;
  readonly payload?: object;
  readonly lane?: object;
  readonly data: object;
}

const TIME = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/) as string;
const RELATION = expect.any(Number) as number;

/** Every action, as an agent or the migration would ask; `name` keeps the ids of one run apart. */
export function examplesFor(name: string): readonly Example[] {
  const session_id = `${name}-session`;
  const memory_id = `${name}-tea`;
  const other_id = `${name}-milk`;
  const user_id = `${name}-ann`;
  const content = { text: 'Ann likes tea', source_agent: 'planner', metadata: { mood: 'good' } };
  const memory = {
    memory_id,
    session_id,
    memory_type: 'user_preference',
    content,
    tags: ['tea'],
    source_agent: 'planner',
    created_at: '2024-05-01T10:00:00.000Z',
    expires_at: null,
    priority: 8,
    position: 1,
  };
  return [
    {
      action: 'create_session',
      session_id,
      payload: { user_id, session_metadata: { device_info: 'phone', session_type: 'chat' } },
      data: { session_id, created_at: TIME },
    },
    {
      action: 'create',
      session_id,
      payload: {
        memory_id,
        memory_type: 'user_preference',
        content,
        tags: ['tea'],
        priority: 8,
        position: 1,
        created_at: '2024-05-01T10:00:00Z',
      },
      data: { memory_id, created_at: '2024-05-01T10:00:00.000Z' },
    },
    { action: 'read', session_id, payload: { memory_id }, data: { ...memory, version: 1 } },
    {
      action: 'update',
      session_id,
      payload: { memory_id, priority: 9, if_version: 1, updated_at: '2024-05-02T10:00:00+02:00' },
      data: { memory_id, updated_at: '2024-05-02T08:00:00.000Z', expires_at: null, version: 2 },
    },
    {
      action: 'batch_write',
      payload: {
        operations: [
          {
            action: 'create',
            session_id,
            lane: { key: `${name}:lane`, generation: 1, sequence: 1 },
            payload: { memory_id: other_id, memory_type: 'conversation', content: { text: 'No milk.' } },
          },
          {
            action: 'create',
            session_id,
            payload: { memory_id: `${name}-old`, memory_type: 'context', content: {}, position: 3 },
          },
        ],
      },
      data: {
        results: [
          { memory_id: other_id, created_at: TIME },
          { memory_id: `${name}-old`, created_at: TIME },
        ],
      },
    },
    {
      action: 'batch_read',
      session_id,
      payload: { memory_ids: [memory_id, 'nobody'], filter: { tags: ['tea'], limit: 10 } },
      data: {
        memories: [{ ...memory, priority: 9, version: 2 }],
        total_count: 1,
        page_info: { limit: 10, offset: 0, has_more: false },
        missing_ids: ['nobody'],
      },
    },
    {
      action: 'search',
      session_id,
      payload: { query: 'likes tea', search_type: 'keyword', filters: { memory_types: ['user_preference'] } },
      data: { results: [{ memory_id }], total_count: 1, search_metadata: { search_type: 'keyword' } },
    },
    {
      action: 'scan',
      session_id,
      payload: { limit: 2 },
      data: {
        session: { session_id, user_id, session_type: 'chat', generation: 1 },
        items: [{ memory_id, lane_key: null, is_active: true }, { memory_id: `${name}-old` }],
        next_cursor: expect.any(String) as string,
      },
    },
    {
      action: 'digest',
      session_id,
      payload: { fields: ['text'], memory_types: ['user_preference', 'conversation'] },
      data: { count: 2, digest: expect.stringMatching(/^[0-9a-f]{32}$/) as string },
    },
    {
      action: 'digest',
      payload: { fields: ['text'], session_ids: [session_id, 'nobody'], ordered: true },
      data: {
        sessions: [
          { session_id, count: 3 },
          { session_id: 'nobody', count: 0 },
        ],
      },
    },
    {
      action: 'summarize',
      session_id,
      payload: { memory_type: 'conversation' },
      data: {
        summary: 'No milk.',
        memory_count: 1,
        time_range: {},
        summarized: { method: 'extractive', memory_count: 1, total_count: 1 },
      },
    },
    {
      action: 'add_relationship',
      session_id,
      payload: {
        source_memory_id: memory_id,
        target_memory_id: other_id,
        relationship_type: 'contradicts',
        metadata: { sure: 0.5 },
      },
      data: { relationship_id: RELATION, created_at: TIME },
    },
    {
      action: 'get_related',
      session_id,
      payload: { source_memory_id: memory_id },
      data: {
        related: [
          {
            relationship_id: RELATION,
            relationship_type: 'contradicts',
            metadata: { sure: 0.5 },
            memory: { memory_id: other_id },
          },
        ],
      },
    },
    {
      action: 'put_profile',
      payload: { user_id, profile_data: { name: 'Ann' }, preferences: { language: 'en' } },
      data: { user_id, created_at: TIME, updated_at: TIME, version: 1 },
    },
    {
      action: 'get_profile',
      payload: { user_id },
      data: { user_id, profile_data: { name: 'Ann' }, preferences: { language: 'en' }, version: 1 },
    },
    { action: 'delete_profile', payload: { user_id }, data: { deleted: true } },
    {
      action: 'put_agent_state',
      session_id,
      payload: { agent_id: `${name}-planner`, state_data: { step: 3 } },
      data: { agent_id: `${name}-planner`, session_id, expires_at: null, version: 1 },
    },
    {
      action: 'get_agent_state',
      session_id,
      payload: { agent_id: `${name}-planner` },
      data: { agent_id: `${name}-planner`, session_id, state_data: { step: 3 }, version: 1 },
    },
    {
      action: 'upsert_session',
      session_id,
      payload: { session_type: 'call' },
      data: { session_id, created_at: TIME, updated_at: TIME, ended_at: null },
    },
    {
      action: 'list_sessions',
      payload: { user_id, source_agent: 'planner', updated_since: '2024-01-01' },
      data: { sessions: [{ session_id, user_id, session_type: 'call' }] },
    },
    { action: 'delete', session_id, payload: { memory_id }, data: { deleted: true } },
    {
      action: 'bulk_delete',
      session_id,
      payload: { filter: { memory_type: 'context' } },
      data: { deleted_count: 1, filter_applied: { memory_type: 'context' } },
    },
    {
      action: 'end_session',
      session_id,
      payload: { archive: true },
      data: { session_id, ended_at: TIME, is_archived: true, summarized: { memory_count: 1 } },
    },
    {
      action: 'delete',
      session_id,
      payload: { memory_id: other_id },
      lane: { key: `${name}:lane`, generation: 0, sequence: 9 },
      data: { superseded: true, lane_generation: 1 },
    },
    {
      action: 'batch_write',
      session_id,
      lane: { key: `${name}:lane`, epoch: 1, generation: 1, sequence: 2, operation_id: 'first' },
      payload: {
        requires: [{ session: 'present' }, { memory: 'absent', memory_id: `${name}-new` }],
        operations: [
          {
            action: 'create',
            payload: {
              memory_id: `${name}-new`,
              memory_type: 'context',
              content: { text: 'Again' },
              create_session: true,
            },
          },
        ],
      },
      data: { results: [{ memory_id: `${name}-new`, created_at: TIME }] },
    },
    {
      action: 'batch_write',
      session_id,
      lane: { key: `${name}:lane`, epoch: 1, generation: 1, sequence: 3, operation_id: 'second' },
      payload: {
        requires: [{ session: 'open' }, { memory: 'absent', memory_id: `${name}-new` }],
        operations: [{ action: 'bulk_delete', payload: {} }],
      },
      data: { refused: { requirement: 1, memory: 'absent', memory_id: `${name}-new` } },
    },
    {
      action: 'batch_write',
      session_id,
      lane: { key: `${name}:lane`, epoch: 1, generation: 1, sequence: 3, operation_id: 'second' },
      payload: { operations: [{ action: 'bulk_delete', payload: {} }] },
      data: { refused: { requirement: 1 }, repeated: true },
    },
    {
      action: 'close_sequence',
      lane: { key: `${name}:lane`, epoch: 1, generation: 1, sequence: 3 },
      data: { closed: false, set_by: 'write', operation_id: 'second', refused: { requirement: 1 } },
    },
    {
      action: 'close_sequence',
      lane: { key: `${name}:lane`, epoch: 1, generation: 1, sequence: 4 },
      data: { closed: true },
    },
    {
      action: 'batch_write',
      session_id,
      lane: { key: `${name}:lane`, epoch: 1, generation: 1, sequence: 4, operation_id: 'third' },
      payload: { operations: [{ action: 'bulk_delete', payload: {} }] },
      data: { already_applied: true, lane_sequence: 4, set_by: 'close', operation_id: null },
    },
    {
      action: 'delete',
      session_id,
      payload: { memory_id: `${name}-new` },
      lane: { key: `${name}:lane`, generation: 1, sequence: 9 },
      data: { superseded: true, lane_generation: 1, lane_epoch: 1 },
    },
    {
      action: 'lane_positions',
      payload: { keys: [`${name}:lane`, 'nobody'] },
      data: {
        lanes: [
          {
            key: `${name}:lane`,
            epoch: 1,
            generation: 1,
            sequence: 4,
            set_by: 'close',
            operation_id: null,
          },
        ],
      },
    },
    { action: 'health', data: { postgres: true, error_count: 0 } },
    { action: 'ping', data: { postgres: true, error_count: 0 } },
    { action: 'health_check', data: { postgres: true, error_count: 0 } },
  ];
}
