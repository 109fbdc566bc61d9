import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createPostgresDatabase } from '../../src/storage/database.ts';
import { eventually } from '../support/eventually.ts';
import { addInteraction, createSession, createSessionAgent } from '../support/session-agent.ts';
import { startStage, type CrashCase, type CrashStage } from './crash-stage.ts';

let stage: CrashStage;
beforeAll(async () => {
  stage = await startStage();
});
afterAll(() => stage?.end());

const LIMIT = 100;

function loseOnLegacy({ legacyFolder }: CrashCase, session: string, content: string): void {
  const sqlite = new DatabaseSync(join(legacyFolder, 'session_memory.db'));
  sqlite.exec('pragma busy_timeout = 5000');
  const lose = sqlite.prepare('delete from interactions where session_id = ? and content = ?');
  expect(lose.run(session, content).changes).toBe(1);
  sqlite.close();
}

// I2: lost, and never silent. A copy covers what waits for delivery, and legacy shows it no more.
test('a write lost by legacy before its delivery stops its lane, and is delivered', async () => {
  const one = await stage.begin({ laneBacklog: LIMIT, deadlineMs: 4_000 });
  await one.startProxy();
  const journal = createPostgresDatabase({ url: one.journalUrl, poolSize: 1 });
  const agent = createSessionAgent(one.endpoints.session);
  const session = `${one.prefix}-talk`;
  const laneIs = (condition: string, reason?: string) => async (): Promise<boolean> => {
    const key = `session-memory/${session}`;
    const rows = await journal.query<{ condition: string; reason: string }>(
      'select condition, reason from lanes where key = $1',
      [key],
    );
    return rows.some((row) => row.condition === condition && (reason ?? row.reason) === row.reason);
  };
  await agent.ask(createSession(session));
  await agent.ask(addInteraction(session, 'delivered'));
  await one.settled();
  await stage.killOrchestrator();
  for (let count = 1; count <= LIMIT + 5; count += 1)
    expect(await agent.ask(addInteraction(session, `words ${count}`))).toMatchObject({ status: 'success' });
  await eventually('the lane to wait for its copy', async () => !(await laneIs('clean')()));
  loseOnLegacy(one, session, 'words 3');
  await stage.startOrchestrator();
  await eventually('the lane to wait for a person', laneIs('stopped', 'lost'));
  const { orchestrator } = await one.stores();
  const texts = orchestrator.sessions.get(session)?.map((item) => item.split('\n')[1]);
  // The others wait with their lane, until a person has decided.
  expect(texts).toEqual(['delivered', 'words 3']);
  agent.close();
  await journal.close();
  await one.end();
});
