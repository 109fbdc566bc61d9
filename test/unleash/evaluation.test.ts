import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { flagName, type ServiceFlag } from '../../src/domain/flags.ts';
import { laneKeyOf, type Owner } from '../../src/domain/ids.ts';
import type { FlagContext } from '../../src/engine/ports/ports.ts';
import type { FlagSource } from '../../src/rollout/flag-source.ts';
import { createUnleashFlags } from '../../src/rollout/unleash.ts';
import { RequestCounts } from '../../src/rollout/unleash-poll.ts';
import { eventually } from '../support/eventually.ts';
import { quantile } from '../support/latency.ts';
import { contextOf, SERVICE, until } from '../integration/rollout/flag-builder.ts';
import { startGate, type Gate } from './gate.ts';
import { printMeasured } from './print-measured.ts';
import { CLIENT_TOKEN, gradual, TestUnleash, type TestStrategy } from './unleash.ts';

const REFRESH_MS = 1_000;
const IN_EFFECT_WITHIN_MS = REFRESH_MS + 1_500;
const CHANGES = 10;
const LANES = 4_000;
const READ = flagName(SERVICE, 'read-cutover');
const WRITE = flagName(SERVICE, 'write-cutover');
const DUAL_WRITE = flagName(SERVICE, 'dual-write');

let unleash: TestUnleash;
let gate: Gate;
let flags: FlagSource;
let requests: RequestCounts;

beforeAll(async () => {
  unleash = await TestUnleash.create();
  gate = await startGate(unleash.port);
  requests = new RequestCounts();
  flags = createUnleashFlags({
    url: gate.url,
    apiToken: CLIENT_TOKEN,
    appName: 'crossfade-tests',
    refreshIntervalMs: REFRESH_MS,
    onAnswer: requests.add,
  });
  // Its server is not there yet.
  await flags.start();
});

afterAll(async () => {
  await flags?.stop();
  await gate?.stop();
  await unleash?.end();
});

beforeEach(() => gate.pass());

const isOn = (flag: ServiceFlag, owner: string, more: Partial<FlagContext> = {}): boolean =>
  flags.isEnabled(flag, contextOf(owner, more)).enabled;

const answers = (): number =>
  requests.list().reduce((sum, { api, total }) => (api === 'client' ? sum + total : sum), 0);

/** What of a flag differs from one test to the next. */
const digestOf = (strategies: readonly TestStrategy[]): string =>
  strategies
    .map(({ parameters, constraints = [], segments = [] }) => {
      const values = constraints.map((constraint) => (constraint as { values: readonly string[] }).values);
      return JSON.stringify([parameters?.['rollout'], values, segments]);
    })
    .toSorted()
    .join();

/** Whether Unleash tells its clients that the flag is on by these strategies. */
async function isTold(name: string, strategies: readonly TestStrategy[]): Promise<boolean> {
  // As the proxy asks: with segments by their numbers.
  const headers = { authorization: CLIENT_TOKEN, 'unleash-client-spec': '5.2.0' };
  const { features } = (await (await fetch(`${unleash.url}/client/features`, { headers })).json()) as {
    features: { name: string; enabled: boolean; strategies: TestStrategy[] }[];
  };
  const flag = features.find((one) => one.name === name);
  return flag?.enabled === true && digestOf(flag.strategies) === digestOf(strategies);
}

async function ask(name: string, strategies: readonly TestStrategy[]): Promise<void> {
  await unleash.setStrategies(name, strategies);
  // Unleash switches a flag off whose last strategy goes.
  await unleash.switch(name, 'on');
  // A change of several steps may arrive in several steps.
  await eventually('Unleash tells the whole change', () => isTold(name, strategies));
  const before = answers();
  // The first of them may have been asked for before that.
  await until(() => answers() >= before + 2);
}

const lanes = Array.from({ length: LANES }, (_, index) => `user-${index}`);
const moved = (flag: ServiceFlag): ReadonlySet<string> => new Set(lanes.filter((owner) => isOn(flag, owner)));

