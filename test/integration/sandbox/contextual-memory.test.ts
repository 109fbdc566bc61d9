import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { createContextualMemory } from '../../../src/sandbox/contextual-memory.ts';
import type { Agent } from '../../../src/sandbox/agent.ts';
import { freePorts } from '../../support/ports.ts';
import { createPlayground } from './playground.ts';
import type { Playground } from './playground.ts';

const STORED = `{"status": "error", "message": "'bool' object has no attribute 'get'"}`;
const NO_SUMMARY = `{"status": "error", "message": "'NoneType' object has no attribute 'get'"}`;

interface Played {
  readonly play: Playground;
  readonly agent: Agent;
}

async function add({ play, agent }: Played, type: string, content: unknown): Promise<void> {
  const request = { action: 'add_interaction', session_id: 's', type, content };
  expect(await play.ask(agent, request)).toBe(STORED);
}

async function summaryOf({ play, agent }: Played, maxTokens?: number): Promise<Record<string, unknown>> {
  const request = { action: 'get_context', session_id: 's', max_tokens: maxTokens };
  return JSON.parse(await play.ask(agent, request)) as Record<string, unknown>;
}

test('a read with a small budget cuts the summary until the next write', async () => {
  await using play = createPlayground();
  const [port = 0] = await freePorts(1);
  const standIn = createContextualMemory({ port, dataFolder: play.dataFolder, maxEntries: 2 });
  await play.start(standIn);
  const played = { play, agent: play.connect(standIn) };
  for (const content of ['first', 'second', 'third']) await add(played, 'user_query', content);
  const whole = await summaryOf(played);
  expect(whole['conversation_summary']).toBe(
    'Conversation Summary:\nTotal queries: 3\nTotal responses: 0\n\nRecent Queries:\n- third...\n- second...\n- first...\n',
  );
  expect((await summaryOf(played, 4))['conversation_summary']).toBe('Conversa...');
  expect((await summaryOf(played))['conversation_summary']).toBe('Conversa...');
  await add(played, 'error', 'Exception: 4');
  expect(await summaryOf(played)).toMatchObject({
    conversation_summary:
      'Conversation Summary:\nTotal queries: 2\nTotal responses: 0\n\nRecent Queries:\n- third...\n- second...\n',
    errors_encountered: ['Exception: 4'],
  });
});

test('decisions outlive the summary they were recorded in', async () => {
  await using play = createPlayground();
  const [port = 0] = await freePorts(1);
  const standIn = await play.start(
    createContextualMemory({ port, dataFolder: play.dataFolder, maxEntries: 1 }),
  );
  const played = { play, agent: play.connect(standIn) };
  const decide = { action: 'record_decision', session_id: 's', decision: { use: 'postgres' } };
  expect(await play.ask(played.agent, decide)).toBe(STORED);
  await add(played, 'code', 'x = 1');
  await add(played, 'code', 'import sqlite3');
  expect(await summaryOf(played)).toMatchObject({
    code_context:
      'Code Summary:\nTotal snippets: 2\nTotal lines: 3\n\nDETECTED DOMAINS: database operations\n',
    errors_encountered: [],
    key_decisions: [{ decision: { use: 'postgres' } }],
  });
});

test('content that is not text spoils the summary as it does in the original', async () => {
  await using play = createPlayground();
  const [port = 0] = await freePorts(1);
  const standIn = await play.start(
    createContextualMemory({ port, dataFolder: play.dataFolder, maxEntries: 2 }),
  );
  const played = { play, agent: play.connect(standIn) };
  await add(played, 'error', 'an error');
  await add(played, 'error', { code: 5 });
  await add(played, 'user_query', null);
  expect(await summaryOf(played)).toMatchObject({
    conversation_summary: 'Error summarizing conversation',
    errors_encountered: [],
  });
  const kept = await summaryOf(played);
  // Code that is not text raises outside of what is caught: the summary stays as it was.
  await add(played, 'code', ['not', 'text']);
  expect(await summaryOf(played)).toEqual(kept);
  await add(played, 'user_query', ['a', 1]);
  await add(played, 'user_query', 'later');
  expect(await summaryOf(played)).toEqual(kept);
});

test('items without a session id are under "null" after a restart, one list lost', async () => {
  await using play = createPlayground();
  const [port = 0] = await freePorts(1);
  const { dataFolder } = play;
  const standIn = await play.start(createContextualMemory({ port, dataFolder }));
  const agent = play.connect(standIn);
  const decide = (decision: string, sessionId?: string | null): Promise<string> =>
    play.ask(agent, { action: 'record_decision', session_id: sessionId, decision });
  await decide('without id');
  await decide('under null', null);
  await decide('under the word', 'null');
  const read = async (sessionId: string | null): Promise<string> =>
    play.ask(agent, { action: 'get_context', session_id: sessionId });
  expect(JSON.parse(await read(null))).toMatchObject({
    key_decisions: [{ decision: 'without id' }, { decision: 'under null' }],
  });
  const text = readFileSync(join(dataFolder, 'contextual_memory_store.json'), 'utf8');
  expect(text.match(/^ {4}"null": /gm)).toHaveLength(2);

  await play.restart(standIn);
  expect(await read(null)).toBe(NO_SUMMARY);
  expect(JSON.parse(await read('null'))).toMatchObject({ key_decisions: [{ decision: 'under the word' }] });
});

test('writes that are held back reach the file when it stops', async () => {
  await using play = createPlayground();
  const [port = 0] = await freePorts(1);
  const settings = { port, dataFolder: play.dataFolder, saveEveryMs: 60_000 };
  const standIn = await play.start(createContextualMemory(settings));
  await add({ play, agent: play.connect(standIn) }, 'code', 'held back');
  const path = join(play.dataFolder, 'contextual_memory_store.json');
  expect(() => readFileSync(path)).toThrow('ENOENT');
  await standIn.stop();
  expect(readFileSync(path, 'utf8')).toContain('held back');
});
