import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readLegacyStores } from '../accept/stores.ts';
import { resultOf, runCommand } from '../support/command.ts';
import { startDeployment, type Deployment } from '../support/deployment.ts';
import { eventually } from '../support/eventually.ts';
import { everythingDelivered, readLane } from '../support/lane-view.ts';
import { addInteraction, askOnce, createSession } from '../support/session-agent.ts';

const BY = ['--person', 'ann', '--reason', 'a test'];
const METADATA = { plan: 'x', size: 1 };
const LANES = ['kept', 'accepted', 'restored', 'altered', 'whole', 'gone'];

interface Reconciled {
  readonly run: number;
  readonly services: Readonly<Record<string, Readonly<Record<string, number>>>>;
  readonly repair?: { readonly run: number };
}

let deployment: Deployment;

beforeAll(async () => {
  deployment = await startDeployment({ asked: { dualWrite: true, shadowRead: 0, readCutover: 0 } });
  for (const session of LANES) {
    await askOnce(deployment.endpoints['session-memory'], { ...createSession(session), metadata: METADATA });
    for (const text of ['one', 'two', 'three'])
      await askOnce(deployment.endpoints['session-memory'], addInteraction(session, text));
  }
  await everythingDelivered(deployment);
});

afterAll(() => deployment?.end());

const crossfade = (...args: readonly string[]) =>
  runCommand([...args, '--json', '--url', deployment.httpUrl]);

const reconcile = async (...args: readonly string[]) => {
  const result = await crossfade('reconcile', ...BY, ...args);
  return { code: result.code, ...resultOf<Reconciled>(result) };
};

function onLegacy(sql: string, ...parameters: readonly string[]): void {
  const sqlite = new DatabaseSync(join(deployment.legacyFolder, 'session_memory.db'));
  sqlite.exec('pragma busy_timeout = 5000');
  sqlite.prepare(sql).run(...parameters);
  sqlite.close();
}

const stored = async (session: string): Promise<string[]> => {
  const rows = await deployment.store<{ text: string }>(
    `select content ->> 'text' as text from memory_entries where session_id = '${session}' and is_active order by position`,
  );
  return rows.map(({ text }) => text);
};

interface LostView {
  readonly owner: string;
  readonly memory_id: string;
  readonly shape: string;
}

const lostViews = async (): Promise<readonly LostView[]> =>
  resultOf<{ items: readonly LostView[] }>(await crossfade('lost', 'list')).items;

async function decide(how: 'accept' | 'restore', owner: string): Promise<number> {
  const item = (await lostViews()).find((one) => one.owner === owner);
  const result = await crossfade('lost', how, `session-memory/${owner}`, item?.memory_id ?? '', ...BY);
  return result.code;
}

test('equal stores are found equal, and the exit code shows it', async () => {
  const { code, services } = await reconcile('--full');
  expect(services['session-memory']).toMatchObject({
    lanes: LANES.length,
    lanes_equal: LANES.length,
    items: 18,
  });
  expect(code).toBe(0);
});

test('lost items are found and listed, and no repair changes them', async () => {
  for (const session of ['kept', 'accepted', 'restored'])
    onLegacy('delete from interactions where session_id = ? and content = ?', session, 'two');
  const { code, services } = await reconcile('--repair', 'apply', ...BY);
  expect(services['session-memory']).toMatchObject({ lost: 3, lanes_different: 3 });
  expect(code).toBe(2);
  expect((await lostViews()).map(({ owner }) => owner)).toEqual(['accepted', 'kept', 'restored']);
  expect(await stored('kept')).toEqual(['one', 'two', 'three']);
  const { services: now } = await deployment.status();
  expect(now[0]?.lanes.stopped).toBe(0);
});

test('an accepted loss leaves the orchestrator; a restored item is on both stores', async () => {
  expect(await decide('accept', 'accepted')).toBe(0);
  expect(await stored('accepted')).toEqual(['one', 'three']);
  expect(await decide('restore', 'restored')).toBe(0);
  const expected = ['one', 'three', 'two'];
  expect(await stored('restored')).toEqual(expected);
  const shown = readLegacyStores(deployment.legacyFolder).sessions.get('restored');
  expect(shown?.map((item) => item.split('\n')[1])).toEqual(expected);
  expect((await lostViews()).map(({ owner }) => owner)).toEqual(['kept']);
  const unknown = await crossfade('lost', 'accept', 'session-memory/kept', 'mem-nobody', ...BY);
  expect(unknown.code).toBe(1);
  expect(unknown.stderr).toContain('waits for a decision');
  const { services } = await reconcile();
  expect(services['session-memory']).toMatchObject({ findings: 1, lost: 1 });
});

