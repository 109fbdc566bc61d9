import { contextualMemory } from '../../src/services/contextual-memory/contextual-memory.ts';
import { jarvisMemory } from '../../src/services/jarvis-memory.ts';
import { sessionMemory } from '../../src/services/session-memory/session-memory.ts';
import { POSTED_MEMBERS } from '../../src/operator/posted-bodies.ts';
import { GOOD, SESSION } from '../integration/orchestrator/good-payloads.ts';

/** A valid request: its body, and over HTTP its address. */
export interface Seed {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly body: Readonly<Record<string, unknown>>;
}

/** What the actions of the legacy services ask for, all of them together: each takes what it knows. */
const MEMBERS = {
  session_id: 'fuzz-session',
  user_id: 'fuzz-user',
  agent_id: 'fuzz-agent',
  request_id: 'fuzz',
  role: 'user',
  content: 'roses need water',
  message: 'roses need water',
  metadata: { tone: 'calm', tags: ['a', 'b'] },
  data: {
    session_id: 'fuzz-session',
    role: 'user',
    content: 'roses',
    metadata: { a: 1 },
    decision: { b: 2 },
  },
  decision: { choice: 'water' },
  max_tokens: 1_000,
  limit: 5,
};

const DEFINITIONS = [sessionMemory, contextualMemory, jarvisMemory] as const;

/** Valid requests of each action of a legacy service. */
export function legacySeeds(service: string): readonly Seed[] {
  const actions = DEFINITIONS.find(({ name }) => name === service)?.actions ?? {};
  return Object.keys(actions).map((action) => ({
    method: 'POST',
    path: `/v1/services/${service}`,
    body: { action, ...MEMBERS },
  }));
}

/** What people and programs ask of the proxy. No body says who answers for it: nothing is changed. */
export function operatorSeeds(): readonly Seed[] {
  const looks = [
    '/v1/status',
    '/metrics',
    '/health/ready',
    '/v1/guard',
    '/v1/runs',
    '/v1/lost',
    '/v1/agents',
    '/v1/flags',
    '/v1/reports',
  ];
  const filled = (path: string): string =>
    path.replace(':service', 'session-memory').replace(':run', '1').replaceAll(/:\w+/g, 'x');
  return [
    ...looks.map((path): Seed => ({ method: 'GET', path, body: {} })),
    ...Object.keys(POSTED_MEMBERS).map((path): Seed => ({
      method: 'POST',
      path: filled(path),
      body: {
        service: 'session-memory',
        owner: 'fuzz',
        kind: 'backfill',
        rules: [{ action: 'get_context', kind: 'set', path: 'a' }],
      },
    })),
  ];
}

export function deskSeeds(): readonly Seed[] {
  const pages = [
    '/',
    '/flags',
    '/runs',
    '/guard',
    '/agents',
    '/audit',
    '/lanes',
    '/differences',
    '/reports',
    '/services/session-memory',
  ];
  return [
    ...pages.map((path): Seed => ({ method: 'GET', path, body: {} })),
    { method: 'POST', path: '/sign-in', body: { token: 'x' } },
    { method: 'POST', path: '/guard/release', body: { service: 'session-memory' } },
  ];
}

export function orchestratorSeeds(): readonly Seed[] {
  return Object.entries(GOOD).map(([action, payload]) => ({
    method: 'POST',
    path: `/v1/${action}`,
    body: {
      action,
      session_id: SESSION,
      request_id: 'r',
      lane: { key: 'fuzz', generation: 1 },
      payload,
    },
  }));
}
