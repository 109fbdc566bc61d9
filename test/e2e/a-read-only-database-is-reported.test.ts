import { afterAll, beforeAll, expect, test } from 'vitest';
import { startDeployment, type Deployment } from '../support/deployment.ts';
import { eventually } from '../support/eventually.ts';
import { databaseOf } from '../support/postgres.ts';
import {
  addInteraction,
  askOnce,
  createSession,
  freshSession,
  getContext,
} from '../support/session-agent.ts';

let deployment: Deployment;

beforeAll(async () => {
  deployment = await startDeployment({ asked: { dualWrite: true, shadowRead: 0, readCutover: 0 } });
});

afterAll(async () => {
  await deployment?.end();
});

/** As a primary that has become a standby: it answers, and refuses every write. Said in another database of the same server. */
async function takeWrites(isOn: boolean): Promise<void> {
  const journal = databaseOf(deployment.databaseUrl);
  await deployment.store(
    `alter database ${journal} set default_transaction_read_only = ${isOn ? 'off' : 'on'}`,
  );
  await deployment.store(
    `select pg_terminate_backend(pid) from pg_stat_activity where datname = '${journal}'`,
  );
}

async function readiness(): Promise<{ ready: boolean; parts: Record<string, { reason?: string }> }> {
  const response = await fetch(`${deployment.httpUrl}/health/ready`);
  const body = (await response.json()) as Awaited<ReturnType<typeof readiness>>;
  expect(response.status).toBe(body.ready ? 200 : 503);
  return body;
}

test('writes are refused, reads are answered, readiness gives the reason, and it heals', async () => {
  const session = freshSession();
  const say = (content: string) =>
    askOnce(deployment.endpoints['session-memory'], addInteraction(session, content));
  await askOnce(deployment.endpoints['session-memory'], createSession(session));
  expect((await say('before')).status).toBe('success');
  await eventually('readiness at first', async () => (await readiness()).ready);

  await takeWrites(false);
  const why = async () => (await readiness()).parts['journal']?.reason;
  await eventually('unreadiness', async () => /takes no heartbeats/.test((await why()) ?? ''));
  expect((await readiness()).ready).toBe(false);
  expect(await say('meanwhile')).toMatchObject({ status: 'error', message: 'the journal cannot be written' });
  const read = await askOnce(deployment.endpoints['session-memory'], getContext(session));
  expect(read.context?.map(({ content }) => content)).toEqual(['before']);

  await takeWrites(true);
  await eventually('readiness', async () => (await readiness()).ready);
  expect((await say('after')).status).toBe('success');
  const legacy = await askOnce(deployment.direct['session-memory'], getContext(session));
  expect(legacy.context?.map(({ content }) => content)).toEqual(['before', 'after']);
});
