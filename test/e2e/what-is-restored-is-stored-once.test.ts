import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { resultOf, runCommand } from '../support/command.ts';
import { startDeployment, type Deployment } from '../support/deployment.ts';
import { eventually } from '../support/eventually.ts';
import { everythingDelivered } from '../support/lane-view.ts';
import { addInteraction, askOnce, createSession } from '../support/session-agent.ts';

const BY = ['--person', 'ann', '--reason', 'a test'];
const SESSION = 's-1';

let deployment: Deployment;

beforeAll(async () => {
  deployment = await startDeployment({ asked: { dualWrite: true, shadowRead: 0, readCutover: 0 } });
  const endpoint = deployment.endpoints['session-memory'];
  await askOnce(endpoint, createSession(SESSION));
  for (const text of ['one', 'two', 'three']) await askOnce(endpoint, addInteraction(SESSION, text));
  await everythingDelivered(deployment);
  await crossfade('reconcile', ...BY);
  onLegacy((sqlite) => sqlite.exec("delete from interactions where content = 'two'"));
  await crossfade('reconcile', ...BY);
});

afterAll(() => deployment?.end());

const crossfade = (...args: readonly string[]) =>
  runCommand([...args, '--json', '--url', deployment.httpUrl]);

function onLegacy<Result>(work: (sqlite: DatabaseSync) => Result): Result {
  const sqlite = new DatabaseSync(join(deployment.legacyFolder, 'session_memory.db'));
  sqlite.exec('pragma busy_timeout = 5000');
  try {
    return work(sqlite);
  } finally {
    sqlite.close();
  }
}

const onLegacyNow = (): unknown[] =>
  onLegacy((sqlite) => sqlite.prepare('select content from interactions order by rowid').all()).map(
    (row) => row['content'],
  );

async function lost(): Promise<string | undefined> {
  const { items } = resultOf<{ items: { memory_id: string }[] }>(await crossfade('lost', 'list'));
  return items[0]?.memory_id;
}

test('a restore that the proxy did not see end is not stored twice', async () => {
  const item = (await lost()) ?? '';
  const restore = () => crossfade('lost', 'restore', `session-memory/${SESSION}`, item, ...BY);
  // Legacy has taken it a second before the proxy hears of it.
  deployment.legacyPath.delay(1_000);
  const restoring = restore();
  await eventually('legacy has it', () => onLegacyNow().length === 3);
  await deployment.crash();
  expect((await restoring).code).not.toBe(0);
  await deployment.legacyPath.refuse();
  await deployment.legacyPath.pass();
  deployment.legacyPath.delay(0);
  await eventually('the lane is settled', async () => {
    const unsettled = await deployment.journal("select from lanes where condition in ('dirty', 'copying')");
    return unsettled.length === 0;
  });
  // Nobody else decides about it for a minute.
  await deployment.journal("update lost_items set restoring_since = restoring_since - interval '1 minute'");
  expect(await restore()).toMatchObject({ code: 0 });
  expect(onLegacyNow()).toEqual(['one', 'three', 'two']);
  expect(await lost()).toBeUndefined();
  const held = await deployment.store<{ text: string }>(
    "select content ->> 'text' as text from memory_entries where is_active order by position",
  );
  expect(held.map(({ text }) => text)).toEqual(['one', 'three', 'two']);
});
