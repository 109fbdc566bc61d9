import { mkdtempSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createUnleashFlags } from '../../../src/rollout/unleash.ts';
import {
  createLastKnownFlags,
  type KeptFlags,
  type LastKnownFlags,
} from '../../../src/rollout/last-known-flags.ts';
import type { FlagSource } from '../../../src/rollout/flag-source.ts';
import { freePort } from '../../support/ports.ts';
import { contextOf, cutover, definitions, feature, SERVICE, until } from './flag-builder.ts';

const TOKEN = 'default:development.secret';

/** As much of Unleash as its clients need. */
function createFlagServer() {
  let server: Server | undefined;
  let text = definitions([]);
  let revision = 1;
  const seen = { full: 0, unchanged: 0, authorizations: new Set<string | undefined>() };
  const fake = {
    seen,
    status: 200,
    isSilent: false,
    publish(next: string): void {
      text = next;
      revision += 1;
    },
    async listen(port: number): Promise<void> {
      server = createServer((request, response) => fake.answer(request, response));
      await new Promise<void>((resolve) => server?.listen(port, '127.0.0.1', resolve));
    },
    answer(request: IncomingMessage, response: ServerResponse): void {
      request.resume();
      if (request.url !== '/api/client/features') {
        response.writeHead(202).end();
        return;
      }
      if (fake.isSilent) return;
      seen.authorizations.add(request.headers.authorization);
      const status = request.headers.authorization === TOKEN ? fake.status : 401;
      if (status !== 200) {
        response.writeHead(status).end('no');
        return;
      }
      const etag = `"${revision}"`;
      if (request.headers['if-none-match'] === etag) {
        seen.unchanged += 1;
        response.writeHead(304, { etag }).end();
        return;
      }
      seen.full += 1;
      response.writeHead(200, { etag, 'content-type': 'application/json' }).end(text);
    },
    async close(): Promise<void> {
      server?.closeAllConnections();
      await new Promise((resolve) => (server === undefined ? resolve(undefined) : server.close(resolve)));
    },
  };
  return fake;
}

let server: ReturnType<typeof createFlagServer>;
let port: number;
let flags: FlagSource;
let problems: string[];

beforeEach(async () => {
  server = createFlagServer();
  port = await freePort();
  problems = [];
  flags = createFlags(TOKEN);
});

afterEach(async () => {
  await flags.stop();
  await server.close();
});

function createFlags(apiToken: string, lastKnown?: LastKnownFlags): FlagSource {
  return createUnleashFlags({
    url: `http://127.0.0.1:${port}/api`,
    apiToken,
    appName: 'crossfade-test',
    refreshIntervalMs: 100,
    onProblem: (message) => problems.push(message),
    ...(lastKnown !== undefined && { lastKnown }),
  });
}

const isOn = (): boolean => flags.isEnabled('dual-write', { service: SERVICE }).enabled;
const errorOf = (): string => flags.describe().lastError ?? '';

test('flags are known at the end of the start, and follow the server', async () => {
  server.publish(
    definitions([feature('dual-write'), feature('read-cutover', { strategies: [cutover(25)] })]),
  );
  await server.listen(port);
  expect(flags.isEnabled('dual-write', { service: SERVICE })).toEqual({
    enabled: false,
    reason: 'unknown_flag',
  });
  await flags.start();
  expect(isOn()).toBe(true);
  expect(flags.percentage('read-cutover', SERVICE)).toBe(25);
  expect(flags.describe()).toEqual({
    source: `Unleash at http://127.0.0.1:${port}/api`,
    fresh: true,
    ageMs: expect.any(Number) as number,
  });

  let changes = 0;
  flags.onChange(() => (changes += 1));
  const before = flags.version();
  await until(() => server.seen.unchanged >= 3);
  expect([server.seen.full, flags.version(), changes]).toEqual([1, before, 0]);

  server.publish(
    definitions([
      { name: 'crossfade.kill-switch', enabled: true, strategies: [{ name: 'default', parameters: {} }] },
    ]),
  );
  await until(() => flags.killSwitch());
  expect([flags.version(), changes]).toEqual([before + 1, 1]);
  expect(flags.isEnabled('dual-write', contextOf('a')).reason).toBe('unknown_flag');
});

test.each([401, 403, 404, 429, 500, 503])(
  'after a %i the last values stay until it answers again',
  async (status) => {
    server.publish(definitions([feature('dual-write')]));
    await server.listen(port);
    await flags.start();

    server.status = status;
    await until(() => !flags.describe().fresh);
    expect(errorOf()).toContain(`/client/features answered ${status}`);
    await new Promise((resolve) => setTimeout(resolve, 400));
    expect(isOn()).toBe(true);
    expect(problems).toHaveLength(1);

    server.publish(definitions([feature('dual-write', { enabled: false })]));
    server.status = 200;
    await until(() => flags.describe().fresh && !isOn());
  },
);

