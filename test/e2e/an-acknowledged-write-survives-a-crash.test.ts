import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Database, Session } from '../../src/storage/database.ts';
import { readOrchestratorStore } from '../accept/stores.ts';
import { acknowledgedIn, agentsRun, agentsWriteOn, killAt, takeUp } from './crash.ts';
import { startStage, type CrashStage } from './crash-stage.ts';
import { casesOfTier } from '../support/tier.ts';
import { findingsOf, workOf } from './crash-workload.ts';

let stage: CrashStage;
beforeAll(async () => {
  stage = await startStage();
});
afterAll(() => stage.end());

/** Some steps of which another one is under way while the proxy goes on: the kill comes at any moment behind them. */
const LATER_STEPS = ['write:sent', 'operation:replied', 'write:recorded', 'delivery:applied'];

/** Every step of a write that the engine reports. */
const STEPS = [
  'operation:received',
  'operation:decided',
  'write:journaled',
  'write:sent',
  'write:answered',
  'operation:replied',
  'write:recorded',
  'delivery:applied',
  'delivery:recorded',
];

/** Before, at and after the moment at which the agent has its reply. */
const QUICK_STEPS = ['write:journaled', 'operation:replied', 'delivery:applied'];

describe('acknowledged writes are on both stores, once and in order, after a kill', () => {
  test.each(casesOfTier(STEPS, (step) => QUICK_STEPS.includes(step)))('exactly at %s', async (name) => {
    const one = await stage.begin();
    const works = workOf(one.prefix);
    const proxy = await one.startProxy(name);
    await killAt(proxy, { name }, (lost) => agentsWriteOn(one, works, lost));
    expect(works.some(({ done }) => done.at(-1)?.certainty === 'unanswered')).toBe(true);
    expect(await takeUp(one, works)).toEqual([]);
    await one.end();
  });

  test.each(casesOfTier(LATER_STEPS, () => false))('soon after the ninth %s', async (name) => {
    const one = await stage.begin();
    const works = workOf(one.prefix);
    const proxy = await one.startProxy();
    await killAt(proxy, { name, count: 9 }, (lost) => agentsWriteOn(one, works, lost));
    expect(acknowledgedIn(works)).toBeGreaterThan(0);
    expect(await takeUp(one, works)).toEqual([]);
    await one.end();
  });
});

describe('the checks', () => {
  const CHANGES = {
    'an item that is missing':
      'update memory_entries set is_active = false where memory_id = (select max(memory_id) from memory_entries where session_id = $1 and is_active)',
    'an item that is there twice': `insert into memory_entries (memory_id, session_id, memory_type, content, tags, position)
       select 'twice-' || memory_id, session_id, memory_type, content, tags, position + 1
       from memory_entries where session_id = $1 and is_active order by position desc limit 1`,
    'an order that differs':
      'update memory_entries set position = -position where session_id = $1 and is_active',
    // Made, not taken back: a copy that came after the clear has left no deleted row.
    'a deleted item that is back': `insert into memory_entries (memory_id, session_id, memory_type, content, tags, position)
       select 'back-' || memory_id, session_id, memory_type, content, tags, position - 1
       from memory_entries where session_id = $1 and is_active order by position limit 1`,
  };

  test(`notice ${Object.keys(CHANGES).join(', ')}`, async () => {
    const one = await stage.begin();
    const works = workOf(one.prefix);
    await one.startProxy();
    await agentsRun(one, works, 1);
    await one.settled();
    const stores = await one.stores();
    expect(findingsOf(works, stores)).toEqual([]);
    for (const sql of Object.values(CHANGES)) {
      const changed = await undone(stage.orchestratorStore, async (session) => {
        await session.query(sql, [`${one.prefix}-s1`]);
        return readOrchestratorStore({ ...stage.orchestratorStore, ...session });
      });
      expect(findingsOf(works, { ...stores, orchestrator: changed })).toHaveLength(1);
      expect(findingsOf(works, { legacy: changed, orchestrator: changed }).join()).toContain('legacy holds');
    }
    expect(findingsOf(works, await one.stores())).toEqual([]);
    await one.end();
  });
});

/** Runs the work in a transaction that is rolled back. */
async function undone<T>(database: Database, work: (session: Session) => Promise<T>): Promise<T> {
  const session: Session = {
    query: (sql, params) => database.query(sql, params),
    script: (sql) => database.script(sql),
  };
  await database.script('begin');
  try {
    return await work(session);
  } finally {
    await database.script('rollback');
  }
}
