import { afterAll, beforeAll, expect, test } from 'vitest';
import { createAgent } from '../../src/sandbox/agent.ts';
import { runCommand } from '../support/command.ts';
import { startDeployment, type Deployment } from '../support/deployment.ts';
import { eventually } from '../support/eventually.ts';
import { everythingDelivered } from '../support/lane-view.ts';

/** JSON texts that jsonb, or a parser of another language than the service's, would give back as something else. */
const TEXTS = [
  '[1e16, 1E22, 1e400, 1e-7, 1e3, -0.0, -0, 0.0]',
  '[1000.0, 2.50, 12345678901234567890, 0.1]',
  '{"type": "note", "text": "a", "10": [{"b": 1, "a": 1e16}], "9": {}}',
  '{"b": 1, "a": 2, "b": {"x": 1, "x": -0.0}}',
  '[NaN, Infinity, {"z": "\\u0000 \\ud83d\\ude00", "a": -Infinity}]',
  '5e-324',
  '-0.0',
];

let deployment: Deployment;

beforeAll(async () => {
  deployment = await startDeployment({ asked: { dualWrite: true, shadowRead: 100, readCutover: 0 } });
});

afterAll(() => deployment?.end());

async function ask(endpoint: string, request: string): Promise<string> {
  const agent = createAgent({ endpoint });
  try {
    return (await agent.call(Buffer.from(request))).toString();
  } finally {
    agent.close();
  }
}

const withoutTimes = (reply: string): string =>
  reply.replaceAll(/"(?:timestamp|last_updated)": [\d.]+/g, '"timestamp": 0');

/** Asks until the orchestrator has answered. */
function cutOverReply(service: keyof Deployment['endpoints'], get: string): Promise<string> {
  return eventually('a read that the orchestrator answers', async () => {
    const before = (await deployment.serviceStatus(service)).reads_by.orchestrator;
    const answer = await ask(deployment.endpoints[service], get);
    return (await deployment.serviceStatus(service)).reads_by.orchestrator > before && answer;
  });
}

const SERVICES = {
  'jarvis-memory': {
    store: (text: string) => `{"action": "add_memory", "user_id": "ann", "memory": ${text}}`,
    get: '{"action": "get_memories", "user_id": "ann"}',
  },
  'contextual-memory': {
    store: (text: string) => `{"action": "record_decision", "session_id": "ann", "decision": ${text}}`,
    get: '{"action": "get_context", "session_id": "ann"}',
  },
} as const;

test.each(Object.entries(SERVICES))('%s, delivered and copied', async (name, { store, get }) => {
  const service = name as keyof typeof SERVICES;
  const [through, direct] = [deployment.endpoints[service], deployment.direct[service]];
  await deployment.ask({ dualWrite: true, shadowRead: 100, readCutover: 0 });
  const half = Math.floor(TEXTS.length / 2);
  // What the proxy has not seen is copied, what follows is delivered.
  for (const text of TEXTS.slice(0, half)) await ask(direct, store(text));
  for (const text of TEXTS.slice(half)) await ask(through, store(text));
  await eventually('a comparison of the lane as it stands', async () => {
    await ask(through, get);
    return (await deployment.serviceStatus(service)).comparisons.match > 0;
  });
  await deployment.ask({ dualWrite: true, shadowRead: 0, readCutover: 100 });
  const reply = await cutOverReply(service, get);
  const expected = await ask(direct, get);
  expect(expected).toContain('1e+16');
  expect(withoutTimes(reply)).toBe(withoutTimes(expected));
  expect((await deployment.serviceStatus(service)).comparisons.mismatch).toBe(0);
});

const SESSION = {
  'session-memory': {
    store: (text: string) =>
      `{"action": "add_interaction", "session_id": "tom", "role": "user", "content": ${text}}`,
    get: '{"action": "get_context", "session_id": "tom", "request_id": "r"}',
  },
} as const;

test('after a comparison a delivered item shows legacy’s time', async () => {
  await deployment.ask({ dualWrite: true, shadowRead: 0, readCutover: 0 });
  await ask(deployment.endpoints['session-memory'], '{"action": "create_session", "session_id": "tom"}');
  const services = Object.entries({ ...SERVICES, ...SESSION });
  for (const [name, { store }] of services) {
    for (const text of ['"tea"', '"milk"', '"tea"'])
      await ask(
        deployment.endpoints[name as keyof Deployment['endpoints']],
        store(text).replace('ann', 'tom'),
      );
  }
  await everythingDelivered(deployment);
  const by = ['--person', 'ann', '--reason', 'a test', '--json', '--url', deployment.httpUrl];
  expect(await runCommand(['reconcile', '--full', ...by])).toMatchObject({ code: 0 });
  await deployment.ask({ dualWrite: true, shadowRead: 0, readCutover: 100 });
  for (const [name, request] of services) {
    const service = name as keyof Deployment['endpoints'];
    const get = request.get.replace('ann', 'tom');
    expect(await cutOverReply(service, get)).toBe(await ask(deployment.direct[service], get));
  }
});