test('a server that comes up later is found', async () => {
  const startedAt = performance.now();
  await flags.start();
  expect(performance.now() - startedAt).toBeLessThan(6_000);
  expect(isOn()).toBe(false);
  expect(errorOf()).toMatch(/cannot be reached: ECONNREFUSED/);

  server.publish(definitions([feature('dual-write')]));
  await server.listen(port);
  await until(isOn);
  expect(flags.describe().fresh).toBe(true);
});

test('the values of a lost server stay active', async () => {
  server.publish(definitions([feature('dual-write')]));
  await server.listen(port);
  await flags.start();
  await server.close();
  await until(() => !flags.describe().fresh);
  expect(isOn()).toBe(true);
});

test('a silent server delays the start by 2 s at most', async () => {
  server.isSilent = true;
  await server.listen(port);
  const startedAt = performance.now();
  await flags.start();
  expect(performance.now() - startedAt).toBeLessThan(6_000);
  expect(flags.describe()).toMatchObject({ fresh: false, lastError: 'no answer within 2000 ms' });
});

test('an invalid answer keeps the values', async () => {
  server.publish(definitions([feature('dual-write')]));
  await server.listen(port);
  await flags.start();
  server.publish('<html>');
  await until(() => !flags.describe().fresh);
  expect(errorOf()).toContain('not in Unleash');
  expect(isOn()).toBe(true);
});

test('a wrong token is reported without being shown', async () => {
  await server.listen(port);
  flags = createFlags('wrong-secret');
  await flags.start();
  expect(errorOf()).toContain('the API token is not accepted');
  expect(JSON.stringify(flags.describe()) + problems.join()).not.toContain('wrong-secret');
  expect([...server.seen.authorizations]).toEqual(['wrong-secret']);
});

/** What a journal does, in memory. */
function keeping(): KeptFlags & { text: string | undefined; isAway: boolean } {
  return {
    text: undefined,
    isAway: false,
    async load() {
      if (this.isAway) throw new Error('the journal is away');
      return this.text === undefined ? undefined : { text: this.text, readAtMs: Date.now() - 3_600_000 };
    },
    async save(text) {
      this.text = text;
    },
    confirm: async () => undefined,
  };
}

test('a start without the server uses the flags in the journal', async () => {
  const kept = keeping();
  server.publish(definitions([feature('dual-write')]));
  await server.listen(port);
  await flags.stop();
  flags = createFlags(TOKEN, createLastKnownFlags(kept, '/nowhere'));
  await flags.start();
  await until(() => kept.text !== undefined);
  await flags.stop();
  await server.close();

  flags = createFlags(TOKEN, createLastKnownFlags(kept, '/nowhere'));
  await flags.start();
  expect(isOn()).toBe(true);
  const { ageMs = 0, ...state } = flags.describe();
  expect(state).toMatchObject({ fresh: false, from: 'journal' });
  expect(Math.round(ageMs / 60_000)).toBe(60);

  server.publish(definitions([feature('dual-write', { enabled: false })]));
  await server.listen(port);
  await until(() => flags.describe().fresh);
  expect(isOn()).toBe(false);
  expect(flags.describe().from).toBeUndefined();
});

test('a first start without the server uses the flag files', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'crossfade-flags-'));
  writeFileSync(join(folder, 'flags.json'), definitions([feature('dual-write')]));
  await flags.stop();
  flags = createFlags(TOKEN, createLastKnownFlags(keeping(), folder));
  await flags.start();
  expect(isOn()).toBe(true);
  expect(flags.describe()).toMatchObject({ fresh: false, from: 'files' });
  expect(flags.describe().ageMs).toBeUndefined();
});

test('a hanging journal does not delay the flags', async () => {
  let hung = 0;
  const hanging = { ...keeping(), save: () => new Promise<void>(() => (hung += 1)) };
  server.publish(definitions([feature('dual-write')]));
  await server.listen(port);
  await flags.stop();
  flags = createFlags(TOKEN, createLastKnownFlags(hanging, '/nowhere'));
  await flags.start();
  expect(isOn()).toBe(true);
  server.publish(definitions([feature('dual-write', { enabled: false })]));
  await until(() => !isOn());
  expect(hung).toBe(1);
});

test('without server and journal no flag is known until one of them answers', async () => {
  const kept = keeping();
  [kept.isAway, kept.text] = [true, definitions([feature('dual-write')])];
  await flags.stop();
  flags = createFlags(TOKEN, createLastKnownFlags(kept, '/nowhere'));
  await flags.start();
  expect(flags.isEnabled('dual-write', { service: SERVICE }).reason).toBe('unknown_flag');
  kept.isAway = false;
  await until(isOn);
  expect(flags.describe().from).toBe('journal');
});
