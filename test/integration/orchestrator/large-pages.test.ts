import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createStage, type TestOrchestrator } from '../../support/orchestrator.ts';
import { DATABASES } from '../../support/tier.ts';

const stage = createStage();
afterAll(() => stage.stop());

const SESSION = { session_id: 'large-pages' };
const PAGE_BYTES = 16 * 1024 * 1024;
/** 20 of them are more than a page may hold, 16 are not. */
const MEMORIES = 20;
const FILLING = 'x'.repeat(1_000_000);
const idOf = (index: number) => `large-${String(index).padStart(2, '0')}`;
const IDS = Array.from({ length: MEMORIES }, (_, index) => idOf(index));

describe.each(DATABASES)('contents that do not fit into one answer, on %s', (kind) => {
  let orchestrator: TestOrchestrator;
  beforeAll(async () => {
    orchestrator = await stage.start(kind);
    for (const [position, memory_id] of IDS.entries()) {
      const content = { text: 'needle', filling: FILLING };
      const memory = { memory_id, memory_type: 'fact', content, position, create_session: true };
      expect((await orchestrator.ask('create', memory, SESSION)).error).toBeUndefined();
    }
    for (const target_memory_id of IDS.slice(1)) {
      const relation = { source_memory_id: idOf(0), target_memory_id, relationship_type: 'next' };
      expect((await orchestrator.ask('add_relationship', relation, SESSION)).error).toBeUndefined();
    }
  });

  const refusal = {
    code: 'validation_error',
    details: { reason: 'page_too_large', field: 'limit', limit: PAGE_BYTES },
  };

  test.each([
    ['batch_read', { limit: 1_000 }, { limit: 15 }],
    ['batch_read', { memory_ids: IDS }, { memory_ids: IDS.slice(0, 15) }],
    [
      'search',
      { query: 'needle', search_type: 'keyword', filters: { limit: 1_000 } },
      { query: 'needle', search_type: 'keyword', filters: { limit: 15 } },
    ],
  ])('%s is refused by the name of its limit, and answered with fewer', async (action, tooMuch, fewer) => {
    const { error } = await orchestrator.ask(action, tooMuch, SESSION);
    expect(error).toMatchObject(refusal);
    const { data } = await orchestrator.ask(action, fewer, SESSION);
    expect((action === 'search' ? data.results : data.memories).length).toBe(15);
  });

  test.each([
    ['scan', {}, 'items'],
    ['get_related', { source_memory_id: idOf(0) }, 'related'],
  ])('%s ends its page early, and its cursor continues there', async (action, payload, list) => {
    const seen: number[] = [];
    let cursor: string | undefined;
    do {
      const paged = { ...payload, limit: 1_000, ...(cursor !== undefined && { cursor }) };
      const { data, error } = await orchestrator.ask(action, paged, SESSION);
      expect(error).toBeUndefined();
      seen.push((data[list] as readonly unknown[] | undefined)?.length ?? 0);
      cursor = data.next_cursor;
    } while (cursor !== undefined);
    const all = action === 'scan' ? MEMORIES : MEMORIES - 1;
    expect(seen).toEqual([17, all - 17]);
  });
});
