import { afterAll, beforeAll, expect, test } from 'vitest';
import { createAgent } from '../../src/sandbox/agent.ts';
import type { StandInService } from '../../src/sandbox/stand-ins.ts';
import { readLegacyStores } from '../accept/stores.ts';
import { startDeployment, type Deployment } from '../support/deployment.ts';
import { eventually } from '../support/eventually.ts';
import { everythingDelivered, readLegacy, readOrchestrator } from '../support/lane-view.ts';
import { addInteraction, createSession } from '../support/session-agent.ts';

let deployment: Deployment;

beforeAll(async () => {
  deployment = await startDeployment();
  await deployment.ask({ dualWrite: true, shadowRead: 0, readCutover: 0 });
});

afterAll(async () => {
  await deployment?.end();
});

async function ask(service: StandInService, ...requests: readonly object[]): Promise<string[]> {
  const agent = createAgent({ endpoint: deployment.endpoints[service], receiveTimeoutMs: 20_000 });
  const replies: string[] = [];
  try {
    for (const request of requests) replies.push((await agent.call(JSON.stringify(request))).toString());
  } finally {
    agent.close();
  }
  return replies;
}

const say = (session: string, ...texts: readonly string[]): object[] =>
  texts.map((text) => addInteraction(session, text));

async function flip(key: string): Promise<void> {
  await everythingDelivered(deployment);
  await deployment.journal(
    `update lanes set primary_backend = 'orchestrator', epoch = epoch + 1, obeyed_sequence = sequence where key = '${key}'`,
  );
}

/** A session whose writes the orchestrator answers. */
async function flippedSession(session: string): Promise<void> {
  await ask('session-memory', createSession(session), ...say(session, 'before'));
  await flip(`session-memory/${session}`);
}

async function isOnBoth(session: string, texts: readonly string[]): Promise<void> {
  await everythingDelivered(deployment);
  const shown = texts.map((text) => `user: ${text}`);
  expect(await readLegacy(deployment, session)).toEqual(shown);
  expect(await readOrchestrator(deployment, session)).toEqual(shown);
}

const legacy = () => readLegacyStores(deployment.legacyFolder);

test('session-memory gets every write of a moved lane, deletes included', async () => {
  await flippedSession('s-1');
  await ask('session-memory', ...say('s-1', 'again', 'again'), {
    action: 'clear_session',
    session_id: 's-1',
  });
  await ask('session-memory', ...say('s-1', 'after', 'after', 'last'));
  await isOnBoth('s-1', ['after', 'after', 'last']);
  await ask('session-memory', { action: 'delete_session', session_id: 's-1' });
  await everythingDelivered(deployment);
  expect(legacy().sessions.has('s-1')).toBe(false);
  await ask('session-memory', createSession('s-1'), ...say('s-1', 'a new life'));
  await isOnBoth('s-1', ['a new life']);
});

test('contextual-memory gets entries and decisions of a moved lane', async () => {
  const entry = (content: string) => ({
    action: 'add_interaction',
    session_id: 'c-1',
    type: 'user_query',
    content,
  });
  await ask('contextual-memory', entry('before'));
  await flip('contextual-memory/c-1');
  await ask(
    'contextual-memory',
    entry('after'),
    { action: 'record_decision', session_id: 'c-1', decision: 'settled' },
    entry('after'),
  );
  await everythingDelivered(deployment);
  expect(legacy().entries.get('c-1')).toEqual([
    'user_query\nbefore',
    'user_query\nafter',
    'user_query\nafter',
  ]);
});

test('jarvis-memory gets memories and clears of a moved lane', async () => {
  const memory = (text: string) => ({ action: 'add_memory', user_id: 'ann', memory: text });
  await ask('jarvis-memory', memory('before'));
  await flip('jarvis-memory/ann');
  await ask('jarvis-memory', memory('after'), { action: 'clear_memories', user_id: 'ann' });
  await ask('jarvis-memory', memory('again'), memory('again'));
  await everythingDelivered(deployment);
  expect(legacy().memories.get('ann')).toEqual(['"again"', '"again"']);
});

test('a frozen legacy fails no write, and gets each of them once afterwards', async () => {
  await flippedSession('s-frozen');
  deployment.legacyPath.silence();
  const replies = await ask('session-memory', ...say('s-frozen', 'one', 'two', 'two'));
  for (const reply of replies) expect(reply).toContain('success');
  // The first of them is sent, and its outcome is unknown after the deadline.
  await eventually('a send without an outcome', async () => {
    const rows = await deployment.journal(
      `select 1 from reverse_sends where ended_at is null and started_at < now() - interval '6 seconds'`,
    );
    return rows.length === 1;
  });
  await deployment.legacyPath.pass();
  await isOnBoth('s-frozen', ['before', 'one', 'two', 'two']);
});

test('a legacy that was away gets each write once', async () => {
  await flippedSession('s-away');
  await deployment.legacyPath.refuse();
  await ask('session-memory', ...say('s-away', 'one', 'two'));
  await deployment.legacyPath.pass();
  await ask('session-memory', ...say('s-away', 'three'));
  await isOnBoth('s-away', ['before', 'one', 'two', 'three']);
});

test('connections that break while writes are sent double none of them', async () => {
  await flippedSession('s-reset');
  const texts = Array.from({ length: 12 }, (_, index) => `text ${index % 3}`);
  for (const text of texts) {
    await ask('session-memory', ...say('s-reset', text));
    if (texts.indexOf(text) === 1) deployment.legacyPath.reset();
  }
  await isOnBoth('s-reset', ['before', ...texts]);
});

test('a session that vanished on legacy halts its own lane, and no other', async () => {
  await flippedSession('s-gone');
  await flippedSession('s-other');
  const agent = createAgent({ endpoint: deployment.direct['session-memory'] });
  await agent.call(JSON.stringify({ action: 'delete_session', session_id: 's-gone' }));
  agent.close();
  await ask('session-memory', ...say('s-gone', 'lost'), ...say('s-other', 'found'));
  await eventually('a halted send', async () => {
    const rows = await deployment.journal(
      `select 1 from reverse_sends where halted_because = 'owner_gone' and ended_at is null`,
    );
    return rows.length === 1;
  });
  await eventually('the other session on legacy', async () =>
    (await readLegacy(deployment, 's-other')).includes('user: found'),
  );
  expect(await readLegacy(deployment, 's-other')).toEqual(['user: before', 'user: found']);
  expect(await readOrchestrator(deployment, 's-gone')).toEqual(['user: before', 'user: lost']);
});

test('a write that was read back on legacy proves the way back', async () => {
  const proofs = await deployment.journal<{ service: string }>('select service from reverse_proofs');
  expect(proofs.map(({ service }) => service).toSorted()).toEqual([
    'contextual-memory',
    'jarvis-memory',
    'session-memory',
  ]);
});