test('a server that comes up later is found, and until then every flag is unknown', async () => {
  expect(flags.describe().fresh).toBe(false);
  expect(flags.describe().lastError).toContain('cannot be reached');
  expect(flags.isEnabled('dual-write', { service: SERVICE }).reason).toBe('unknown_flag');
  await unleash.start();
  for (const name of [DUAL_WRITE, READ, WRITE]) {
    await unleash.create(name);
    await unleash.setStrategies(name, [gradual(0)]);
    await unleash.switch(name, 'on');
  }
  await until(() => flags.describe().fresh && flags.version() > 0);
  await until(() => flags.isEnabled('read-cutover', contextOf('ann')).reason === 'off');
  expect(requests.list().map(({ api, result }) => `${api} ${result}`)).toContain('client unreachable');
});

test(`a change is active within the refresh interval and 1.5 s: ${CHANGES} times`, async () => {
  const tookMs: number[] = [];
  for (let change = 0; change < CHANGES; change += 1) {
    const isNowOn = change % 2 === 0;
    // At any moment of the server's and the proxy's intervals.
    await sleep((change * 137) % REFRESH_MS);
    const [strategy] = (await unleash.flag(DUAL_WRITE)).strategies;
    const path = `projects/default/features/${DUAL_WRITE}/environments/development/strategies/${strategy?.id ?? ''}`;
    const asked = gradual(isNowOn ? 100 : 0);
    await unleash.admin('PUT', path, { ...asked, constraints: [], segments: [] });
    tookMs.push(await until(() => isOn('dual-write', 'ann') === isNowOn));
  }
  printMeasured('from a change in Unleash to its effect', tookMs, IN_EFFECT_WITHIN_MS);
  // One or two of them may meet a moment in which the machine is busy.
  expect(quantile(tookMs, 0.7)).toBeLessThanOrEqual(IN_EFFECT_WITHIN_MS);
});

test('a gradual rollout moves its share of lanes, and their writes after their reads', async () => {
  const shares = [10, 25, 50] as const;
  let before: ReadonlySet<string> = new Set();
  for (const share of shares) {
    await ask(READ, [gradual(share)]);
    expect(flags.percentage('read-cutover', SERVICE)).toBe(share);
    const now = moved('read-cutover');
    // Four standard deviations.
    expect(Math.abs(now.size / LANES - share / 100)).toBeLessThan(4 * Math.sqrt(0.25 / LANES));
    for (const lane of before) expect(now.has(lane)).toBe(true);
    before = now;
  }
  await ask(WRITE, [gradual(25)]);
  const writes = moved('write-cutover');
  expect(writes.size).toBeGreaterThan(0);
  for (const lane of writes) expect(before.has(lane)).toBe(true);
  // The same lane gets the same answer every time.
  expect(moved('read-cutover')).toEqual(before);
});

test('constraints use service, action, lane, agent, owner, also in a gradual rollout', async () => {
  const only = (contextName: string, ...values: string[]): TestStrategy =>
    gradual(100, { constraints: [{ contextName, operator: 'IN', values }] });
  await ask(READ, [only('userId', 'ann'), only('action', 'search'), only('agent', 'canary')]);
  expect(isOn('read-cutover', 'ann')).toBe(true);
  expect(isOn('read-cutover', 'bob')).toBe(false);
  expect(isOn('read-cutover', 'bob', { action: 'search' })).toBe(true);
  expect(isOn('read-cutover', 'bob', { agent: 'canary' })).toBe(true);
  await ask(READ, [only('lane', laneKeyOf(SERVICE, 'cid' as Owner)), only('service', 'another')]);
  expect(isOn('read-cutover', 'cid')).toBe(true);
  expect(isOn('read-cutover', 'ann')).toBe(false);
  // Facts that are narrower than what is asked are not shown to a flag: writes of a lane do not differ by action.
  await ask(WRITE, [only('action', 'search')]);
  expect(isOn('write-cutover', 'ann', { action: 'search' })).toBe(false);
  await ask(DUAL_WRITE, [only('userId', 'ann')]);
  expect(isOn('dual-write', 'ann')).toBe(false);
  const inverted = {
    contextName: 'userId',
    operator: 'STR_STARTS_WITH',
    values: ['internal-'],
    inverted: true,
  };
  await ask(READ, [gradual(50, { constraints: [inverted] })]);
  const half = moved('read-cutover').size / LANES;
  expect(half).toBeGreaterThan(0.4);
  expect(half).toBeLessThan(0.6);
  expect(lanes.some((owner) => isOn('read-cutover', `internal-${owner}`))).toBe(false);
});

