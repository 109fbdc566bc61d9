import { connect, type Socket } from 'node:net';
import { once } from 'node:events';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { startDeployment, type Deployment } from '../support/deployment.ts';
import { addInteraction, createSession, createSessionAgent, freshSession } from '../support/session-agent.ts';

const OPEN_FILES = 400;
const CONNECTIONS = 600;
const PATIENCE_MS = 4_000;

let deployment: Deployment;
const idle: Socket[] = [];

beforeAll(async () => {
  deployment = await startDeployment({
    only: ['session-memory'],
    asked: { dualWrite: true, shadowRead: 0, readCutover: 0 },
    start: { openFiles: OPEN_FILES },
  });
});

afterEach(() => {
  for (const socket of idle.splice(0)) socket.destroy();
});

afterAll(() => deployment?.end());

async function openIdle(port: number, first: string): Promise<void> {
  for (let count = 0; count < CONNECTIONS; count += 1) {
    const socket = connect({ port, host: '127.0.0.1' });
    idle.push(socket.on('error', () => undefined).resume());
    await once(socket, 'connect');
    if (first === '') continue;
    socket.write(first);
    await Promise.race([once(socket, 'data'), once(socket, 'close')]);
  }
}

const httpPort = (): number => Number(new URL(deployment.httpUrl).port);
const zmqPort = (): number => Number(new URL(deployment.endpoints['session-memory']).port);

const IDLE: readonly [string, () => number, string][] = [
  ['HTTP connections that send nothing', httpPort, ''],
  ['HTTP connections after one request', httpPort, 'GET /health/live HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n'],
  ['ZeroMQ connections that send nothing', zmqPort, ''],
];

test.each(IDLE)('600 idle %s leave room for other agents', async (_, port, first) => {
  await openIdle(port(), first);
  const session = freshSession();
  const agent = createSessionAgent(deployment.endpoints['session-memory']);
  const created = await agent.ask(createSession(session));
  expect(created.status).toBe('success');
  expect(created.ms).toBeLessThan(PATIENCE_MS);
  agent.close();
  const answer = await fetch(`${deployment.httpUrl}/v1/services/session-memory`, {
    method: 'POST',
    body: JSON.stringify(addInteraction(session, 'water the roses')),
    signal: AbortSignal.timeout(PATIENCE_MS),
  });
  expect(await answer.json()).toMatchObject({ status: 'success' });
  expect((await deployment.serviceStatus('session-memory')).coverage).toBeGreaterThan(0);
});
