import { afterAll, beforeAll, expect, test } from 'vitest';
import { resultOf, runCommand } from '../support/command.ts';
import { startDeployment, type Deployment } from '../support/deployment.ts';
import { eventually } from '../support/eventually.ts';
import { addInteraction, askOnce, createSession } from '../support/session-agent.ts';

const BY = ['--person', 'ann', '--reason', 'a test'];

interface Reconciled {
  readonly services: Readonly<Record<string, Readonly<Record<string, number>>>>;
}

let deployment: Deployment;

beforeAll(async () => {
  deployment = await startDeployment({ asked: { dualWrite: true, shadowRead: 0, readCutover: 0 } });
  const { endpoints } = deployment;
  await askOnce(endpoints['session-memory'], createSession('ada'));
  const said = { ...addInteraction('ada', 'one'), metadata: { tags: ['b', 'a', 'ä'] } };
  await askOnce(endpoints['session-memory'], said);
  for (const content of ['one', 'two'])
    await askOnce(endpoints['contextual-memory'], {
      action: 'add_interaction',
      session_id: 'ada',
      type: 'question',
      content,
    });
  for (const memory of ['one', { type: 'preference', name: 'two' }])
    await askOnce(endpoints['jarvis-memory'], { action: 'add_memory', user_id: 'ada', memory });
  await eventually('everything delivered', async () => {
    const { backlog, services } = await deployment.status();
    const isSeeded = services.every(({ lanes }) => lanes.total === 1 && lanes.seeded === 1);
    return isSeeded && backlog.deliveries === 0 && backlog.copies === 0;
  });
}, 120_000);

afterAll(() => deployment?.end());

async function reconcile(...args: readonly string[]) {
  const result = await runCommand([
    'reconcile',
    '--full',
    ...BY,
    ...args,
    '--json',
    '--url',
    deployment.httpUrl,
  ]);
  return { code: result.code, ...resultOf<Reconciled>(result) };
}

/** What was asked of the orchestrator since then, by operation. */
async function askedSince(instant: string): Promise<Readonly<Record<string, number>>> {
  const rows = await deployment.store<{ operation: string; count: number }>(
    `select operation, count(*)::int as count from memory_access_logs where timestamp > '${instant}' group by operation`,
  );
  return Object.fromEntries(rows.map(({ operation, count }) => [operation, count]));
}

test('agents’ writes are equal by digest including tags, and are read once by item', async () => {
  // The first run also gives the items the times that legacy has given them.
  expect((await reconcile()).code).toBe(0);
  const [now] = await deployment.store<{ at: string }>('select now()::text as at');
  const { code, services } = await reconcile();
  expect(code).toBe(0);
  for (const counts of Object.values(services)) expect(counts).toMatchObject({ lanes: 1, lanes_equal: 1 });
  // The log is written in batches and in its order: what came before the last digest is in it.
  const asked = await eventually('three digests in the log', async () => {
    const found = await askedSince(now?.at ?? '');
    return found['digest'] === 3 && found;
  });
  expect(asked['scan']).toBeUndefined();
});

test('an item that lost its tags is found, gets them back, and is equal again', async () => {
  const tags = async () =>
    deployment.store<{ tags: string }>(
      `select array_to_string(tags, ',') as tags from memory_entries where session_id = 'jarvis:ada' order by position`,
    );
  const before = await tags();
  await deployment.store(
    `update memory_entries set tags = '{}' where memory_id = (
       select memory_id from memory_entries where session_id = 'jarvis:ada' order by position limit 1)`,
  );
  const { code, services } = await reconcile();
  expect(code).toBe(2);
  expect(services['jarvis-memory']).toMatchObject({ lanes_different: 1, altered_on_orchestrator: 1 });
  expect((await reconcile('--repair', 'apply', '--limit-share', '1', ...BY)).services).toBeDefined();
  expect(await tags()).toEqual(before);
  expect((await reconcile()).code).toBe(0);
});
