import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { serviceName } from '../../../src/domain/ids.ts';
import type { FlagSource } from '../../../src/rollout/flag-source.ts';
import { createOfflineFlags } from '../../../src/rollout/offline.ts';
import { median } from '../../support/latency.ts';
import { contextOf, cutover, definitions, feature, SERVICE, until } from './flag-builder.ts';

const OWNERS = Array.from({ length: 4_000 }, (_, index) => `s-${index}`);

let folder: string;
let running: FlagSource[];
let problems: string[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'crossfade-flags-'));
  running = [];
  problems = [];
});

afterEach(async () => {
  for (const flags of running) await flags.stop();
  rmSync(folder, { recursive: true, force: true });
});

function write(text: string, name = 'crossfade.json'): void {
  writeFileSync(join(folder, name), text);
}

function replace(text: string): void {
  write(text, 'crossfade.json.new');
  renameSync(join(folder, 'crossfade.json.new'), join(folder, 'crossfade.json'));
}

async function start(from = folder): Promise<FlagSource> {
  const flags = createOfflineFlags({ folder: from, onProblem: (message) => problems.push(message) });
  running.push(flags);
  await flags.start();
  return flags;
}

function lanesIn(flags: FlagSource, flag: 'read-cutover' | 'write-cutover'): string[] {
  return OWNERS.filter((owner) => flags.isEnabled(flag, contextOf(owner)).enabled);
}

test('25 % selects 25 % of the lanes, which stay selected at higher shares', async () => {
  write(definitions([feature('read-cutover', { strategies: [cutover(25)] })]));
  const flags = await start();
  const quarter = lanesIn(flags, 'read-cutover');
  expect(quarter.length / OWNERS.length).toBeGreaterThan(0.22);
  expect(quarter.length / OWNERS.length).toBeLessThan(0.28);
  expect(flags.percentage('read-cutover', SERVICE)).toBe(25);

  replace(definitions([feature('read-cutover', { strategies: [cutover(50)] })]));
  await until(() => flags.percentage('read-cutover', SERVICE) === 50);
  const half = new Set(lanesIn(flags, 'read-cutover'));
  expect(half.size).toBeGreaterThan(quarter.length);
  expect(quarter.filter((owner) => !half.has(owner))).toEqual([]);
});

test('the lanes whose writes move are those whose reads moved', async () => {
  write(
    definitions(
      ['read-cutover', 'write-cutover'].map((flag) => feature(flag, { strategies: [cutover(30)] })),
    ),
  );
  const flags = await start();
  expect(lanesIn(flags, 'write-cutover')).toEqual(lanesIn(flags, 'read-cutover'));
});

test('a random 50 % of the reads are shadowed, in any lane', async () => {
  const strategy = {
    name: 'flexibleRollout',
    parameters: { rollout: '50', stickiness: 'random', groupId: 'shadow' },
  };
  write(definitions([feature('shadow-read', { strategies: [strategy] })]));
  const flags = await start();
  const asked = OWNERS.filter(() => flags.isEnabled('shadow-read', contextOf('s-1')).enabled).length;
  expect(asked / OWNERS.length).toBeGreaterThan(0.45);
  expect(asked / OWNERS.length).toBeLessThan(0.55);
});

test('a changed file takes effect within 1 s, and listeners are called', async () => {
  write(definitions([feature('dual-write', { enabled: false })]));
  const flags = await start();
  const versions: number[] = [];
  flags.onChange(() => versions.push(flags.version()));
  const before = flags.version();

  const tookMs: number[] = [];
  for (const enabled of [true, false, true, false, true]) {
    (enabled ? write : replace)(definitions([feature('dual-write', { enabled })]));
    tookMs.push(await until(() => flags.isEnabled('dual-write', { service: SERVICE }).enabled === enabled));
  }
  // One of them may meet a moment in which the machine is busy.
  expect(median(tookMs)).toBeLessThan(1_000);
  expect(versions).toEqual(tookMs.map((_, index) => before + 1 + index));
});

