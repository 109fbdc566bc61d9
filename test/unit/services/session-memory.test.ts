import { describe, expect, test } from 'vitest';
import type { Dialect, WriteAction } from '../../../src/domain/service-definition.ts';
import { compareReplies } from '../../../src/engine/compare/compare-replies.ts';
import { CONTEXT_RULES } from '../../../src/services/session-memory/context.ts';
import { sessionMemory } from '../../../src/services/session-memory/session-memory.ts';
import { Delivered, message } from './memory-list.ts';
import { exchangesOf } from './recordings.ts';
import { ask, say, shownOf } from './session-requests.ts';

const RECORDED = [
  ...exchangesOf('session_memory_agent_v1_alone', 5574),
  ...exchangesOf('session_memory_agent_v1_initfixed_alone', 5574),
  ...exchangesOf('session_memory_agent_v1_withorch', 5574),
  ...exchangesOf('session_memory_agent_v1_initfixed_withorch', 5574),
];

function outcomeOf(request: string, reply: string) {
  const action = sessionMemory.actions[String(message(request).fields['action'])] as WriteAction;
  return action.outcome(message(reply), message(request));
}

describe('the recorded exchanges', () => {
  const EXPECTED: Readonly<Record<string, string>> = {
    'duplicate id': 'unknown',
    'unknown session -> error w/o message': 'unknown',
    'empty content refused': 'refused',
    'object content -> sqlite binding error': 'refused',
  };
  const writes = RECORDED.filter(({ action: name, request }) => {
    const action = sessionMemory.actions[name];
    return action?.kind === 'write' && typeof message(request).fields['session_id'] === 'string';
  });

  test.each(writes)('$action ($note) has a known outcome', ({ note, request, response }) => {
    expect(outcomeOf(request, response)).toBe(EXPECTED[note] ?? 'applied');
  });

  test('recordings exist', () => {
    expect(writes.length).toBeGreaterThan(15);
  });

  test('the orchestrator replays the recorded answers of the service', () => {
    const delivered = new Delivered(sessionMemory);
    const compared: string[] = [];
    const acceptedAt = '2026-11-21T01:57:15.160Z';
    for (const { action: name, request, response } of exchangesOf('session_memory_agent_v1_alone', 5574)) {
      const action = sessionMemory.actions[name];
      if (action === undefined || action.kind === 'passthrough') continue;
      if (action.owner(message(request)) === undefined) continue;
      if (action.kind === 'read') {
        const orchestrator = delivered.read(request);
        compared.push(
          compareReplies({ legacy: response, orchestrator, rules: CONTEXT_RULES }).comparison.verdict,
        );
      } else if (outcomeOf(request, response) === 'applied') delivered.write(request, acceptedAt);
    }
    expect(compared).toEqual(['match', 'match', 'match', 'match']);
  });

  test('the answer has the recorded bytes', () => {
    const delivered = new Delivered(sessionMemory);
    delivered.write(say('ñ 😀 \u0000 "q" / <\u2028>'), '2026-11-21T02:21:02.574Z');
    const expected =
      String.raw`{"status": "success", "context": [{"role": "user", "content": "\u00f1 \ud83d\ude00 \u0000 \"q\" / <\u2028>",` +
      ' "timestamp": "2026-11-21T02:21:02.574000"}], "request_id": "x"}';
    expect(delivered.read('{"action": "get_context", "session_id": "s", "request_id": "x"}')).toBe(expected);
  });
});

describe('outcomes', () => {
  test.each([
    ['create_session', '{"status":"error","session_id":null}', {}, 'unknown'],
    ['create_session', '{"status":"error","session_id":null}', { user_id: ['a'] }, 'refused'],
    ['create_session', '{"status":"success","session_id":"s"}', {}, 'applied'],
    ['add_interaction', '{"status":"error"}', { role: 'user', content: 2 ** 70 }, 'unknown'],
    ['add_interaction', '{"status":"error"}', { role: { a: 1 }, content: 'x' }, 'refused'],
    [
      'add_interaction',
      '{"status":"error","error":"Agent is still initializing"}',
      { content: 'x' },
      'refused',
    ],
    ['clear_session', '{"status":"error"}', {}, 'unknown'],
    ['delete_session', '{"status":"error","message":"Missing session_id"}', {}, 'refused'],
    ['delete_session', 'garbage', {}, 'unknown'],
  ])('%s answered with %s', (action, reply, members, expected) => {
    const request = JSON.stringify({ action, session_id: 's', ...members });
    const parsed = reply === 'garbage' ? '{}' : reply;
    expect(outcomeOf(request, parsed)).toBe(expected);
  });

  test('an integer that SQLite cannot hold was never stored', () => {
    const request = `{"action":"add_interaction","session_id":"s","role":"user","content":${2n ** 70n}}`;
    expect(outcomeOf(request, '{"status":"error"}')).toBe('refused');
  });
});

