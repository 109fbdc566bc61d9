import { afterAll, beforeAll, expect, test } from 'vitest';
import { resultOf, runCommand } from '../support/command.ts';
import { startDeployment, type Deployment } from '../support/deployment.ts';
import { eventually } from '../support/eventually.ts';
import { everythingDelivered } from '../support/lane-view.ts';
import { askOnce } from '../support/session-agent.ts';

const BY = ['--person', 'ann', '--reason', 'a test'];
const USERS = ['added-to', 'cleared', 'untouched'];
const RIGHT = ['one', 'two', 'three'];
const WRONG = ['wrong', 'two', 'three'];

interface Undone {
  readonly undone: number;
  readonly left: readonly string[];
}

let deployment: Deployment;
let run: number;

beforeAll(async () => {
  deployment = await startDeployment({ asked: { dualWrite: true, shadowRead: 0, readCutover: 0 } });
  for (const user of USERS) for (const text of RIGHT) await add(user, text);
  await everythingDelivered(deployment);
  await crossfade('reconcile', ...BY);
});

afterAll(() => deployment?.end());

const crossfade = (...args: readonly string[]) =>
  runCommand([...args, '--json', '--url', deployment.httpUrl]);

const ask = (request: Readonly<Record<string, unknown>>) =>
  askOnce(deployment.endpoints['jarvis-memory'], request);

const add = (user: string, text: string) =>
  ask({ action: 'add_memory', user_id: user, memory: { content: text } });

const undo = async (): Promise<Undone> =>
  resultOf<Undone>(await crossfade('repair', 'undo', String(run), ...BY));

const stored = async (user: string): Promise<string[]> => {
  const rows = await deployment.store<{ text: string }>(
    `select content -> 'memory' ->> 'content' as text from memory_entries
     where session_id = 'jarvis:${user}' and is_active order by position`,
  );
  return rows.map(({ text }) => text);
};

const conditions = async (): Promise<Record<string, string>> => {
  const rows = await deployment.journal<{ owner: string; condition: string }>(
    'select owner, condition from lanes',
  );
  return Object.fromEntries(rows.map(({ owner, condition }) => [owner, condition]));
};

test('changes on the orchestrator are repaired, and agents continue', async () => {
  await deployment.store(
    `update memory_entries set content = jsonb_set(content, '{memory,content}', '"wrong"')
     where content -> 'memory' ->> 'content' = 'one'`,
  );
  const result = await crossfade('reconcile', '--repair', 'apply', '--limit-share', '1', ...BY);
  run = resultOf<{ repair: { run: number } }>(result).repair.run;
  for (const user of USERS) expect(await stored(user)).toEqual(RIGHT);
  await ask({ action: 'clear_memories', user_id: 'cleared' });
  await add('added-to', 'four');
  await everythingDelivered(deployment);
});

test('only a repair can be undone; other runs are refused with the reason', async () => {
  const reconciliation = run - 1;
  for (const [asked, said] of [
    [reconciliation, `run ${reconciliation} is not a repair`],
    [999_999, 'there is no run 999999'],
  ] as const) {
    const refused = await crossfade('repair', 'undo', String(asked), ...BY);
    expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining(said) as string });
  }
});

test('without the orchestrator nothing is undone, and no lane waits without end', async () => {
  await deployment.orchestratorPath.refuse();
  const { undone, left } = await undo();
  await deployment.orchestratorPath.pass();
  expect({ undone, left: left.length }).toEqual({ undone: 0, left: USERS.length });
  await eventually('every lane is equal again', async () =>
    Object.values(await conditions()).every((condition) => condition === 'clean'),
  );
});

test('an undo never restores what agents deleted since; other lanes are undone once', async () => {
  const both = await Promise.all([undo(), undo()]);
  expect(both.map(({ undone }) => undone).reduce((sum, one) => sum + one)).toBe(2);
  for (const { left } of both)
    expect(left).toContain(
      'jarvis-memory/cleared: agents have altered or deleted items of it since, so it is left unchanged',
    );
  expect(await stored('cleared')).toEqual([]);
  expect(await stored('untouched')).toEqual(WRONG);
  expect(await stored('added-to')).toEqual([...WRONG, 'four']);
  await eventually('the lane that was left is equal again', async () => {
    const { cleared } = await conditions();
    return cleared === 'clean';
  });
  expect(await conditions()).toMatchObject({ untouched: 'stopped', 'added-to': 'stopped' });
});

test('after an undo, each command names what keeps the lane stopped and what ends that', async () => {
  const plan = resultOf(await crossfade('repair', 'plan', String(run - 1)));
  expect(plan).toMatchObject({ lanes: [], untouched: { undone: 2, lost: 0 } });
  const again = await crossfade('repair', 'apply', String(run - 1), '--limit-share', '1', ...BY);
  expect(again).toMatchObject({ code: 1, stderr: expect.stringContaining('was undone') as string });
  const accepted = resultOf(await crossfade('repair', 'accept', 'jarvis-memory/untouched', ...BY));
  expect(accepted).toMatchObject({ accepted: true, stopped: 'repair_undone' });
  expect(await conditions()).toMatchObject({ untouched: 'stopped' });
  const copied = await crossfade('lanes', 'copy', 'jarvis-memory', 'added-to', ...BY);
  expect(copied).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('its repair was undone: compare and repair it again') as string,
  });
  const repairing = ['--owner', 'added-to', '--repair', 'apply', '--limit-share', '1'];
  expect(await crossfade('reconcile', ...repairing, ...BY)).toMatchObject({ code: 0 });
  expect(await stored('added-to')).toEqual([...RIGHT, 'four']);
  expect(await conditions()).toMatchObject({ 'added-to': 'clean', untouched: 'stopped' });
});
