import { describe, expect, test } from 'vitest';
import { ConnectionError, StorageError, ValidationError } from '../../../../src/domain/errors.ts';
import { serviceName, type ServiceName } from '../../../../src/domain/ids.ts';
import type { ServiceDefinition } from '../../../../src/domain/service-definition.ts';
import type { Answer } from '../../../../src/engine/ports/operation.ts';
import type { SeenPrimary } from '../../../../src/engine/lane/primaries.ts';
import { Handler, type Paths } from '../../../../src/engine/requests/handle.ts';
import type { LegacyBackend, Reply } from '../../../../src/engine/ports/ports.ts';
import { Coverage, type ServiceRuntime } from '../../../../src/engine/ports/service-runtime.ts';
import { jarvisMemory } from '../../../../src/services/jarvis-memory.ts';
import { sessionMemory } from '../../../../src/services/session-memory/session-memory.ts';
import { fakeClock, flagsThatAreOn, recorder, SERVICE } from '../engine-parts.ts';

const SESSION = serviceName('session-memory');
const NO_BACKEND: LegacyBackend = {
  send: () => Promise.reject(new Error('the backend was asked')),
  load: () => ({ inFlight: 0, queued: 0, isConnected: true, breaker: 'closed' }),
};

function runtimeOf(name: ServiceName, definition: ServiceDefinition): ServiceRuntime {
  return {
    name,
    definition,
    context: { timeZone: 'UTC' },
    legacy: NO_BACKEND,
    access: {},
    deadlineMs: 1_000,
  };
}

/** A service over HTTP whose reads name their owner in the address. */
const OVER_HTTP = serviceName('over-http');
const overHttp: ServiceDefinition = {
  ...jarvisMemory,
  name: 'over-http',
  endpoint: {
    kind: 'http',
    prefix: '/over-http',
    actionOf: ({ method }) => (method === 'GET' ? 'get_memories' : undefined),
    messageOf: ({ path }) => JSON.stringify({ user_id: path.split('/').at(-1) }),
  },
};

const ANSWERED: Answer = {
  reply: { body: Buffer.from('{"status": "ok"}') },
  backend: 'legacy',
  primaryMs: 3,
};

interface HandlerFacts {
  readonly covered?: boolean;
  readonly follow?: () => Promise<Answer>;
  readonly seen?: SeenPrimary | Promise<SeenPrimary>;
}

function createHandler(facts: HandlerFacts = {}) {
  const { emit, names, events } = recorder();
  const followed: string[] = [];
  const follow =
    (path: string) =>
    ({ name }: { readonly name: string }): Promise<Answer> => {
      followed.push(`${path} ${name}`);
      return (facts.follow ?? (() => Promise.resolve(ANSWERED)))();
    };
  const paths: Paths = {
    write: follow('write'),
    read: follow('read'),
    passThrough: follow('pass through'),
  };
  const coverage = new Coverage();
  coverage.number = facts.covered === false ? 0 : 1;
  const handler = new Handler({
    services: new Map([
      [SERVICE, runtimeOf(SERVICE, jarvisMemory)],
      [SESSION, runtimeOf(SESSION, sessionMemory)],
      [OVER_HTTP, runtimeOf(OVER_HTTP, overHttp)],
    ]),
    coverage: new Map([
      [SERVICE, coverage],
      [OVER_HTTP, coverage],
      [SESSION, coverage],
    ]),
    paths,
    primaries: { of: () => facts.seen ?? { primary: 'legacy' } },
    flags: flagsThatAreOn(['dual-write']),
    limits: { messageBytes: 1_024, jsonDepth: 8, jsonValues: 100 },
    clock: fakeClock(),
    emit,
  });
  const ask = (body: string | Buffer, service = SERVICE): Promise<Reply> =>
    handler.handle({ service, body: Buffer.from(body), receivedAtMs: 0 });
  return { handler, ask, followed, names, events };
}

const parsed = ({ body }: Reply): unknown => JSON.parse(body.toString());

describe('a request', () => {
  test.each([
    ['{"action": "add_memory", "user_id": "ann", "memory": 1}', 'write add_memory'],
    ['{"action": "get_memories", "user_id": "ann"}', 'read get_memories'],
    ['{"action": "health_check"}', 'pass through health_check'],
    ['{"action": "never heard of"}', 'pass through other'],
    ['{"action": "toString"}', 'pass through other'],
    ['{}', 'pass through other'],
    ['{"action": "add_memory", "user_id": 7}', 'pass through add_memory'],
  ])('%s takes its path', async (body, way) => {
    const { ask, followed } = createHandler();
    expect(await ask(body)).toBe(ANSWERED.reply);
    expect(followed).toEqual([way]);
  });

  test('is reported as received, decided and replied, once each', async () => {
    const { ask, names, events } = createHandler();
    await ask('{"action": "add_memory", "user_id": "ann", "memory": 1}');
    expect(names()).toEqual(['operation:received', 'operation:decided', 'operation:replied']);
    expect(events[0]?.event).toMatchObject({ kind: 'write', lane: 'jarvis-memory/ann' });
    expect(events[1]?.event).toMatchObject({ decision: { dualWrite: true, reason: 'covered' } });
    expect(events[2]?.event).toMatchObject({ status: 'answered', backend: 'legacy', primaryMs: 3 });
  });

  test('is not journaled while its service is not covered', async () => {
    const { ask, events } = createHandler({ covered: false });
    await ask('{"action": "add_memory", "user_id": "ann", "memory": 1}');
    expect(events[1]?.event).toMatchObject({ decision: { dualWrite: false, reason: 'not_covered' } });
  });
});

