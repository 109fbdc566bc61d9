import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createAgent } from '../../src/sandbox/agent.ts';
import { resultOf, runCommand } from '../support/command.ts';
import { startDeployment, type Deployment } from '../support/deployment.ts';

interface Backfilled {
  readonly survey: Readonly<Record<string, object>>;
  readonly services: Readonly<Record<string, object>>;
}

const BY = ['--person', 'ann', '--reason', 'a test'];
let deployment: Deployment;

beforeAll(async () => {
  deployment = await startDeployment({
    config: { copies: { concurrency: 2, automatic: false } },
    asked: { dualWrite: true, shadowRead: 0, readCutover: 0 },
  });
});

afterAll(() => deployment?.end());

const backfill = (...args: readonly string[]) =>
  runCommand(['backfill', '--json', '--url', deployment.httpUrl, ...BY, ...args]);

const stored = (): Promise<readonly { session_id: string }[]> =>
  deployment.store('select distinct session_id from memory_entries where is_active');

test('an item that is left out is reported with its reason, before and afterwards', async () => {
  const sqlite = new DatabaseSync(join(deployment.legacyFolder, 'session_memory.db'));
  sqlite.exec('pragma busy_timeout = 5000; pragma foreign_keys = off');
  const put = sqlite.prepare(
    "insert into interactions (session_id, timestamp, role, content, metadata) values (?, ?, 'user', ?, '{}')",
  );
  const session = createAgent({ endpoint: deployment.direct['session-memory'] });
  await session.call(JSON.stringify({ action: 'create_session', session_id: 'large', user_id: 'u' }));
  session.close();
  const now = new Date().toISOString().slice(0, 19);
  put.run('large', now, 'fits');
  put.run('large', now, 'x'.repeat(1_100_000));
  put.run('nobody has this session any more', now, 'an orphan');
  sqlite.close();
  const { survey } = resultOf<Backfilled>(await backfill('--dry-run', '--service', 'session-memory'));
  expect(survey['session-memory']).toMatchObject({
    strays: { 'interactions of sessions that are gone': 1 },
    concerns: { oversize_items: { count: 1, owners: ['large'] } },
  });
  const { services } = resultOf<Backfilled>(await backfill('--service', 'session-memory'));
  expect(services['session-memory']).toMatchObject({
    items_left_out: 1,
    skipped: [{ owner: 'large', items: 1, reason: expect.stringMatching(/\S/) as string }],
  });
});

test('a backfill of one owner copies only that owner', async () => {
  const jarvis = createAgent({ endpoint: deployment.direct['jarvis-memory'] });
  for (const user of ['wanted', 'not wanted'])
    await jarvis.call(JSON.stringify({ action: 'add_memory', user_id: user, memory: 'new' }));
  jarvis.close();
  const { services } = resultOf<Backfilled>(
    await backfill('--service', 'jarvis-memory', '--owner', 'wanted'),
  );
  expect(services['jarvis-memory']).toMatchObject({ lanes: 1, items_copied: 1 });
  const sessions = new Set((await stored()).map(({ session_id: id }) => id));
  expect([sessions.has('jarvis:wanted'), sessions.has('jarvis:not wanted')]).toEqual([true, false]);
});

test('runs are listed, shown and stopped on the command line', async () => {
  const runs = async (...args: readonly string[]) =>
    runCommand(['runs', ...args, '--url', deployment.httpUrl]);
  const listed = await runs('list');
  expect(listed.code).toBe(0);
  expect(listed.stdout.split('\n')[1]).toMatch(
    /^backfill \d+ +finished +– +jarvis-memory, wanted +\d{4}-\d\d-\d\dT\S+ +[\d.]+ s +ann \(a test\)$/,
  );
  const newest = /\d+/.exec(listed.stdout)?.[0] ?? '';
  const shown = await runs('show', newest);
  expect(shown.stdout).toMatch(/^backfill \d+: finished$/m);
  expect(shown.stdout).toMatch(/^ {4}items copied +1$/m);
  expect(shown.stdout).toMatch(/^ {4}1 lane, 1 item, \d+ bytes, the newest of /m);
  expect(shown.stdout).toMatch(/^ {6}memory +content\.memory/m);
  const json = JSON.parse((await runs('show', newest, '--json')).stdout) as { request: object };
  expect(json.request).toMatchObject({ owner: 'wanted', person: 'ann', reason: 'a test' });
  expect(await runs('show', '999999')).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('there is no run 999999') as string,
  });
  expect(await runs('stop', newest, ...BY)).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('is not running') as string,
  });
});

test('an unknown owner is reported, and not counted as copied', async () => {
  const wrong = ['--service', 'jarvis-memory', '--owner', 'wantd', '--json', '--url', deployment.httpUrl];
  for (const command of [['backfill'], ['backfill', '--dry-run'], ['reconcile', ...BY]]) {
    const { code, stderr } = await runCommand([...command, ...wrong]);
    expect({ code, stderr }).toEqual({
      code: 2,
      stderr:
        'crossfade: jarvis-memory: unknown owner "wantd": crossfade lanes list SERVICE shows the known owners\n',
    });
  }
});
