import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { createAgent } from '../../src/sandbox/agent.ts';
import { startDeployment, type Deployment } from '../support/deployment.ts';
import { eventually } from '../support/eventually.ts';
import { readLane, readOrchestrator } from '../support/lane-view.ts';
import {
  addInteraction,
  askOnce,
  createSession,
  freshSession,
  getContext,
  type SessionReply,
} from '../support/session-agent.ts';

const ON = { dualWrite: true, shadowRead: 0, readCutover: 0 };
/** Long enough for the request to arrive, too short for its reply. */
const PATIENCE_MS = 1_000;
const SLOW = { delayMs: 2_500 };

let deployment: Deployment;
beforeAll(async () => {
  deployment = await startDeployment({ asked: ON });
});
afterEach(async () => {
  deployment.standIns.setFaults('session-memory', {});
  await deployment.legacyPath.pass();
});
afterAll(() => deployment.end());

type Request = Readonly<Record<string, unknown>>;

const said = (session: string, content: string, request_id: string): Request => ({
  ...addInteraction(session, content),
  request_id,
});

const ask = (request: Request): Promise<SessionReply> =>
  askOnce(deployment.endpoints['session-memory'], request);

async function begin(): Promise<string> {
  const session = freshSession();
  expect((await ask(createSession(session))).status).toBe('success');
  return session;
}

async function legacyHolds(session: string): Promise<readonly string[]> {
  const reply = await askOnce(deployment.direct['session-memory'], getContext(session));
  return (reply.context ?? []).map(({ content }) => content);
}

/** The agent's socket is closed before its reply comes. */
async function giveUp(request: Request): Promise<void> {
  deployment.standIns.setFaults('session-memory', SLOW);
  const agent = createAgent({
    endpoint: deployment.endpoints['session-memory'],
    receiveTimeoutMs: PATIENCE_MS,
  });
  await expect(agent.call(JSON.stringify(request))).rejects.toThrow('No reply');
  agent.close();
  deployment.standIns.setFaults('session-memory', {});
}

async function isKept(session: string): Promise<unknown> {
  return eventually('the reply to be kept', async () => {
    const rows = await deployment.journal(`
      select 1 from kept_replies k join lanes l on l.id = k.lane_id
      where l.key = 'session-memory/${session}' and k.reply is not null`);
    return rows.length === 1;
  });
}

async function countOf(word: string): Promise<number> {
  return (await deployment.serviceStatus('session-memory')).repeats[word] ?? 0;
}

async function isEqual(session: string): Promise<void> {
  const expected = (await legacyHolds(session)).map((content) => `user: ${content}`);
  await eventually('equal stores', async () => {
    const held = await readOrchestrator(deployment, session);
    return JSON.stringify(held) === JSON.stringify(expected);
  });
}

test('an undelivered reply answers the repeat, byte for byte, and one write is stored', async () => {
  const session = await begin();
  const request = said(session, 'once', 'r-1');
  await giveUp(request);
  await isKept(session);
  const before = await countOf('answered');
  expect((await ask(request)).text).toBe('{"status": "success", "request_id": "r-1"}');
  expect(await countOf('answered')).toBe(before + 1);
  expect(await legacyHolds(session)).toEqual(['once']);
  await isEqual(session);
});

test('an equal request of an agent that has its reply is a new write', async () => {
  const session = await begin();
  const request = said(session, 'twice', 'constant');
  await giveUp(request);
  await isKept(session);
  const before = await countOf('suspected_duplicate');
  for (let time = 1; time <= 3; time += 1) expect((await ask(request)).status).toBe('success');
  expect(await legacyHolds(session)).toEqual(['twice', 'twice', 'twice']);
  expect(await countOf('suspected_duplicate')).toBe(before);
  await isEqual(session);
});

test('a repeat during the first call waits for its reply', async () => {
  const session = await begin();
  const request = said(session, 'hasty', 'r-2');
  deployment.standIns.setFaults('session-memory', SLOW);
  const agent = createAgent({
    endpoint: deployment.endpoints['session-memory'],
    receiveTimeoutMs: PATIENCE_MS,
  });
  await expect(agent.call(JSON.stringify(request))).rejects.toThrow('No reply');
  agent.close();
  expect((await ask(request)).status).toBe('success');
  // What the proxy asks of the slow service on its own account stands in the same line.
  deployment.standIns.setFaults('session-memory', {});
  expect(await legacyHolds(session)).toEqual(['hasty']);
});

test('a restarted proxy knows the reply too', async () => {
  const session = await begin();
  const request = said(session, 'kept', 'r-3');
  await giveUp(request);
  await isKept(session);
  await deployment.restart();
  expect((await ask(request)).text).toBe('{"status": "success", "request_id": "r-3"}');
  expect(await legacyHolds(session)).toEqual(['kept']);
});

test('a repeat without an id is written, and counted as a suspected duplicate', async () => {
  const session = await begin();
  const request = said(session, 'nameless', '');
  await giveUp(request);
  await isKept(session);
  const before = await countOf('suspected_duplicate');
  expect((await ask(request)).status).toBe('success');
  expect(await countOf('suspected_duplicate')).toBe(before + 1);
  expect(await legacyHolds(session)).toEqual(['nameless', 'nameless']);
  await isEqual(session);
});

test.each(['r-4', ''])(
  'the repeat of a write of unknown outcome (id "%s") waits until it is settled',
  async (id) => {
    const session = await begin();
    const request = said(session, 'unknown', id);
    deployment.legacyPath.silence();
    const first = await ask(request);
    expect(first).toMatchObject({ status: 'error', message: expect.stringContaining('did not answer') });
    // Nothing of it is settled while the service does not answer.
    const second = await ask(request);
    expect(second.status).toBe('error');
    await deployment.legacyPath.pass();
    const done = await eventually('an answer', async () => {
      const reply = await ask(request);
      return reply.status === 'success' && reply;
    });
    expect(done.text).toBe(`{"status": "success", "request_id": "${id}"}`);
    const held = await legacyHolds(session);
    // With an id the late reply is the answer; without one it is a write of its own.
    expect(held).toEqual(id === '' ? ['unknown', 'unknown'] : ['unknown']);
    await isEqual(session);
  },
);

test('an ordinary write leaves nothing that the next one would have to check', async () => {
  const session = await begin();
  await eventually('a quiet lane', async () => (await readLane(deployment, session))?.delivered === 1);
  const kept = async (): Promise<number> => (await deployment.journal('select 1 from kept_replies')).length;
  const before = await kept();
  for (let index = 0; index < 5; index += 1) await ask(said(session, `item ${index}`, 'constant'));
  expect(await kept()).toBe(before);
  const [lane] = await deployment.journal<{ repeats: boolean }>(
    `select repeats_until is not null as repeats from lanes where key = 'session-memory/${session}'`,
  );
  expect(lane).toEqual({ repeats: false });
});