describe('owners', () => {
  test.each([{ session_id: 5 }, { session_id: null }, { session_id: '' }, { session_id: ['a'] }, {}])(
    '%j has no lane',
    (members) => {
      const request = message(JSON.stringify({ action: 'clear_session', ...members }));
      expect((sessionMemory.actions['clear_session'] as WriteAction).owner(request)).toBeUndefined();
    },
  );

  test('a session without an id gets one, and nothing else of the request changes', () => {
    const issue = (text: string) =>
      (sessionMemory.actions['create_session'] as WriteAction).issueOwner?.(message(text), () => 'uuid');
    expect(issue('{ "action":"create_session", "metadata":{"x":1000.0,"y":NaN}}')).toBe(
      '{ "session_id": "uuid", "action":"create_session", "metadata":{"x":1000.0,"y":NaN}}',
    );
    expect(issue('{}')).toBe('{"session_id": "uuid"}');
    expect(issue('{"session_id":null}')).toBeUndefined();
    expect(issue('{"session_id":"mine"}')).toBeUndefined();
  });
});

describe('a session', () => {
  test('keeps values that the orchestrator cannot hold in its metadata', () => {
    const delivered = new Delivered(sessionMemory);
    const long = 's'.repeat(70);
    delivered.write(
      JSON.stringify({ action: 'create_session', session_id: long, user_id: 'u'.repeat(65), metadata: [1] }),
    );
    const [session] = delivered.list.sessions.values();
    expect(session).toMatchObject({
      user_id: expect.stringMatching(/^user~[0-9a-f]{40}$/) as unknown,
      session_type: 'conversation',
      session_metadata: { legacy_value: [1], legacy_id: long, legacy_user_id: 'u'.repeat(65) },
    });
  });

  test.each([
    ['null', 'default'],
    ['""', 'default'],
    ['5', '5'],
    ['"u1"', 'u1'],
  ])('of user %s belongs to %s', (user, expected) => {
    const delivered = new Delivered(sessionMemory);
    delivered.write(`{"action":"create_session","session_id":"s","user_id":${user}}`);
    expect(delivered.list.sessions.get('s')?.['user_id']).toBe(expected);
  });
});

describe('a write that is delivered', () => {
  test('as a clear deletes earlier items, and no later ones', () => {
    const delivered = new Delivered(sessionMemory);
    delivered.write(say('before'));
    delivered.sequence = 2;
    delivered.write(say('after'));
    delivered.sequence = 1;
    delivered.write('{"action": "clear_session", "session_id": "s"}');
    expect(shownOf(delivered.read(ask())).map(({ content }) => content)).toEqual(['after']);
  });

  test('as a create opens a deleted session again', () => {
    const delivered = new Delivered(sessionMemory);
    delivered.write('{"action": "delete_session", "session_id": "s"}');
    expect(delivered.list.sessions.get('s')?.['ended_at']).toEqual(expect.any(String));
    delivered.write('{"action": "create_session", "session_id": "s"}');
    expect(delivered.list.sessions.get('s')).toMatchObject({ ended_at: null, is_archived: false });
  });
});

describe('a write without an owner', () => {
  test.each([
    ['77', '77'],
    ['1.50', '1.5'],
    ['1e16', '1.0e+16'],
    ['true', '1'],
    ['12345678901234567890', undefined],
    ['null', undefined],
    ['[1]', undefined],
    ['""', undefined],
  ])('under %s changes the rows of %s', (id, owner) => {
    for (const name of ['create_session', 'add_interaction', 'clear_session', 'delete_session']) {
      const action = sessionMemory.actions[name] as WriteAction;
      const request = message(`{"action":"${name}","session_id":${id}}`);
      expect([name, action.owner(request), action.alsoTouches?.(request)]).toEqual([name, undefined, owner]);
    }
  });
});

describe('the dialect', () => {
  test('reports a failure in the service’s words', () => {
    const error: Dialect['error'] = (...failure) => sessionMemory.dialect.error(...failure);
    expect(error('timeout', 'too “late”', message('{"request_id":[1.50,"ñ"]}'))).toBe(
      String.raw`{"status": "error", "message": "too \u201clate\u201d", "request_id": [1.5, "\u00f1"]}`,
    );
    expect(error('timeout', 'late', message('{}'))).toBe(
      '{"status": "error", "message": "late", "request_id": ""}',
    );
    expect(error('bad_input', 'no')).toBe('{"status": "error", "message": "no"}');
  });

  test('reports on its health port that it is well, and never initialized', () => {
    const { endpoint } = sessionMemory;
    const reply =
      endpoint.kind === 'zmq' &&
      endpoint.healthReply?.({ uptimeSeconds: 1.5, nowLocalIso: '2026-11-21T01:57:15', isAnswering: true });
    expect(reply).toBe(
      '{"status": "ok", "ready": true, "initialized": false, "message": "SessionMemoryAgent is healthy", "timestamp": "2026-11-21T01:57:15", "uptime": 1.5, "active_threads": 5}',
    );
  });

  test('reports on its health port while the service does not answer', () => {
    const { endpoint } = sessionMemory;
    const reply =
      endpoint.kind === 'zmq' &&
      endpoint.healthReply?.({ uptimeSeconds: 1.5, nowLocalIso: '2026-11-21T01:57:15', isAnswering: false });
    expect(reply).toBe(
      '{"status": "error", "ready": false, "initialized": false, "message": "SessionMemoryAgent does not answer", "timestamp": "2026-11-21T01:57:15", "uptime": 0.0, "active_threads": 0}',
    );
  });
});
