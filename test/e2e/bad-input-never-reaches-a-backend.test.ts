import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createAgent } from '../../src/sandbox/agent.ts';
import { startDeployment, type Deployment } from '../support/deployment.ts';
import { startRecordingLegacy, type RecordingLegacy } from '../support/recording-legacy.ts';

const MESSAGE_BYTES = 64 * 1024;
const JSON_DEPTH = 500;

type Request = string | Buffer | readonly (string | Buffer)[];

/** `depth` objects within each other, the outermost being the request. */
const nested = (depth: number): string =>
  `${'{"action":"get_context","deeper":'.repeat(depth - 1)}{}${'}'.repeat(depth - 1)}`;

const BAD: Readonly<Record<string, Request>> = {
  'invalid JSON': '{"action": "get_context",}',
  'an array': '[{"action": "get_context"}]',
  'a scalar': '"get_context"',
  'an empty frame': '',
  'two frames': ['{"action": "get_context"}', '{"action": "get_context"}'],
  'a message over the limit': `{"action": "get_context", "text": "${'x'.repeat(MESSAGE_BYTES)}"}`,
  'half of a surrogate pair, escaped': String.raw`{"action": "get_context", "text": "\ud83d"}`,
  'half of a surrogate pair, in a name': String.raw`{"action": "get_context", "a\ude00": 1}`,
  'nesting over the limit': nested(JSON_DEPTH + 1),
  'nesting that would end a recursive parser': `{"action": ${'['.repeat(30_000)}${']'.repeat(30_000)}}`,
  'invalid UTF-8': Buffer.concat([
    Buffer.from('{"action": "get_'),
    Buffer.from([0xc3, 0x28]),
    Buffer.from('"}'),
  ]),
};

const ANSWER = '{"status": "ok", "from": "legacy"}';
const GOOD = '{"action": "health_check"}';

/** The members of an error in each service's dialect. */
const DIALECTS = {
  'session-memory': ['status', 'message'],
  'contextual-memory': ['status', 'message'],
  'jarvis-memory': ['status', 'reason'],
} as const;

type Service = keyof typeof DIALECTS;
const SERVICES = Object.keys(DIALECTS) as Service[];

let deployment: Deployment;
let legacy: RecordingLegacy;

beforeAll(async () => {
  legacy = await startRecordingLegacy(() => ANSWER);
  deployment = await startDeployment({
    legacy: Object.fromEntries(SERVICES.map((service) => [service, legacy.endpoint])),
    config: { limits: { messageBytes: MESSAGE_BYTES, jsonDepth: JSON_DEPTH } },
    asked: { dualWrite: true, shadowRead: 100, readCutover: 0 },
  });
});

afterAll(async () => {
  await deployment?.end();
  await legacy?.stop();
});

function expectError(text: string, service: Service): void {
  const [status, reason] = DIALECTS[service];
  const error = JSON.parse(text) as Record<string, unknown>;
  expect(error).toEqual({ [status]: 'error', [reason]: expect.stringMatching(/^the message /) });
}

describe.each(SERVICES)('%s', (service) => {
  test('over ZeroMQ, each gets one error and the socket stays usable', async () => {
    const agent = createAgent({ endpoint: deployment.endpoints[service] });
    for (const [name, request] of Object.entries(BAD)) {
      const before = legacy.received.length;
      expectError((await agent.call(request)).toString(), service);
      expect(legacy.received.length, name).toBe(before);
      // A strict REQ socket takes no second reply for one request, and none that is not its own.
      expect((await agent.call(GOOD)).toString(), name).toBe(ANSWER);
      expect(legacy.received.length, name).toBe(before + 1);
    }
    agent.close();
  });

  test('over HTTP, each gets one error with a matching status', async () => {
    for (const [name, request] of Object.entries(BAD)) {
      // HTTP has one body and no frames.
      if (typeof request !== 'string' && !Buffer.isBuffer(request)) continue;
      const before = legacy.received.length;
      const reply = await post(service, request);
      expectError(await reply.text(), service);
      expect(reply.status, name).toBe(name === 'a message over the limit' ? 413 : 400);
      expect(legacy.received.length, name).toBe(before);
      const good = await post(service, GOOD);
      expect([good.status, await good.text()], name).toEqual([200, ANSWER]);
      expect(legacy.received.length, name).toBe(before + 1);
    }
  });

  test('it is counted by its kind', async () => {
    const { bad_input: counted } = await deployment.serviceStatus(service);
    expect(Object.keys(counted).toSorted()).toEqual([
      'empty',
      'invalid_json',
      'lone_surrogate',
      'not_an_object',
      'not_utf8',
      'several_frames',
      'too_deep',
      'too_large',
    ]);
  });
});

test('nesting up to the limit, and JSON that only Python accepts, is passed on', async () => {
  const agent = createAgent({ endpoint: deployment.endpoints['jarvis-memory'] });
  for (const request of [nested(JSON_DEPTH), '{"action": "health_check", "it": [NaN, -Infinity]}']) {
    const before = legacy.received.length;
    expect((await agent.call(request)).toString()).toBe(ANSWER);
    expect(legacy.received.slice(before).map(([frame]) => String(frame))).toEqual([request]);
  }
  agent.close();
});

function post(service: Service, body: string | Buffer): Promise<Response> {
  return fetch(`${deployment.httpUrl}/v1/services/${service}`, {
    method: 'POST',
    body: typeof body === 'string' ? body : new Uint8Array(body),
    headers: { 'content-type': 'application/json' },
  });
}
