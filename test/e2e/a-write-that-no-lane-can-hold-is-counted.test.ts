import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runCommand } from '../support/command.ts';
import { startDeployment, type Deployment } from '../support/deployment.ts';
import { askOnce } from '../support/session-agent.ts';

/** Lane keys are printed on terminals, in logs and in addresses, and PostgreSQL stores no NUL. */
const OWNERS = ['a\u0001b', 'two\nlines', 'n\u0000l', 'a\u0085b', 'x'.repeat(513)];

const WRITES: Readonly<Record<string, (owner: string) => readonly object[]>> = {
  'session-memory': (owner) => [
    { action: 'create_session', session_id: owner, user_id: 'ana' },
    { action: 'add_interaction', session_id: owner, role: 'user', content: 'hello' },
  ],
  'contextual-memory': (owner) => [
    { action: 'add_interaction', session_id: owner, type: 'user_query', content: 'hello' },
  ],
  'jarvis-memory': (owner) => [{ action: 'add_memory', user_id: owner, memory: { content: 'hello' } }],
};

let deployment: Deployment;

beforeAll(async () => {
  deployment = await startDeployment({ asked: { dualWrite: true, shadowRead: 0, readCutover: 0 } });
});

afterAll(() => deployment?.end());

async function post(service: string, request: object): Promise<void> {
  const reply = await fetch(`${deployment.httpUrl}/v1/services/${service}`, {
    method: 'POST',
    body: JSON.stringify(request),
  });
  expect(reply.status).toBe(200);
  await reply.text();
}

describe.each(Object.entries(WRITES))('%s', (service, requestsOf) => {
  const counted = async () => (await deployment.serviceStatus(service)).unmapped_writes['applied'] ?? 0;
  const expected = OWNERS.flatMap(requestsOf).length;

  test('counts it over ZeroMQ and over HTTP', async () => {
    for (const request of OWNERS.flatMap((owner) => requestsOf(`zmq ${owner}`)))
      await askOnce(deployment.endpoints[service as 'jarvis-memory'], request as Record<string, unknown>);
    expect(await counted()).toBe(expected);
    for (const request of OWNERS.flatMap((owner) => requestsOf(`http ${owner}`)))
      await post(service, request);
    expect(await counted()).toBe(2 * expected);
  });

  test('counts neither what legacy refuses nor what a lane holds', async () => {
    const before = await counted();
    await post(service, { action: 'add_interaction', session_id: [], user_id: 'x', content: 'hello' });
    for (const request of requestsOf('printable')) await post(service, request);
    expect(await counted()).toBe(before);
    expect((await deployment.serviceStatus(service)).lanes.total).toBe(1);
  });
});

test('the status names the writes that only legacy has', async () => {
  const { stdout } = await runCommand(['status', '--url', deployment.httpUrl]);
  expect(stdout).not.toMatch(/replication lag +none\n/);
  expect(stdout.match(/writes that no lane can hold/g)).toHaveLength(3);
  expect(stdout.match(/writes only on legacy +[1-9]/g)).toHaveLength(3);
});
