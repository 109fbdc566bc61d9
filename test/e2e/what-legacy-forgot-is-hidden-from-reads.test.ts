import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { resultOf, runCommand } from '../support/command.ts';
import { startDeployment, type Deployment } from '../support/deployment.ts';
import { eventually } from '../support/eventually.ts';
import { everythingDelivered } from '../support/lane-view.ts';
import {
  addInteraction,
  createSession,
  createSessionAgent,
  getContext,
  type SessionAgent,
} from '../support/session-agent.ts';

const BY = ['--person', 'ann', '--reason', 'a test'];
const EVICTED = ['read', 'reconciled', 'again'];
const TEXTS = ['one', 'two', 'three'];
/** The service keeps 100 sessions: so many newer ones explain that an older one is gone. */
const NEWER = 95;

let deployment: Deployment;
let agent: SessionAgent;

beforeAll(async () => {
  deployment = await startDeployment({ asked: { dualWrite: true, shadowRead: 0, readCutover: 0 } });
  agent = createSessionAgent(deployment.endpoints['session-memory']);
  for (const session of EVICTED) {
    await agent.ask(createSession(session));
    for (const text of TEXTS) await agent.ask(addInteraction(session, text));
  }
  for (let newer = 0; newer < NEWER; newer += 1) await agent.ask(createSession(`newer-${newer}`));
  await everythingDelivered(deployment);
  expect(await reconcile()).toMatchObject({ code: 0, lanes_equal: EVICTED.length + NEWER });
  await evict();
});

afterAll(async () => {
  agent?.close();
  await deployment?.end();
});

/** What the service does when it starts with more sessions than it keeps. */
async function evict(): Promise<void> {
  await deployment.standIns.stop();
  const sqlite = new DatabaseSync(join(deployment.legacyFolder, 'session_memory.db'));
  for (const session of EVICTED) {
    sqlite.prepare('delete from interactions where session_id = ?').run(session);
    sqlite.prepare('delete from sessions where session_id = ?').run(session);
  }
  sqlite.close();
  await deployment.standIns.start();
}

async function reconcile() {
  const args = ['reconcile', '--full', '--service', 'session-memory', ...BY];
  const result = await runCommand([...args, '--json', '--url', deployment.httpUrl]);
  const { services } = resultOf<{ services: Record<string, Record<string, number>> }>(result);
  return { code: result.code, ...services['session-memory'] };
}

/** What an agent is shown, once the orchestrator answers it so. */
async function shown(session: string, texts: readonly string[]): Promise<void> {
  await eventually(`the orchestrator shows ${texts.length} items of ${session}`, async () => {
    const before = (await deployment.serviceStatus('session-memory')).reads_by.orchestrator;
    const { context } = await agent.ask(getContext(session));
    const { reads_by: readsBy } = await deployment.serviceStatus('session-memory');
    if (readsBy.orchestrator === before) return false;
    return JSON.stringify(context?.map(({ content }) => content)) === JSON.stringify(texts);
  });
}

const marked = async (session: string): Promise<number> => {
  const rows = await deployment.store(
    `select from memory_entries where session_id = '${session}' and is_active and 'forgotten' = any(tags)`,
  );
  return rows.length;
};

const mismatches = async (): Promise<number> =>
  (await deployment.serviceStatus('session-memory')).comparisons.mismatch;

test('a read that first finds forgotten items hides them, and is no mismatch', async () => {
  await deployment.ask({ dualWrite: true, shadowRead: 100, readCutover: 100 });
  await shown('read', []);
  expect(await marked('read')).toBe(TEXTS.length);
  expect(await mismatches()).toBe(0);
});

test('a reconciliation hides forgotten items before any read, and finds equality', async () => {
  expect(await reconcile()).toMatchObject({ code: 0, lanes_equal: EVICTED.length + NEWER });
  await eventually('the items are marked', async () => (await marked('reconciled')) === TEXTS.length);
  await shown('reconciled', []);
  expect(await mismatches()).toBe(0);
});

test('a session that begins again shows only the new items', async () => {
  await agent.ask(createSession('again'));
  await agent.ask(addInteraction('again', 'four'));
  await shown('again', ['four']);
  expect(await marked('again')).toBe(TEXTS.length);
  expect(await reconcile()).toMatchObject({ code: 0, lanes_equal: EVICTED.length + NEWER });
  expect(await mismatches()).toBe(0);
});