test('a second file adds its flags, and removes them when it is deleted', async () => {
  write(definitions([feature('dual-write')]));
  const flags = await start();
  const ask = () => flags.isEnabled('legacy-read-only', { service: SERVICE });
  expect(ask()).toEqual({ enabled: false, reason: 'unknown_flag' });
  write(definitions([feature('legacy-read-only')]), 'more.json');
  await until(() => ask().enabled);
  rmSync(join(folder, 'more.json'));
  await until(() => ask().reason === 'unknown_flag');
});

test('touching a file changes no version', async () => {
  const text = definitions([feature('dual-write')]);
  write(text);
  const flags = await start();
  const before = flags.version();
  replace(text);
  await new Promise((resolve) => setTimeout(resolve, 800));
  expect(flags.version()).toBe(before);
});

test.each([
  ['half a file', '{"version": 2, "featu', /crossfade\.json: .*JSON/],
  ['another format', '{"version": 1, "features": []}', /version must be 2/],
  ['no list', '{"version": 2, "features": {}}', /features must be a list/],
  [
    'a wrong flag',
    definitions([{ name: 'x', enabled: 'yes' }]),
    /x: enabled must be true or false, got "yes"/,
  ],
  [
    'a wrong constraint',
    definitions([feature('dual-write', { strategies: [{ name: 'default', constraints: [{ values: 1 }] }] })]),
    /constraints\[0\]\.values must be a list/,
  ],
])('%s keeps the values and is reported once', async (_, text, message) => {
  write(definitions([feature('dual-write')]));
  const flags = await start();
  expect(flags.describe()).toMatchObject({ source: `files in ${folder}`, fresh: true });
  write(text);
  await until(() => !flags.describe().fresh);
  await new Promise((resolve) => setTimeout(resolve, 700));
  expect(flags.describe().lastError).toMatch(message);
  expect(problems).toHaveLength(1);
  expect(flags.isEnabled('dual-write', { service: SERVICE })).toEqual({ enabled: true, reason: 'on' });

  write(definitions([feature('dual-write', { enabled: false })]));
  await until(() => flags.describe().fresh);
  expect(flags.isEnabled('dual-write', { service: SERVICE }).reason).toBe('off');
});

test('a start without usable flags is refused with the reason', async () => {
  await expect(start()).rejects.toThrow(/no \*\.json in/);
  await expect(start(join(folder, 'absent'))).rejects.toThrow(/ENOENT/);
  write('{');
  await expect(start()).rejects.toThrow(/crossfade\.json: .*JSON/);
});

test('a file that is moved away and written again never counts as missing', async () => {
  write(definitions([feature('dual-write')]));
  write(definitions([]), 'other.json');
  const flags = await start();
  let isSeenOff = false;
  flags.onChange(() => (isSeenOff ||= !flags.isEnabled('dual-write', { service: SERVICE }).enabled));
  for (let goneMs = Infinity; goneMs > 200;) {
    isSeenOff = false;
    const startedAt = performance.now();
    renameSync(join(folder, 'crossfade.json'), join(folder, 'crossfade.json~'));
    await new Promise((resolve) => setTimeout(resolve, 100));
    write(definitions([feature('dual-write'), feature('shadow-read')]));
    // After 250 ms it is gone: on a busy machine the wait itself may have been as long.
    goneMs = performance.now() - startedAt;
  }
  await until(() => flags.isEnabled('shadow-read', contextOf('a')).enabled);
  expect(isSeenOff).toBe(false);
});

test('an emptied folder keeps the values', async () => {
  write(definitions([feature('dual-write')]));
  const flags = await start();
  rmSync(join(folder, 'crossfade.json'));
  await until(() => !flags.describe().fresh);
  await new Promise((resolve) => setTimeout(resolve, 700));
  expect(flags.isEnabled('dual-write', { service: SERVICE }).enabled).toBe(true);
});

test('a deleted folder keeps the values', async () => {
  write(definitions([feature('dual-write')]));
  const flags = await start();
  rmSync(folder, { recursive: true });
  await until(() => !flags.describe().fresh);
  expect(flags.isEnabled('dual-write', { service: SERVICE }).enabled).toBe(true);
});

