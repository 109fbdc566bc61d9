import { expect } from 'vitest';
import type { Ask } from './access.ts';

/** A session with memories of one agent, and all that may belong to it. */
export interface Place {
  readonly session: string;
  readonly user: string;
  readonly agent: string;
  readonly memory: string;
  readonly second: string;
}

let places = 0;

/** Made by `ask`, which may do anything. */
export async function createPlace(ask: Ask, agent: string): Promise<Place> {
  const id = `${agent}-${++places}`;
  const place = { session: `s-${id}`, user: `user-${agent}`, agent, memory: `m-${id}`, second: `n-${id}` };
  const memory = (memory_id: string, text: string) => ({
    action: 'create',
    payload: { memory_id, memory_type: 'fact', content: { text, source_agent: agent } },
  });
  const operations = [
    { action: 'upsert_session', payload: { user_id: place.user } },
    memory(place.memory, 'roses need water'),
    memory(place.second, 'and so do tulips'),
    { action: 'put_profile', payload: { user_id: place.user, profile_data: { likes: 'roses' } } },
    { action: 'put_agent_state', payload: { agent_id: agent, state_data: { mood: 'fine' } } },
  ];
  const { status, error } = await ask('batch_write', { operations }, { session_id: place.session });
  expect([status, error]).toEqual(['success', undefined]);
  return place;
}
