import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Explanation } from '../../src/operator/api/explain.ts';
import { resultOf, runCommand } from '../support/command.ts';
import { startDeployment, type Deployment } from '../support/deployment.ts';
import { eventually } from '../support/eventually.ts';
import { everythingDelivered, readLegacy } from '../support/lane-view.ts';
import { addInteraction, askOnce, createSession } from '../support/session-agent.ts';

const SERVICE = 'session-memory';
/** The service keeps 100 owners. The canary needs room for one more. */
const OWNERS = 95;
const FIRST = 's-first';

let deployment: Deployment;

beforeAll(async () => {
  deployment = await startDeployment({ only: [SERVICE] });
  await deployment.ask({ dualWrite: true, shadowRead: 0, readCutover: 0 });
  await ask(createSession(FIRST));
  for (let at = 1; at < OWNERS; at += 1) await ask(createSession(`s-${at}`));
  await everythingDelivered(deployment);
  await deployment.ask({ dualWrite: true, shadowRead: 0, readCutover: 100, writeCutover: 100 });
  await eventually('a share', async () => (await shown()).share === 100);
});

afterAll(async () => {
  await deployment?.end();
});

async function ask(request: object): Promise<string> {
  return (await askOnce(deployment.endpoints[SERVICE], { ...request })).text;
}

interface Shown {
  readonly share: number;
  readonly facts: readonly { readonly fact: string; readonly reason?: string }[];
  readonly goes_first: { readonly lane: string; readonly person: string } | null;
}

async function shown(): Promise<Shown> {
  return (await (await fetch(`${deployment.httpUrl}/v1/services/${SERVICE}/flips`)).json()) as Shown;
}

const BY = ['--person', 'ann', '--reason', 'the service is full'];

const flips = (what: string, ...parts: readonly string[]) =>
  runCommand(['flips', what, ...parts, ...(what === 'show' ? [] : BY), '--url', deployment.httpUrl]);

async function flippedLanes(): Promise<readonly string[]> {
  const rows = await deployment.journal<{ key: string }>(
    `select key from lanes where primary_backend = 'orchestrator' order by key`,
  );
  return rows.map(({ key }) => key);
}

test('no lane of a full service moves, because nothing can prove the way back', async () => {
  await eventually('a proof as the only missing fact', async () => {
    const missing = (await shown()).facts.flatMap(({ reason }) => reason ?? []);
    return missing.length === 1 && missing[0] === 'never_proven';
  });
  await new Promise((resolve) => setTimeout(resolve, 2_000));
  expect(await flippedLanes()).toEqual([]);
});

test('a lane that is not eligible otherwise is refused with its reasons', async () => {
  expect((await flips('first', SERVICE, '--lane', 's-unknown')).stderr).toContain('no lane');
  await flips('hold', SERVICE);
  await eventually('a hold', async () =>
    (await shown()).facts.some(({ fact, reason }) => fact === 'not_held' && reason === 'held'),
  );
  const refused = await flips('first', SERVICE, '--lane', FIRST);
  expect(refused.stderr).toContain('not held: held');
  expect(refused.code).toBe(1);
  await flips('lift', SERVICE);
});

test('the named lane is flipped alone, and is listed with the person', async () => {
  await eventually('flips that are not held', async () => {
    const { code } = await flips('first', SERVICE, '--lane', FIRST);
    return code === 0;
  });
  await eventually('the first lane', async () => (await flippedLanes()).length > 0);
  await new Promise((resolve) => setTimeout(resolve, 3_000));
  expect(await flippedLanes()).toEqual([`${SERVICE}/${FIRST}`]);
  expect((await shown()).goes_first).toMatchObject({ lane: `${SERVICE}/${FIRST}`, person: 'ann' });
  const audited = await deployment.journal(`select command, person from audit where command = 'flips first'`);
  expect(audited).toEqual([{ command: 'flips first', person: 'ann' }]);
  const [flip] = await deployment.journal<{ facts: object }>('select facts from flips');
  expect(flip?.facts).toMatchObject({ first_by: 'ann' });
  const explained = await runCommand(['explain', SERVICE, FIRST, '--json', '--url', deployment.httpUrl]);
  expect(resultOf<Explanation>(explained).flips).toMatchObject({
    primary: 'orchestrator',
    goes_first: { person: 'ann', reason: 'the service is full' },
    history: [{ facts: { first_by: 'ann' } }],
  });
  expect((await flips('show', SERVICE)).stdout).toContain(`${FIRST} goes first, by ann`);
  expect((await flips('first', SERVICE, '--lane', 's-1')).stderr).toContain('flipped already');
});

test('its first write proves the way back, and the other lanes follow', async () => {
  expect(await ask(addInteraction(FIRST, 'one'))).toContain('success');
  await eventually('another flipped lane', async () => (await flippedLanes()).length > 1);
  expect(await readLegacy(deployment, FIRST)).toEqual(['user: one']);
});
