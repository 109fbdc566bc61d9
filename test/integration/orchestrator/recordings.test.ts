import { afterAll, describe, expect, test } from 'vitest';
import { createStage, type TestOrchestrator } from '../../support/orchestrator.ts';
import { type Difference, readExchanges, replay } from './recorded-exchanges.ts';

/*
 * The original orchestrators' recordings, asked again. Everywhere: times are UTC with milliseconds and Z, ids are whole UUIDs, an
 * error names its action and what is known about the effect, a missing request_id is null instead of "unknown", and a read says
 * position and version too. Every other difference is a row below, with why ours is right.
 */
interface Row {
  readonly exchange: number;
  /** The code of ours, or what its data holds. */
  readonly ours: unknown;
  readonly because: string;
}

const CREATED = { memory_id: 'string', created_at: 'string' };
const HEALTHY = { status: 'healthy', postgres: true };
const HEALTH = 'health answers without a session (contract, Transports)';
const FOREIGN_KEY = "the database's words, with its rows, were the answer: the contract has a code";
const NO_SESSION = 'a memory belongs to a session (design 3.1); without one nobody could read it back';
const REFUSED_TEXT = 'unstorable text is refused by name, not in the words of the database';
const LIMITS = 'over a limit: validation_error naming field and limit';
const CONTENT = 'content is an object; what is none is refused, not stumbled over';
const EMPTY = 'an empty object is an object: legacy items may hold nothing but their place';
const MISSING_ACTION = 'the action is designed and was not there';
const ALL_IN_SESSION = 'neither ids nor filter select everything in the session, page by page';
const NOT_JSON = "what is no request is the sender's error, not ours";

const GENERATION_1: readonly Row[] = [
  { exchange: 0, ours: HEALTHY, because: HEALTH },
  { exchange: 1, ours: HEALTHY, because: HEALTH },
  { exchange: 6, ours: 'session_not_found', because: FOREIGN_KEY },
  { exchange: 7, ours: 'invalid_request', because: NO_SESSION },
  { exchange: 8, ours: CREATED, because: 'ttl is designed; every create with one failed' },
  { exchange: 9, ours: 'validation_error', because: LIMITS },
  { exchange: 10, ours: CREATED, because: 'a tag given twice is one tag, and no reason to lose a memory' },
  { exchange: 11, ours: 'validation_error', because: REFUSED_TEXT },
  { exchange: 12, ours: 'validation_error', because: CONTENT },
  { exchange: 13, ours: 'validation_error', because: LIMITS },
  { exchange: 15, ours: CREATED, because: EMPTY },
  {
    exchange: 17,
    ours: CREATED,
    because: 'request_id is for the caller: who needs none gets its answer too',
  },
  {
    exchange: 22,
    ours: { version: 3, expires_at: expect.any(String) },
    because: 'ttl is designed; the update failed and its values stayed in the cache',
  },
  {
    exchange: 24,
    ours: { memories: [{ content: { text: 'NYC' }, source_agent: null }], missing_ids: ['mem-00000000'] },
    because:
      'content replaces content, and its source_agent with it; expires_at is a time; limit is the one in effect',
  },
  { exchange: 25, ours: { total_count: 6 }, because: 'a filter found nothing, whatever was stored' },
  { exchange: 26, ours: { total_count: 6 }, because: ALL_IN_SESSION },
  {
    exchange: 27,
    ours: { results: [], search_metadata: { requested: 'semantic' } },
    because: 'search_metadata names the model that was used, not one that was not there',
  },
  { exchange: 29, ours: { memory_count: 6, time_range: {} }, because: 'a summary instead of a placeholder' },
  {
    exchange: 30,
    ours: { deleted_count: 6 },
    because: 'the cache lacked the method, and nothing was deleted',
  },
  { exchange: 31, ours: 'memory_not_found', because: 'exchange 30 deleted it' },
  { exchange: 32, ours: 'memory_not_found', because: 'exchange 30 deleted it' },
  { exchange: 38, ours: 'invalid_request', because: NOT_JSON },
];

const COLD_READ = 'a row of the database is read as well as one of the cache';
const GENERATION_1_COLD: readonly Row[] = [
  { exchange: 0, ours: { content: { text: 'x' }, priority: 5 }, because: COLD_READ },
  { exchange: 1, ours: { content: { text: 'x' }, priority: 5 }, because: COLD_READ },
  { exchange: 3, ours: { memories: [{ priority: 7 }] }, because: COLD_READ },
  { exchange: 4, ours: 'validation_error', because: REFUSED_TEXT },
  { exchange: 5, ours: 'validation_error', because: REFUSED_TEXT },
];

