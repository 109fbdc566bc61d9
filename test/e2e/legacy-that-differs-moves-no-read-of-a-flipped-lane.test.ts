import { afterAll, beforeAll, expect, test } from 'vitest';
import { createAgent } from '../../src/sandbox/agent.ts';
import { resultOf, runCommand } from '../support/command.ts';
import { startDeployment, type Deployment } from '../support/deployment.ts';
import { eventually } from '../support/eventually.ts';
import { everythingDelivered } from '../support/lane-view.ts';

const SERVICE = 'jarvis-memory';
const BY = ['--person', 'ann', '--reason', 'a test'];
const [FLIPPED, OTHER] = ['ann', 'bob'];

let deployment: Deployment;
let run = 0;

beforeAll(async () => {
  deployment = await startDeployment({ only: [SERVICE] });
  await deployment.ask({ dualWrite: true, shadowRead: 0, readCutover: 100 });
  for (const user of [FLIPPED, OTHER])
    await ask(deployment.endpoints[SERVICE], { action: 'add_memory', user_id: user, memory: 'tea' });
  await everythingDelivered(deployment);
  await deployment.journal(
    `insert into flip_shares (service, number, percentage, version) values ('${SERVICE}', 1, 100, '')`,
  );
  await deployment.journal(
    `update lanes set primary_backend = 'orchestrator', epoch = epoch + 1 where key = '${SERVICE}/${FLIPPED}'`,
  );
  await deployment.restart();
  // A writer that does not go through the proxy.
  await ask(deployment.direct[SERVICE], { action: 'add_memory', user_id: FLIPPED, memory: 'coffee' });
  const reconciled = await crossfade('reconcile', '--full', '--service', SERVICE, ...BY);
  expect(reconciled.code).toBe(2);
  const result = resultOf<{ run: number; services: Readonly<Record<string, object>> }>(reconciled);
  expect(result.services[SERVICE]).toMatchObject({ lanes: 1, lanes_equal: 1, flipped_lanes_different: 1 });
  run = result.run;
}, 180_000);

afterAll(() => deployment?.end());

const crossfade = (...args: readonly string[]) =>
  runCommand([...args, '--json', '--url', deployment.httpUrl]);

async function ask(endpoint: string, request: object): Promise<string> {
  const agent = createAgent({ endpoint, receiveTimeoutMs: 20_000 });
  const reply = (await agent.call(JSON.stringify(request))).toString();
  agent.close();
  return reply;
}

interface Status {
  readonly lanes: Readonly<Record<'flipped' | 'differs' | 'legacy_differs', number>>;
  readonly guard: {
    readonly held_by: string | null;
    readonly findings: readonly { readonly trigger: string; readonly steps: readonly string[] }[];
  };
}

const status = (): Promise<Status> => deployment.serviceStatus<Status>(SERVICE);

test('the difference alerts and holds further flips, and nothing else', async () => {
  await eventually('the finding of the guard', async () => (await status()).guard.findings.length > 0);
  expect(await status()).toMatchObject({
    lanes: { flipped: 1, differs: 0, legacy_differs: 1 },
    guard: { held_by: null, findings: [{ trigger: 'legacy_differs', steps: ['alert', 'hold_flips'] }] },
  });
});

test('reads of both lanes stay on the orchestrator', async () => {
  const before = (await deployment.serviceStatus(SERVICE)).reads_by.orchestrator;
  for (const user of [FLIPPED, OTHER]) {
    const reply = await ask(deployment.endpoints[SERVICE], { action: 'get_memories', user_id: user });
    expect(reply).toContain('tea');
    expect(reply).not.toContain('coffee');
  }
  expect((await deployment.serviceStatus(SERVICE)).reads_by.orchestrator).toBe(before + 2);
});

test('nothing is copied over the orchestrator', async () => {
  expect(resultOf(await crossfade('repair', 'plan', String(run)))).toMatchObject({
    lanes: [],
    untouched: { flipped: 1 },
  });
  const applied = await crossfade('repair', 'apply', String(run), ...BY);
  expect([applied.code, applied.stderr]).toEqual([1, expect.stringContaining('no repair changes a primary')]);
  const copied = await crossfade('lanes', 'copy', SERVICE, FLIPPED, ...BY);
  expect([copied.code, copied.stderr]).toEqual([
    1,
    expect.stringContaining('nothing is copied over a primary'),
  ]);
});

test('an accepted difference no longer holds flips', async () => {
  expect((await crossfade('repair', 'accept', `${SERVICE}/${FLIPPED}`, ...BY)).code).toBe(0);
  await eventually('no finding', async () => (await status()).guard.findings.length === 0);
  expect((await status()).lanes.legacy_differs).toBe(0);
});
