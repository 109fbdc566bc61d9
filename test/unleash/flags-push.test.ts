import { execFile } from 'node:child_process';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { SERVICE_FLAGS } from '../../src/domain/flags.ts';
import { serviceName } from '../../src/domain/ids.ts';
import type { PushedFlag } from '../../src/rollout/push-flags.ts';
import { createUnleashFlags } from '../../src/rollout/unleash.ts';
import { startGate, type Gate } from './gate.ts';
import { ADMIN_TOKEN, CLIENT_TOKEN, ENVIRONMENT, gradual, PROJECT, TestUnleash } from './unleash.ts';

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
const SERVICES = ['session-memory', 'contextual-memory', 'jarvis-memory'].map(serviceName);
const NAMES = [
  ...SERVICES.flatMap((service) => SERVICE_FLAGS.map((flag) => `crossfade.${service}.${flag}`)),
  'crossfade.kill-switch',
];

/** Off, and everything when they are on. */
const SWITCH = /\.(?:dual-write|legacy-read-only|kill-switch)$/;

let unleash: TestUnleash;
let gate: Gate;
let config: string;

beforeAll(async () => {
  unleash = await TestUnleash.create();
  gate = await startGate(unleash.port);
  await unleash.start();
  config = join(mkdtempSync(join(tmpdir(), 'crossfade-push-')), 'crossfade.yaml');
  const services = SERVICES.map((name) => `  ${name}: { legacy: { endpoint: "tcp://127.0.0.1:1" } }`);
  writeFileSync(config, ['services:', ...services].join('\n'));
});

afterAll(async () => {
  await gate.stop();
  await unleash.end();
});

afterEach(() => gate.pass());

interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs `crossfade flags push` as a person would. */
function push(args: readonly string[] = [], env: Readonly<Record<string, string>> = {}): Promise<Ended> {
  const given = { UNLEASH_URL: gate.url, UNLEASH_ADMIN_TOKEN: ADMIN_TOKEN, UNLEASH_ENVIRONMENT: ENVIRONMENT };
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      [MAIN, 'flags', 'push', '--config', config, ...args],
      { env: { PATH: process.env['PATH'] ?? '', ...given, ...env } },
      (error, stdout, stderr) => resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr }),
    );
  });
}

async function pushed(...args: string[]): Promise<readonly PushedFlag[]> {
  const { code, stdout, stderr } = await push(['--json', ...args]);
  expect(stderr).toBe('');
  expect(code).toBe(0);
  return (JSON.parse(stdout) as { flags: PushedFlag[] }).flags;
}

const standing = () => Promise.all(NAMES.map((name) => unleash.flag(name)));

test('a dry run says what would be made, and makes nothing', async () => {
  expect((await pushed('--dry-run')).map(({ result }) => result)).toEqual(NAMES.map(() => 'created'));
  await expect(unleash.flag(NAMES[0] ?? '')).rejects.toThrow('404');
});

test('every flag is made: described, in its group, requesting nothing', async () => {
  const { code, stdout } = await push();
  expect(code).toBe(0);
  expect(stdout).toContain(`16 created, 0 completed, 0 kept, 0 failed in project "${PROJECT}"`);
  for (const { name, description, enabled, strategies, type } of await standing()) {
    expect(description.length, name).toBeGreaterThan(40);
    expect(strategies, name).toHaveLength(1);
    const { parameters } = strategies[0] ?? {};
    const kind = name === 'crossfade.kill-switch' ? 'kill-switch' : 'release';
    const state = SWITCH.test(name) ? [false, '100'] : [true, '0'];
    expect([type, enabled, parameters?.['rollout']], name).toEqual([kind, ...state]);
    const groupId = name.replace(/(read|write)-cutover$/, 'cutover');
    const stickiness = name.endsWith('shadow-read') ? 'random' : 'sessionId';
    expect(parameters).toMatchObject({ groupId, stickiness });
  }
  const flags = createUnleashFlags({
    url: unleash.url,
    apiToken: CLIENT_TOKEN,
    appName: 'tests',
    refreshIntervalMs: 1_000,
  });
  await flags.start();
  for (const service of SERVICES) {
    for (const flag of SERVICE_FLAGS) {
      expect(flags.percentage(flag, service)).toBe(0);
      expect(flags.isEnabled(flag, { service, lane: `${service}/ann`, owner: 'ann' } as never)).toEqual({
        enabled: false,
        reason: 'off',
      });
    }
  }
  expect(flags.killSwitch()).toBe(false);
  await flags.stop();
});

test('a second push changes nothing', async () => {
  const before = await standing();
  gate.forget();
  expect((await pushed()).map(({ result }) => result)).toEqual(NAMES.map(() => 'kept'));
  expect(gate.seen.filter((line) => !line.startsWith('GET'))).toEqual([]);
  expect(await standing()).toEqual(before);
});

test('a flag that a person raised, constrained, grouped or switched off is kept', async () => {
  const [dualWrite, shadowRead, readCutover, writeCutover] = NAMES as [string, string, string, string];
  await unleash.setStrategies(dualWrite, [{ name: 'default' }]);
  await unleash.switch(dualWrite, 'on');
  const constraint = { contextName: 'agent', operator: 'IN', values: ['ann'] };
  await unleash.setStrategies(readCutover, [gradual(25, { constraints: [constraint] }), gradual(5)]);
  await unleash.setStrategies(writeCutover, [gradual(10), { ...gradual(100), disabled: true }]);
  await unleash.switch(shadowRead, 'off');
  const before = await standing();
  const again = await pushed();
  expect(await standing()).toEqual(before);
  expect(again.map(({ result }) => result)).toEqual(NAMES.map(() => 'kept'));
  expect(again.slice(0, 3).map(({ asks }) => asks)).toEqual([100, 0, 25]);
  expect(again[3]).toMatchObject({ flag: writeCutover, asks: 10 });
  expect(again[2]?.note).toContain('its group is "tests"');
});