const GENERATION_2: readonly Row[] = [
  { exchange: 0, ours: HEALTHY, because: 'health says more than ok, in the envelope of every answer' },
  { exchange: 1, ours: HEALTHY, because: 'health says more than ok, in the envelope of every answer' },
  { exchange: 2, ours: { session_id: 'string', created_at: 'string' }, because: MISSING_ACTION },
  { exchange: 3, ours: { session_id: 'string', created_at: 'string' }, because: MISSING_ACTION },
  { exchange: 6, ours: 'session_not_found', because: NO_SESSION },
  { exchange: 7, ours: 'invalid_request', because: NO_SESSION },
  { exchange: 9, ours: 'validation_error', because: LIMITS },
  { exchange: 11, ours: 'validation_error', because: REFUSED_TEXT },
  { exchange: 12, ours: 'validation_error', because: CONTENT },
  { exchange: 13, ours: 'validation_error', because: LIMITS },
  { exchange: 15, ours: CREATED, because: EMPTY },
  { exchange: 16, ours: 'invalid_request', because: NO_SESSION },
  { exchange: 24, ours: { total_count: 1, missing_ids: ['mem-00000000'] }, because: MISSING_ACTION },
  { exchange: 25, ours: { total_count: 6 }, because: MISSING_ACTION },
  { exchange: 26, ours: { total_count: 6 }, because: `${MISSING_ACTION}; ${ALL_IN_SESSION}` },
  { exchange: 27, ours: { results: [] }, because: MISSING_ACTION },
  { exchange: 28, ours: 'validation_error', because: MISSING_ACTION },
  { exchange: 29, ours: { memory_count: 6 }, because: MISSING_ACTION },
  { exchange: 30, ours: { deleted_count: 6 }, because: MISSING_ACTION },
  { exchange: 31, ours: 'memory_not_found', because: 'exchange 30 deleted it' },
  { exchange: 34, ours: { session_id: 'string', is_archived: true }, because: MISSING_ACTION },
  { exchange: 35, ours: 'session_not_found', because: MISSING_ACTION },
  { exchange: 36, ours: 'invalid_request', because: 'the documented code for an unknown action' },
  { exchange: 37, ours: 'invalid_request', because: NOT_JSON },
  { exchange: 38, ours: 'invalid_request', because: NOT_JSON },
];

const stage = createStage();
afterAll(() => stage.stop());

async function nothingBefore(): Promise<void> {}

/** What was in the store when the recording of the cold reads began. */
async function oneMemory(orchestrator: TestOrchestrator): Promise<void> {
  const session = { session_id: 'session-ad3d15b9' };
  await orchestrator.ask('create_session', { user_id: 'u' }, session);
  const memory = { memory_id: 'mem-f70ca023', memory_type: 'conversation', content: { text: 'x' } };
  await orchestrator.ask('create', memory, session);
}

/** Generation 2 asked for no session; its recording names one all the same. */
async function itsSession(orchestrator: TestOrchestrator): Promise<void> {
  await orchestrator.ask('create_session', { user_id: 'u' }, { session_id: 'sess-none' });
}

describe('the original orchestrators', () => {
  test.each([
    ['memory_orchestrator_pg_1ace9f9a', nothingBefore, GENERATION_1],
    ['memory_orchestrator_pg_cold_reads', oneMemory, GENERATION_1_COLD],
    ['memory_orchestrator_inmem_99f6b182', itsSession, GENERATION_2],
  ])('%s gets the recorded answer, except for the listed differences', async (name, prepare, table) => {
    const orchestrator = await stage.start('pglite');
    await prepare(orchestrator);
    const exchanges = readExchanges(name);
    expect(exchanges.length).toBeGreaterThan(table.length);
    const differences = await replay(exchanges, orchestrator);
    expect(differences.map(({ exchange }) => exchange)).toEqual(table.map(({ exchange }) => exchange));
    for (const [index, row] of table.entries()) expectRow(row, differences[index]);
  });
});

function expectRow({ exchange, ours, because }: Row, difference: Difference | undefined): void {
  const found = { exchange, because, ours: difference?.ours };
  if (typeof ours === 'string') expect(found).toEqual({ exchange, because, ours });
  else expect(found).toMatchObject({ exchange, because, ours });
}
