import { describe, expect, test } from 'vitest';
import { serviceName, type ServiceName } from '../../../../src/domain/ids.ts';
import type { WritesState } from '../../../../src/domain/stage.ts';
import type { ServiceDefinition } from '../../../../src/domain/service-definition.ts';
import { PassPath } from '../../../../src/engine/requests/pass.ts';
import { Coverage, type ServiceRuntime } from '../../../../src/engine/ports/service-runtime.ts';
import { jarvisMemory } from '../../../../src/services/jarvis-memory.ts';
import { sessionMemory } from '../../../../src/services/session-memory/session-memory.ts';
import { Unjournaled } from '../../../../src/engine/coverage/unjournaled.ts';
import { fakeClock, flagsThatAreOn, recorder } from '../engine-parts.ts';

const JARVIS = serviceName('jarvis-memory');
const SESSIONS = serviceName('session-memory');

function runtimeOf(name: ServiceName, definition: ServiceDefinition): ServiceRuntime {
  const legacy = {
    send: () => Promise.reject(new Error('the backend was asked')),
    load: () => ({ inFlight: 0, queued: 0, isConnected: true, breaker: 'closed' as const }),
  };
  return { name, definition, context: { timeZone: 'UTC' }, legacy, access: {}, deadlineMs: 1_000 };
}

function createPass(number = 0, writes: WritesState = 'open') {
  const { emit, names } = recorder();
  const coverage = Object.assign(new Coverage(), { number });
  const covered = new Map([
    [JARVIS, coverage],
    [SESSIONS, coverage],
  ]);
  const clock = fakeClock();
  const path = new PassPath({
    mayPass: () => true,
    writesStateOf: () => writes,
    unjournaled: new Unjournaled({ coverage: covered, clock, probed: () => new Promise(() => undefined) }),
    services: new Map([
      [JARVIS, runtimeOf(JARVIS, jarvisMemory)],
      [SESSIONS, runtimeOf(SESSIONS, sessionMemory)],
    ]),
    coverage: covered,
    flags: flagsThatAreOn([]),
    limits: { messageBytes: 1_000, jsonDepth: 8 },
    clock,
    emit,
  });
  const pass = (text: string, service = JARVIS) =>
    path.pass({ service, body: Buffer.from(text), receivedAtMs: 0 });
  return { path, pass, coverage, names };
}

const WRITE = '{"action": "add_memory", "user_id": "ann", "memory": {"text": "x"}}';

test('a write of an uncovered service passes, and the first copies wait for its end', () => {
  const { pass, coverage, names } = createPass();
  const passage = pass(WRITE);
  expect(passage?.deadlineAtMs).toBe(1_000);
  expect(coverage.unjournaled).toBe(1);
  passage?.end('answered');
  expect(coverage.unjournaled).toBe(0);
  expect(names()).toEqual(['operation:received', 'operation:decided', 'backend:called', 'operation:replied']);
});

test('a request that broke off after it was sent is waited for by probes', () => {
  const { pass, coverage } = createPass();
  pass(WRITE)?.end('unavailable');
  expect(coverage.unjournaled).toBe(1);
});

test('unknown requests are counted, whether the service is covered or not', () => {
  for (const number of [0, 7]) {
    const { path, names } = createPass(number);
    path.passUnknown({ service: JARVIS, receivedAtMs: 0 })?.('answered');
    expect(names()).toEqual(['operation:received', 'backend:called', 'operation:replied']);
  }
});

test.each(['read_only', 'complete'] as const)(
  'an unknown request to a %s legacy is counted only',
  (writes) => {
    const { path, names } = createPass(7, writes);
    expect(path.passUnknown({ service: JARVIS, receivedAtMs: 0 })).toBeUndefined();
    expect(names()).toEqual(['operation:received']);
  },
);

describe('requests for the engine do not pass', () => {
  test('a covered service', () => {
    const { pass, coverage, names } = createPass(7);
    expect(pass(WRITE)).toBeUndefined();
    expect(coverage.unjournaled).toBe(0);
    expect(names()).toEqual([]);
  });

  test.each(['{', '[1]', '"text"', `{"a": "${'x'.repeat(1_000)}"}`, '['.repeat(20)])(
    'bad input %s',
    (text) => {
      expect(createPass().pass(text)).toBeUndefined();
    },
  );

  test('an owner that the proxy generates', () => {
    const { pass } = createPass();
    expect(pass('{"action": "create_session", "user_id": "ann"}', SESSIONS)).toBeUndefined();
  });
});
