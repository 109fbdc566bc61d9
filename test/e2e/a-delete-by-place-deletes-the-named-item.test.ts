import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createAgent } from '../../src/sandbox/agent.ts';
import { startDeployment, type Deployment } from '../support/deployment.ts';
import { eventually } from '../support/eventually.ts';
import { freePorts } from '../support/ports.ts';
import { createReminders, type ReminderStandIn } from '../support/reminder-stand-in.ts';

const DEFINITION = fileURLToPath(new URL('../../config/examples/reminder-service.ts', import.meta.url));

let deployment: Deployment;
let legacy: ReminderStandIn;
let endpoint: string;
let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'crossfade-reminders-'));
  const jsonFile = join(folder, 'reminders.json');
  const [front = 0, back = 0] = await freePorts(2);
  endpoint = `tcp://127.0.0.1:${front}`;
  legacy = createReminders(back, jsonFile);
  await legacy.start();
  deployment = await startDeployment({
    asked: { dualWrite: true, shadowRead: 0, readCutover: 0 },
    services: {
      reminders: {
        definition: DEFINITION,
        port: front,
        legacy: { endpoint: `tcp://127.0.0.1:${back}`, jsonFile },
      },
    },
  });
});
afterAll(async () => {
  await deployment.end();
  await legacy.stop();
  rmSync(folder, { recursive: true });
});

/** Asks one after the other over one strict REQ socket. */
async function ask(...requests: readonly object[]): Promise<void> {
  const agent = createAgent({ endpoint });
  for (const request of requests) {
    const reply = await agent.call(JSON.stringify(request));
    expect(JSON.parse(reply.toString())).toEqual({ status: 'ok' });
  }
  agent.close();
}

const add = (user: string, reminder: unknown) => ({ action: 'add_reminder', user_id: user, reminder });
const remove = (user: string, index: number) => ({ action: 'delete_reminder', user_id: user, index });

async function held(user: string): Promise<readonly unknown[]> {
  const rows = await deployment.store<{ reminder: unknown }>(`
    select content->'reminder' as reminder from memory_entries
    where session_id = 'reminders:${user}' and is_active order by position, memory_id`);
  return rows.map(({ reminder }) => reminder);
}

async function isEqual(user: string): Promise<void> {
  const expected = JSON.stringify(legacy.of(user));
  await eventually('equal lists', async () => JSON.stringify(await held(user)) === expected);
}

async function delivered(user: string): Promise<unknown> {
  return eventually('a quiet lane', async () => {
    const [lane] = await deployment.journal<{ quiet: boolean }>(`
      select condition = 'clean' and seeded_coverage > 0 and delivered_sequence = sequence as quiet
      from lanes where key = 'reminders/${user}'`);
    return lane?.quiet;
  });
}

test('exactly the reminder at that place is deleted, even among equal ones', async () => {
  await ask(add('ann', 'tea'), add('ann', { at: 5 }), add('ann', 'tea'), add('ann', 'milk'));
  await delivered('ann');
  const ids = async () =>
    (
      await deployment.store<{ id: string }>(
        "select memory_id as id from memory_entries where session_id = 'reminders:ann' and is_active order by position",
      )
    ).map(({ id }) => id);
  const [, second, third, fourth] = await ids();
  await ask(remove('ann', 0));
  await isEqual('ann');
  expect(legacy.of('ann')).toEqual([{ at: 5 }, 'tea', 'milk']);
  expect(await ids()).toEqual([second, third, fourth]);
  expect((await deployment.serviceStatus('reminders')).named_writes).toMatchObject({ found: 1 });
});

test('consecutive writes work before any of them is delivered', async () => {
  await ask(
    ...Array.from({ length: 12 }, (_, index) => add('ben', `r${index % 3}`)),
    ...[3, 3, 0, 8, 1].map((index) => remove('ben', index)),
    add('ben', 'last'),
    remove('ben', 2),
  );
  expect(legacy.of('ben')).toHaveLength(7);
  await isEqual('ben');
  await delivered('ben');
  expect(await deployment.journal('select 1 from dead_letters')).toEqual([]);
});

test('the journal stores the named item, and not its place', async () => {
  await ask(add('cid', 'a secret'), remove('cid', 0));
  const rows = await deployment.journal<{ action: string; named: string | null }>(`
    select w.action, w.named from writes w join lanes l on l.id = w.lane_id
    where l.key = 'reminders/cid' order by w.sequence`);
  expect(rows.map(({ action, named }) => [action, named === null])).toEqual([
    ['add_reminder', true],
    ['delete_reminder', false],
  ]);
  expect(JSON.parse(rows[1]?.named ?? 'null')).toEqual([{ digest: expect.any(String), newer: 0 }]);
  expect(rows[1]?.named).not.toContain('secret');
  await isEqual('cid');
});

test('while the orchestrator is away no such write is lost', async () => {
  await ask(add('dan', 'a'), add('dan', 'b'), add('dan', 'c'));
  await delivered('dan');
  await deployment.orchestratorPath.refuse();
  await ask(remove('dan', 1), add('dan', 'd'), remove('dan', 0));
  expect(legacy.of('dan')).toEqual(['c', 'd']);
  await deployment.orchestratorPath.pass();
  await isEqual('dan');
});

test('the orchestrator lists what is left as legacy lists it', async () => {
  await ask(add('eve', 'a'), add('eve', { at: 5 }), add('eve', 'c'), remove('eve', 0));
  await deployment.ask({ dualWrite: true, shadowRead: 100, readCutover: 100 });
  const readsBy = async () => (await deployment.serviceStatus('reminders')).reads_by.orchestrator;
  const agent = createAgent({ endpoint });
  const list = JSON.stringify({ action: 'list_reminders', user_id: 'eve' });
  const reply = await eventually('a read that the orchestrator answers', async () => {
    const before = await readsBy();
    const answer = (await agent.call(list)).toString();
    return (await readsBy()) > before && answer;
  });
  agent.close();
  const { status, reminders } = JSON.parse(reply) as { status: string; reminders: { reminder: unknown }[] };
  expect(status).toBe('ok');
  expect(reminders.map(({ reminder }) => reminder)).toEqual(legacy.of('eve'));
  const { comparisons } = await deployment.serviceStatus('reminders');
  expect(comparisons.mismatch).toBe(0);
});