test('one command restores a lane in its old order, without showing an item twice', async () => {
  onLegacy('delete from interactions where session_id = ?', 'whole');
  await reconcile();
  const listed = (await lostViews()).filter(({ owner }) => owner === 'whole');
  expect(listed.map(({ shape }) => shape)).toEqual(
    ['one', 'two', 'three'].map((text): unknown =>
      expect.stringContaining(`content: string(${text.length})`),
    ),
  );
  expect(JSON.stringify(listed)).not.toContain('three');
  const [, second] = listed;
  const one = await crossfade('lost', 'restore', 'session-memory/whole', second?.memory_id ?? '', ...BY);
  expect(resultOf(one)).toEqual({ restored: 1, waiting: 2 });
  expect((await stored('whole')).toSorted()).toEqual(['one', 'three', 'two']);
  expect((await reconcile()).services['session-memory']).toMatchObject({ lost: 3, findings: 3 });
  const rest = await crossfade('lost', 'restore', 'session-memory/whole', ...BY);
  expect(resultOf(rest)).toEqual({ restored: 2, waiting: 0 });
  const expected = ['two', 'one', 'three'];
  expect(await stored('whole')).toEqual(expected);
  const shown = readLegacyStores(deployment.legacyFolder).sessions.get('whole');
  expect(shown?.map((item) => item.split('\n')[1])).toEqual(expected);
  const again = await crossfade('lost', 'restore', 'session-memory/whole', ...BY);
  expect({ code: again.code, err: again.stderr }).toMatchObject({ code: 1 });
  expect(again.stderr).toContain('no lost item of session-memory/whole waits');
});

test('a lane that is gone from legacy is restored with its owner, in its old order', async () => {
  onLegacy('delete from interactions where session_id = ?', 'gone');
  onLegacy('delete from sessions where session_id = ?', 'gone');
  expect((await reconcile()).services['session-memory']).toMatchObject({ lost: 4, lanes_different: 2 });
  const result = await crossfade('lost', 'restore', 'session-memory/gone', ...BY);
  expect({ code: result.code, err: result.stderr }).toEqual({ code: 0, err: '' });
  expect(resultOf(result)).toEqual({ restored: 3, waiting: 0 });
  const expected = ['one', 'two', 'three'];
  expect(await stored('gone')).toEqual(expected);
  const shown = readLegacyStores(deployment.legacyFolder).sessions.get('gone');
  expect(shown?.map((item) => item.split('\n')[1])).toEqual(expected);
  const sqlite = new DatabaseSync(join(deployment.legacyFolder, 'session_memory.db'), { readOnly: true });
  const [row] = sqlite.prepare("select user_id, metadata from sessions where session_id = 'gone'").all();
  sqlite.close();
  expect({ ...row, metadata: JSON.parse(String(row?.['metadata'])) }).toEqual({
    user_id: 'ana',
    metadata: METADATA,
  });
  expect((await reconcile()).services['session-memory']).toMatchObject({ lost: 1, lanes_different: 1 });
});

test('a bypassing writer is named and adopted; an undo stops the lane there', async () => {
  onLegacy(
    `update interactions set content = 'past the proxy', metadata = '{"agent": "cron"}' where session_id = ? and content = ?`,
    'altered',
    'two',
  );
  const refused = await crossfade('reconcile', '--repair', 'apply', ...BY);
  expect(refused.stderr).toContain('--limit-share');
  const { run, repair } = await reconcile('--repair', 'apply', '--limit-share', '1', ...BY);
  expect(await stored('altered')).toEqual(['one', 'past the proxy', 'three']);
  const response = await fetch(`${deployment.httpUrl}/v1/runs/${run}/divergences`);
  const { divergences } = (await response.json()) as { divergences: { owner: string; findings: object[] }[] };
  expect(divergences.find(({ owner }) => owner === 'altered')?.findings).toMatchObject([
    { side: 'legacy', kind: 'altered', by: 'cron' },
  ]);
  const undone = await crossfade('repair', 'undo', String(repair?.run), ...BY);
  expect({ code: undone.code, err: undone.stderr }).toEqual({ code: 0, err: '' });
  expect(await stored('altered')).toEqual(['one', 'two', 'three']);
  const lanes = await deployment.journal("select condition, reason from lanes where owner = 'altered'");
  expect(lanes).toEqual([{ condition: 'stopped', reason: 'repair_undone' }]);
  await reconcile('--owner', 'altered', '--repair', 'apply', '--limit-share', '1', ...BY);
  expect(await stored('altered')).toEqual(['one', 'past the proxy', 'three']);
  expect(await deployment.journal("select condition from lanes where owner = 'altered'")).toEqual([
    { condition: 'clean' },
  ]);
});

test('a reconciliation of changed lanes reads only those', async () => {
  await askOnce(deployment.endpoints['session-memory'], addInteraction('accepted', 'later'));
  await eventually('delivered', async () => {
    const lane = await readLane(deployment, 'accepted');
    return lane?.outcome === 'applied' && lane.delivered === lane.sequence;
  });
  const { services } = await reconcile('--changed', '--service', 'session-memory');
  expect(services['session-memory']).toMatchObject({ lanes: 2 });
  const interlocks = await deployment.journal(
    "select count(*)::int as audited from audit where command in ('repair apply', 'repair undo', 'lost accepted', 'lost restored')",
  );
  expect(interlocks).toEqual([{ audited: 11 }]);
});
