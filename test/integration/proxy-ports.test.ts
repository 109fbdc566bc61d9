import { once } from 'node:events';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { loadConfig } from '../../src/config/config.ts';
import { loadDefinitions } from '../../src/compose/definitions.ts';
import { inOrder } from '../../src/shared/parts.ts';
import { createPortCheck } from '../../src/compose/ports.ts';
import { freePorts } from '../support/ports.ts';

const closing: (() => unknown)[] = [];

afterEach(() => {
  for (const close of closing.splice(0)) close();
});

async function occupy(port: number): Promise<void> {
  const server = createServer().listen(port, '127.0.0.1');
  await once(server, 'listening');
  closing.push(() => server.close());
}

/** Starts what a proxy starts first, and then something that must not be started after a failure. */
async function start(text: string): Promise<{ error: string; isNextStarted: boolean }> {
  const file = join(mkdtempSync(join(tmpdir(), 'crossfade-ports-')), 'c.yaml');
  writeFileSync(file, text);
  const config = loadConfig(file, {});
  let isNextStarted = false;
  const next = {
    name: 'journal',
    start: async () => void (isNextStarted = true),
    stop: async () => undefined,
  };
  const parts = inOrder([createPortCheck(config, await loadDefinitions(config)), next]);
  const error = await parts.start().then(
    () => '',
    (failure: Error) => failure.message,
  );
  return { error, isNextStarted };
}

test('all ports in use are reported at once, before anything else starts', async () => {
  const [http = 0, port = 0, health = 0, pub = 0, contextual = 0] = await freePorts(5);
  const text = `
http: { port: ${http} }
services:
  session-memory:
    { port: ${port}, healthPort: ${health}, pubPort: ${pub}, legacy: { endpoint: "tcp://127.0.0.1:1", pubEndpoint: "tcp://127.0.0.1:2" } }
  contextual-memory: { host: "*", port: ${contextual}, legacy: { endpoint: "tcp://127.0.0.1:1" } }
`;
  expect(await start(text)).toEqual({ error: '', isNextStarted: true });
  for (const taken of [http, port, health, pub, contextual]) await occupy(taken);
  const { error, isNextStarted } = await start(text);
  expect(isNextStarted).toBe(false);
  expect(error.split('\n').slice(1)).toEqual([
    `  - http.port 127.0.0.1:${http}: address already in use`,
    `  - services.session-memory.port 127.0.0.1:${port}: address already in use`,
    `  - services.session-memory.healthPort 127.0.0.1:${health}: address already in use`,
    `  - services.session-memory.pubPort 127.0.0.1:${pub}: address already in use`,
    `  - services.contextual-memory.port *:${contextual}: address already in use`,
  ]);
});

test('an address of another machine is reported as such', async () => {
  const [http = 0] = await freePorts(1);
  const { error } = await start(
    `http: { host: 192.0.2.1, port: ${http} }\noperator: { tokens: { ops: { role: viewer, token: sixteen-characters } } }\nservices: { jarvis-memory: { port: ${http + 1}, legacy: { endpoint: "tcp://127.0.0.1:1" } } }`,
  );
  expect(error).toContain(`http.port 192.0.2.1:${http}: not an address of this machine`);
});

test('a legacy address that is the proxy itself is refused', async () => {
  const [http = 0] = await freePorts(1);
  const own = Object.values(networkInterfaces()).flat();
  const outside = own.find((address) => address?.family === 'IPv4' && !address.internal)?.address;
  const hosts = ['127.0.0.1', 'localhost', ...(outside === undefined ? [] : [outside])];
  for (const host of hosts) {
    const { error, isNextStarted } = await start(
      `http: { port: ${http} }\nproxy: { host: 0.0.0.0 }\nservices: { session-memory: { legacy: { endpoint: "tcp://${host}:5574" } } }`,
    );
    expect(error).toContain(
      `services.session-memory.legacy.endpoint is the proxy's own address: services.session-memory.port is 5574 too`,
    );
    expect(isNextStarted).toBe(false);
  }
});
