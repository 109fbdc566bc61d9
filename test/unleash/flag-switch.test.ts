import { afterAll, beforeAll, expect, test } from 'vitest';
import { flagName } from '../../src/domain/flags.ts';
import { serviceName } from '../../src/domain/ids.ts';
import { blueprintsOf } from '../../src/rollout/flag-blueprint.ts';
import { createFlagSwitch, UnleashAdmin } from '../../src/rollout/unleash-admin.ts';
import { pushFlags } from '../../src/rollout/push-flags.ts';
import { ADMIN_TOKEN, ENVIRONMENT, gradual, PROJECT, TestUnleash } from './unleash.ts';

const SERVICE = serviceName('session-memory');
const READ = flagName(SERVICE, 'read-cutover');

const isDue = async () => true;

let unleash: TestUnleash;

beforeAll(async () => {
  unleash = await TestUnleash.create();
  await unleash.start();
  await pushFlags(new UnleashAdmin(adminOf(PROJECT)), blueprintsOf([SERVICE]), { isDryRun: false });
});

afterAll(() => unleash?.end());

const adminOf = (project: string) => ({
  url: `${unleash.url}/admin`,
  token: ADMIN_TOKEN,
  project,
  environment: ENVIRONMENT,
});

test('a project without the flag is an error that names flag, project and setting', async () => {
  await unleash.setStrategies(READ, [gradual(100)]);
  await unleash.switch(READ, 'on');
  const off = createFlagSwitch(adminOf('another-project')).off(SERVICE, isDue);
  await expect(off).rejects.toThrow(
    `no flag "${READ}" in the project "another-project" (rollout.unleash.project)`,
  );
  const stranger = createFlagSwitch(adminOf(PROJECT)).off(serviceName('jarvis-memory'), isDue);
  await expect(stranger).rejects.toThrow(
    `no flag "${flagName(serviceName('jarvis-memory'), 'read-cutover')}" in the project "${PROJECT}" (rollout.unleash.project)`,
  );
});

test('a flag that requests nothing is kept, and one that requests anything is off', async () => {
  expect(await createFlagSwitch(adminOf(PROJECT)).off(SERVICE, isDue)).toEqual([READ]);
  expect(await createFlagSwitch(adminOf(PROJECT)).off(SERVICE, isDue)).toEqual([]);
});

test('a flag that is no longer due stays on', async () => {
  await unleash.switch(READ, 'on');
  expect(await createFlagSwitch(adminOf(PROJECT)).off(SERVICE, async () => false)).toEqual([]);
  expect((await unleash.flag(READ)).enabled).toBe(true);
});
