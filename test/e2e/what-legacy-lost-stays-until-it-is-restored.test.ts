import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { resultOf, runCommand } from '../support/command.ts';
import { startDeployment, type Deployment } from '../support/deployment.ts';
import { eventually } from '../support/eventually.ts';
import { everythingDelivered } from '../support/lane-view.ts';
import { addInteraction, askOnce, createSession } from '../support/session-agent.ts';

const BY = ['--person', 'ann', '--reason', 'a test'];
const SESSION = 's-1';

interface Lost {
  readonly items: readonly { readonly memory_id: string }[];
}

let deployment: Deployment;

beforeAll(async () => {
  deployment = await startDeployment({ asked: { dualWrite: true, shadowRead: 0, readCutover: 0 } });
  const endpoint = deployment.endpoints['session-memory'];
  await askOnce(endpoint, createSession(SESSION));
  for (const text of ['one', 'two', 'three']) await askOnce(endpoint, addInteraction(SESSION, text));
  await everythingDelivered(deployment);
  await crossfade('reconcile', ...BY);
  const sqlite = new DatabaseSync(join(deployment.legacyFolder, 'session_memory.db'));
  sqlite.exec("pragma busy_timeout = 5000; delete from interactions where content <> 'one'");
  sqlite.close();
  await crossfade('reconcile', ...BY);
});

afterAll(() => deployment?.end());

const crossfade = (...args: readonly string[]) =>
  runCommand([...args, '--json', '--url', deployment.httpUrl]);

const lost = async () => resultOf<Lost>(await crossfade('lost', 'list')).items;

test('a proxy that dies during a restore has decided nothing, so the item stays', async () => {
  const [item, other] = await lost();
  deployment.legacyPath.silence();
  const restoring = crossfade('lost', 'restore', `session-memory/${SESSION}`, item?.memory_id ?? '', ...BY);
  await eventually('the item is being restored', async () => {
    const begun = await deployment.journal("select from audit where command = 'lost restored'");
    return begun.length === 1;
  });
  await sleep(500);
  await deployment.crash();
  await deployment.legacyPath.refuse();
  await deployment.legacyPath.pass();
  expect((await restoring).code).not.toBe(0);
  await eventually('the lane is settled', async () => {
    const unsettled = await deployment.journal("select from lanes where condition in ('dirty', 'copying')");
    return unsettled.length === 0;
  });
  // Giving up the other one repairs the lane, once nothing of it waits.
  await crossfade('lost', 'accept', `session-memory/${SESSION}`, other?.memory_id ?? '', ...BY);
  await crossfade('reconcile', '--repair', 'apply', '--limit-share', '1', ...BY);
  const held = await deployment.store<{ memory_id: string }>(
    'select memory_id from memory_entries where is_active',
  );
  expect(held.map(({ memory_id: id }) => id)).toContain(item?.memory_id);
  expect(await lost()).toMatchObject([{ memory_id: item?.memory_id }]);
});