describe('a harmful request is refused in the service’s dialect', () => {
  const cases = {
    empty: '',
    too_large: 'x'.repeat(1_025),
    not_utf8: Buffer.from([0x7b, 0xff, 0x7d]),
    invalid_json: '{"action": ',
    not_an_object: '[1]',
    too_deep: `{"a": ${'['.repeat(9)}${']'.repeat(9)}}`,
    too_many_values: JSON.stringify({ a: Array(150).fill(1) }),
    lone_surrogate: String.raw`{"action": "\ud800"}`,
  } as const;
  test.each(Object.entries(cases))('%s', async (problem, body) => {
    const { ask, followed, events } = createHandler();
    const reply = await ask(body);
    expect(parsed(reply)).toMatchObject({ status: 'error', reason: expect.any(String) });
    expect(reply.http?.status).toBe(400);
    expect(parsed(await ask(body, SESSION))).toMatchObject({ status: 'error', message: expect.any(String) });
    expect(followed).toEqual([]);
    expect(events[0]).toEqual({ name: 'operation:refused', event: { service: SERVICE, problem } });
  });

  test('a problem that the frontend found is refused', async () => {
    const { handler, followed } = createHandler();
    const problem = { kind: 'several_frames', detail: 'the message has 2 frames' } as const;
    const reply = await handler.handle({ service: SERVICE, body: Buffer.from(''), receivedAtMs: 0, problem });
    expect(parsed(reply)).toEqual({ status: 'error', reason: problem.detail });
    expect(followed).toEqual([]);
  });
});

describe('a failure is answered in the service’s dialect, without internals', () => {
  const outage = (message: string, effect: 'unknown' | 'not_applied', reason?: string) =>
    new ConnectionError(message, { effect, ...(reason !== undefined && { reason }) });
  const refused = 'connect ECONNREFUSED 10.0.0.7:5574';
  const sql = new StorageError('The database refused (42P01): relation "lanes"', { effect: 'not_applied' });
  const cases = [
    {
      error: outage(refused, 'unknown'),
      status: 'timeout',
      http: 504,
      told: 'session-memory did not answer within its deadline',
    },
    {
      error: outage(refused, 'not_applied'),
      status: 'unavailable',
      http: 503,
      told: 'session-memory cannot be reached',
    },
    {
      error: outage('64 wait', 'not_applied', 'queue_full'),
      status: 'unavailable',
      http: 503,
      told: 'session-memory is too busy',
    },
    {
      error: outage('its breaker is open', 'not_applied', 'breaker_open'),
      status: 'unavailable',
      http: 503,
      told: 'session-memory cannot be reached',
    },
    {
      error: new ConnectionError('its breaker is open', {
        effect: 'not_applied',
        reason: 'breaker_open',
        details: { after: 'timeout' },
      }),
      status: 'unavailable',
      http: 503,
      told: 'session-memory is too busy',
    },
    {
      error: outage('replica 4711 holds it', 'not_applied', 'lane_busy'),
      status: 'unavailable',
      http: 503,
      told: 'other writes of the same owner took too long',
    },
    { error: sql, status: 'unavailable', http: 503, told: 'the journal cannot be written' },
    { error: new ValidationError('no'), status: 'unavailable', http: 503, told: 'no' },
    {
      error: new TypeError('a mistake of ours'),
      status: 'unavailable',
      http: 503,
      told: 'a mistake of ours',
    },
  ];
  test.each(cases)('$error.name: $told', async ({ error, status, http, told }) => {
    const { ask, events } = createHandler({ follow: () => Promise.reject(error) });
    const text = '{"action": "add_interaction", "session_id": "s", "request_id": "r-7"}';
    const reply = await ask(text, SESSION);
    expect(reply.http?.status).toBe(http);
    expect(parsed(reply)).toEqual({ status: 'error', message: told, request_id: 'r-7' });
    expect(events.at(-1)).toMatchObject({ name: 'operation:replied', event: { status } });
    expect(events.at(-1)).toHaveProperty('event.backend', undefined);
  });
});

test('an unconfigured service is an error of the frontend, not of the agent', async () => {
  const { ask } = createHandler();
  await expect(ask('{}', serviceName('unheard-of'))).rejects.toThrow('Unknown service "unheard-of"');
});

test('a GET without a body is read from its address by the definition', async () => {
  const { handler, followed, events } = createHandler();
  const http = { method: 'GET', path: '/memories/ann', headers: {} };
  const reply = await handler.handle({ service: OVER_HTTP, body: Buffer.alloc(0), receivedAtMs: 0, http });
  expect(parsed(reply)).toEqual({ status: 'ok' });
  expect(followed).toEqual(['read get_memories']);
  expect(JSON.stringify(events)).toContain('over-http/ann');
});
