import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { operationId, serviceName, type LaneKey } from '../../src/domain/ids.ts';
import { compareReplies } from '../../src/migration/compare/compare-replies.ts';
import { applySchema } from '../../src/storage/apply-schema.ts';
import { createPostgresDatabase } from '../../src/storage/database.ts';
import { createDifferenceStore } from '../../src/storage/differences.ts';
import { PLAIN } from '../../src/storage/seal.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';

const run = promisify(execFile);
const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
const SCHEMA = new URL('../../src/storage/schema/', import.meta.url);

let postgres: TestPostgres;
let folder: string;
let url: string;

beforeAll(async () => {
  postgres = await startPostgres();
  url = await postgres.createDatabase();
  folder = await mkdtemp(join(tmpdir(), 'crossfade-rules-'));
  await writeFile(join(folder, 'rules.yaml'), RULES);
  await writeFile(join(folder, 'config.yaml'), CONFIG);
}, 60_000);
afterAll(async () => {
  await postgres.stop();
  await rm(folder, { recursive: true });
});

const RULES = `
- action: get_memories
  kind: ignore
  path: memories[].memory.note
  owner: ann
  reason: notes are made anew by every reader
`;
const CONFIG = `
services:
  jarvis-memory:
    timeZone: UTC
    legacy: { endpoint: tcp://127.0.0.1:25598 }
orchestrator:
  endpoint: tcp://127.0.0.1:25570
`;

/** What `crossfade rules` prints, as JSON. */
async function rules(...words: string[]): Promise<unknown> {
  const options = ['--service', 'jarvis-memory', '--config', join(folder, 'config.yaml'), '--json'];
  const { stdout } = await run(process.execPath, [MAIN, 'rules', ...words, ...options], {
    env: { ...process.env, DATABASE_URL: url },
  });
  return JSON.parse(stdout) as unknown;
}

async function storeDifferences(): Promise<void> {
  const database = createPostgresDatabase({ url });
  await applySchema(database, SCHEMA);
  const store = createDifferenceStore({ database, seal: PLAIN });
  const replies = [
    ['{"memories":[{"memory":{"note":"a"}}]}', '{"memories":[{"memory":{"note":"b"}}]}'],
    ['{"memories":[{"memory":{"text":"a"}}]}', '{"memories":[{"memory":{"text":"b"}}]}'],
  ] as const;
  for (const [legacy, orchestrator] of replies) {
    await store.add({
      operationId: operationId('6f8a4a9e-9a3b-4a4e-8c1e-0d6a3f2b1c0d'),
      service: serviceName('jarvis-memory'),
      action: 'get_memories',
      lane: 'jarvis-memory/ann' as LaneKey,
      primary: 'legacy',
      comparison: compareReplies({ legacy, orchestrator, rules: [] }).comparison,
      atMs: Date.now(),
    });
  }
  await database.close();
}

test('rules are tried on what is stored, added, listed with their hits, and removed', async () => {
  await storeDifferences();
  const file = join(folder, 'rules.yaml');
  expect(await rules('try', file)).toMatchObject({
    action: 'get_memories',
    comparisons: 2,
    wouldMatch: 1,
    stillMismatch: 1,
    undecided: 0,
  });
  expect(await rules('add', file)).toEqual({ added: [1] });
  expect(await rules('list')).toMatchObject([
    { id: null, rule: { kind: 'tolerance_seconds' }, expired: false, hits: 0 },
    { id: 1, action: 'get_memories', rule: { kind: 'ignore', owner: 'ann' }, expired: false },
  ]);
  expect(await rules('remove', '1', '--by', 'ann')).toEqual({ removed: 1 });
  await expect(rules('remove', '1', '--by', 'ann')).rejects.toThrow(/No rule that was added/);
}, 60_000);

test('a file that is no list of rules is refused', async () => {
  const file = join(folder, 'wrong.yaml');
  await writeFile(file, RULES.replace('get_memories', 'get_memory'));
  await expect(rules('add', file)).rejects.toThrow(/compares no action "get_memory"/);
  await writeFile(file, RULES.replace('kind: ignore', 'kind: ignored'));
  await expect(rules('try', file)).rejects.toThrow(/kind must be one of/);
}, 60_000);
