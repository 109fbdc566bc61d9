import { afterAll, beforeAll, expect, test } from 'vitest';
import { createAgent } from '../../src/sandbox/agent.ts';
import { createPostgresDatabase, type Database } from '../../src/storage/database.ts';
import { eventually } from '../support/eventually.ts';
import { startStage, type CrashStage } from './crash-stage.ts';

let stage: CrashStage;
beforeAll(async () => {
  stage = await startStage();
});
afterAll(() => stage.end());

const LIMIT = 100;
const WRITES = LIMIT + 30;

interface LaneRow {
  readonly condition: string;
  readonly reason: string;
}

async function laneRow(journal: Database, key: string): Promise<LaneRow | undefined> {
  const [row] = await journal.query<LaneRow>('select condition, reason from lanes where key = $1', [key]);
  return row;
}

// W9. Nothing waits without bound, no agent notices, and what a service forgets is delivered nevertheless.
test('above its limit a lane is copied, unless its service forgets items', async () => {
  const one = await stage.begin({ laneBacklog: LIMIT, entries: 50, deadlineMs: 4_000 });
  await one.startProxy();
  const journal = createPostgresDatabase({ url: one.journalUrl, poolSize: 1 });
  const jarvis = createAgent({ endpoint: one.endpoints.jarvis });
  const contextual = createAgent({ endpoint: one.endpoints.contextual });
  const [user, session] = [`${one.prefix}-ann`, `${one.prefix}-talk`];
  const remember = (memory: string) =>
    jarvis.call(JSON.stringify({ action: 'add_memory', user_id: user, memory }));
  const say = (content: string) =>
    contextual.call(
      JSON.stringify({ action: 'add_interaction', session_id: session, type: 'user_query', content }),
    );
  await remember('first');
  await say('first');
  await one.settled();
  await stage.killOrchestrator();
  for (let count = 0; count < WRITES; count += 1) {
    expect(String(await remember(`memory ${count}`))).toBe('{"status": "ok"}');
    await say(`words ${count}`);
  }
  await eventually('the lane to wait for its copy', async () => {
    const row = await laneRow(journal, `jarvis-memory/${user}`);
    return row?.condition === 'dirty' || row?.condition === 'copying';
  });
  expect(await laneRow(journal, `contextual-memory/${session}`)).toMatchObject({ condition: 'clean' });
  await stage.startOrchestrator();
  await one.settled();
  const { legacy, orchestrator } = await one.stores();
  expect(orchestrator.memories.get(user)).toEqual(legacy.memories.get(user));
  expect(orchestrator.memories.get(user)).toHaveLength(WRITES + 1);
  // The service itself shows the last fifty of them.
  expect(orchestrator.entries.get(session)).toHaveLength(WRITES + 1);
  expect(legacy.entries.get(session)?.length).toBeLessThan(WRITES);
  jarvis.close();
  contextual.close();
  await journal.close();
  await one.end();
});