test('constraints on service, action, lane, agent and owner hold', async () => {
  const only = (contextName: string, value: string) => ({
    name: 'default',
    parameters: {},
    constraints: [{ contextName, operator: 'IN', values: [value] }],
  });
  const cases = [
    ['service', SERVICE, contextOf('a')],
    ['action', 'get_context', contextOf('a', { action: 'get_context' })],
    ['agent', '127.0.0.1', contextOf('a', { agent: '127.0.0.1' })],
    ['lane', `${SERVICE}/a`, contextOf('a')],
    ['userId', 'a', contextOf('a')],
    ['sessionId', `${SERVICE}/a`, contextOf('a')],
  ] as const;
  write(definitions([feature('dual-write')]));
  const flags = await start();
  for (const [field, value, context] of cases) {
    const before = flags.version();
    replace(definitions([feature('read-cutover', { strategies: [only(field, value)] })]));
    await until(() => flags.version() > before);
    expect([field, flags.isEnabled('read-cutover', context).enabled]).toEqual([field, true]);
    const other = { ...contextOf('b'), service: serviceName('session-memory'), action: 'x', agent: 'y' };
    expect([field, flags.isEnabled('read-cutover', other).enabled]).toEqual([field, field === 'service']);
  }
});

test('segments hold, and an unknown segment is off', async () => {
  const segments = [
    { id: 7, constraints: [{ contextName: 'userId', operator: 'STR_STARTS_WITH', values: ['vip-'] }] },
  ];
  const strategy = (id: number) => ({ name: 'default', parameters: {}, segments: [id] });
  write(
    definitions(
      [
        feature('read-cutover', { strategies: [strategy(7)] }),
        feature('write-cutover', { strategies: [strategy(8)] }),
      ],
      segments,
    ),
  );
  const flags = await start();
  expect(flags.isEnabled('read-cutover', contextOf('vip-1')).enabled).toBe(true);
  expect(flags.isEnabled('read-cutover', contextOf('s-1')).enabled).toBe(false);
  expect(flags.isEnabled('write-cutover', contextOf('vip-1')).enabled).toBe(false);
});

test('a flag of a whole service does not flicker under a gradual rollout', async () => {
  const strategies = [{ name: 'flexibleRollout', parameters: { rollout: '50', stickiness: 'default' } }];
  const byLane = [
    {
      name: 'default',
      constraints: [{ contextName: 'lane', operator: 'IN', values: [`${SERVICE}/a`] }],
    },
  ];
  write(
    definitions([feature('dual-write', { strategies }), feature('legacy-read-only', { strategies: byLane })]),
  );
  const flags = await start();
  const answers = new Set(OWNERS.map((owner) => flags.isEnabled('dual-write', contextOf(owner)).enabled));
  expect(answers.size).toBe(1);
  expect(flags.isEnabled('legacy-read-only', contextOf('a')).enabled).toBe(false);
});

test.each([
  ['disabled', { enabled: false }, 0],
  ['without strategies', { strategies: [] }, 100],
  ['default', {}, 100],
  ['flexibleRollout', { strategies: [cutover(35)] }, 35],
  ['several', { strategies: [cutover(35), cutover(60), cutover(5)] }, 60],
  [
    'gradualRolloutUserId',
    { strategies: [{ name: 'gradualRolloutUserId', parameters: { percentage: 12 } }] },
    12,
  ],
  ['a list of users', { strategies: [{ name: 'userWithId', parameters: { userIds: 'a,b' } }] }, 1],
])('the share of a flag that is %s', async (_, facts, share) => {
  write(definitions([feature('read-cutover', facts)]));
  expect((await start()).percentage('read-cutover', SERVICE)).toBe(share);
});

test('the kill switch is off until it is on', async () => {
  write(definitions([feature('dual-write')]));
  const flags = await start();
  expect(flags.killSwitch()).toBe(false);
  replace(
    definitions([
      { name: 'crossfade.kill-switch', enabled: true, strategies: [{ name: 'default', parameters: {} }] },
    ]),
  );
  await until(() => flags.killSwitch());
});

test('a flag that the SDK cannot evaluate is off, with the reason', async () => {
  const strategies = [{ name: 'default', parameters: {}, variants: [{ name: null, weight: {} }, null] }];
  write(definitions([feature('read-cutover', { strategies }), feature('shadow-read')]));
  const flags = await start();
  expect(() => flags.isEnabled('read-cutover', contextOf('a'))).not.toThrow();
  expect(flags.isEnabled('shadow-read', contextOf('a')).enabled).toBe(true);
});