test('a switch that an older push made at 0 % is kept and named', async () => {
  const dualWrite = NAMES[0] ?? '';
  await unleash.setStrategies(dualWrite, [gradual(0)]);
  await unleash.switch(dualWrite, 'on');
  const before = await unleash.flag(dualWrite);
  const [first] = await pushed();
  expect(first).toMatchObject({
    result: 'kept',
    asks: 0,
    note: 'it is on at a share of 0 %, so switching it on has no effect: set its rollout to 100 % and use its switch',
  });
  expect(await unleash.flag(dualWrite)).toEqual(before);
});

test('a switch that is on requests 100 %', async () => {
  const dualWrite = NAMES[0] ?? '';
  await unleash.remove(dualWrite);
  await push();
  await unleash.switch(dualWrite, 'on');
  expect((await pushed())[0]).toMatchObject({ result: 'kept', asks: 100 });
});

test('a push that ended in its middle is completed by the next', async () => {
  const [first, second] = [NAMES[5] ?? '', NAMES[6] ?? ''];
  await unleash.remove(first);
  await unleash.remove(second);
  await unleash.create(first);
  const again = await pushed();
  expect(again[5]).toEqual({ flag: first, result: 'completed', asks: 0 });
  expect(again[6]).toEqual({ flag: second, result: 'created', asks: 0 });
  expect(await unleash.flag(first)).toMatchObject({
    enabled: false,
    strategies: [{ parameters: { rollout: '100' } }],
  });
  expect(await unleash.flag(second)).toMatchObject({
    enabled: true,
    strategies: [{ parameters: { rollout: '0' } }],
  });
});

test('two pushes at once make every flag once', async () => {
  for (const name of NAMES) await unleash.remove(name);
  const ends = await Promise.all([push(), push(), push()]);
  expect(ends.map(({ code }) => code)).toEqual([0, 0, 0]);
  for (const { name, strategies } of await standing()) {
    expect(strategies.length, name).toBeGreaterThanOrEqual(1);
    for (const { parameters } of strategies)
      expect(parameters?.['rollout'], name).toBe(SWITCH.test(name) ? '100' : '0');
  }
});

test('the name of an archived flag is an error with exit code 1; the others are made', async () => {
  const archived = NAMES[7] ?? '';
  await unleash.admin('DELETE', `projects/${PROJECT}/features/${archived}`);
  await unleash.remove(NAMES[8] ?? '');
  const { code, stdout } = await push();
  expect(code).toBe(1);
  expect(stdout).toMatch(
    /failed +crossfade\.contextual-memory\.read-cutover\n +.*archived flag with that name already exists/,
  );
  expect(stdout).toContain('1 created, 0 completed, 14 kept, 1 failed');
  await unleash.admin('DELETE', `archive/${archived}`);
  expect((await push()).code).toBe(0);
});

test.each([
  [
    'a wrong token',
    { UNLEASH_ADMIN_TOKEN: 'nonsense-secret' },
    'answered 401: the admin token is not accepted',
  ],
  ['a client token', { UNLEASH_ADMIN_TOKEN: CLIENT_TOKEN }, 'answered 403: the token may not change flags'],
  [
    'no token',
    { UNLEASH_ADMIN_TOKEN: '' },
    'no admin token: set rollout.unleash.adminToken or UNLEASH_ADMIN_TOKEN',
  ],
  [
    'no server',
    { UNLEASH_URL: '' },
    'no Unleash server is configured: set rollout.unleash.url or UNLEASH_URL',
  ],
  ['a server that is not there', { UNLEASH_URL: 'http://127.0.0.1:1/api' }, 'cannot be reached'],
])('%s is reported without the token', async (_, env, words) => {
  const { code, stderr, stdout } = await push([], env);
  expect(code).toBe(1);
  expect(stderr).toContain(words);
  expect(stderr + stdout).not.toMatch(/nonsense-secret|of-the-tests/);
});

test('a missing environment or project is reported for every flag', async () => {
  const noEnvironment = await push([], { UNLEASH_ENVIRONMENT: 'nowhere' });
  expect(noEnvironment.code).toBe(1);
  expect(noEnvironment.stdout).toContain(`the project "${PROJECT}" has no environment "nowhere"`);
  const noProject = await push([], { UNLEASH_PROJECT: 'nowhere' });
  expect(noProject.code).toBe(1);
  expect(noProject.stdout).toContain('16 failed');
});

test('a server that fails, hangs or answers nonsense is reported', { timeout: 90_000 }, async () => {
  gate.refuse({ status: 500, body: '{"message": "the database is away"}' });
  expect((await push()).stdout).toMatch(/answered 500: the database is away/);
  gate.refuse({ status: 200, body: '<html>log in</html>' });
  expect((await push()).stdout).toContain(' is not JSON');
  gate.refuse({ status: 200, body: '{"environments": 7}' });
  expect((await push()).stdout).toContain('Unleash returned a flag without environments');
  for (const fault of [() => gate.hang(), () => gate.stall()]) {
    fault();
    const { code, stderr } = await push();
    expect(code).toBe(1);
    expect(stderr).toContain('did not answer within 5000 ms');
  }
});