test('segments narrow a flag, and follow their own changes', async () => {
  const members = { contextName: 'userId', operator: 'IN', values: ['ann', 'bob'] };
  const segment = await unleash.createSegment('first-users', [members]);
  await ask(READ, [gradual(100, { segments: [segment] })]);
  expect(['ann', 'bob', 'cid'].map((owner) => isOn('read-cutover', owner))).toEqual([true, true, false]);
  const changed = { ...members, values: ['cid'] };
  await unleash.admin('PUT', `segments/${segment}`, { name: 'first-users', constraints: [changed] });
  await until(() => isOn('read-cutover', 'cid'));
  expect(isOn('read-cutover', 'ann')).toBe(false);
});

test('a flag that is switched off is off for all agents, whatever its strategies', async () => {
  await ask(READ, [gradual(100)]);
  expect(moved('read-cutover').size).toBe(LANES);
  await unleash.switch(READ, 'off');
  await until(() => !isOn('read-cutover', 'ann'));
  expect(flags.percentage('read-cutover', SERVICE)).toBe(0);
  await unleash.switch(READ, 'on');
  await until(() => isOn('read-cutover', 'ann'));
});

const FAULTS: readonly (readonly [string, () => void, string, string])[] = [
  ['401', () => gate.refuse({ status: 401, body: '{}' }), 'unauthorized', 'the API token is not accepted'],
  [
    '403',
    () => gate.refuse({ status: 403, body: '{}' }),
    'forbidden',
    'the API token may not read these flags',
  ],
  ['500', () => gate.refuse({ status: 500, body: 'oops' }), 'server_error', 'answered 500'],
  ['503', () => gate.refuse({ status: 503, body: '' }), 'server_error', 'answered 503'],
  ['nonsense', () => gate.refuse({ status: 200, body: '<html>' }), 'malformed', 'not in Unleash'],
  ['no flags', () => gate.refuse({ status: 200, body: '{"version": 2}' }), 'malformed', 'not in Unleash'],
  ['silence', () => gate.hang(), 'timeout', 'did not answer within 5000 ms'],
  ['half an answer', () => gate.stall(), 'timeout', 'did not answer within 5000 ms'],
];

test.each(FAULTS)(
  '%s: the known values stay active, this is reported, and updates resume',
  async (_, begin, result, words) => {
    expect(isOn('read-cutover', 'ann')).toBe(true);
    const count = () =>
      requests.list().find((one) => one.api === 'client' && one.result === result)?.total ?? 0;
    const before = count();
    begin();
    await until(() => !flags.describe().fresh);
    expect(flags.describe().lastError).toContain(words);
    expect(count()).toBeGreaterThan(before);
    // A change that cannot arrive.
    await unleash.switch(READ, 'off');
    await sleep(2 * REFRESH_MS);
    expect(isOn('read-cutover', 'ann')).toBe(true);
    expect(flags.describe().ageMs).toBeGreaterThan(REFRESH_MS);
    gate.pass();
    await until(() => !isOn('read-cutover', 'ann') && flags.describe().fresh);
    await unleash.switch(READ, 'on');
    await until(() => isOn('read-cutover', 'ann'));
  },
);

test('a server that is killed and comes back is followed again', async () => {
  await unleash.kill();
  await until(() => !flags.describe().fresh);
  expect(isOn('read-cutover', 'ann')).toBe(true);
  await unleash.start();
  await until(() => flags.describe().fresh);
  await unleash.switch(READ, 'off');
  await until(() => !isOn('read-cutover', 'ann'));
});
