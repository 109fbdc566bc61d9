import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { fastify } from 'fastify';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { operationId, serviceName, type LaneKey } from '../../src/domain/ids.ts';
import { compareReplies } from '../../src/engine/compare/compare-replies.ts';
import { registerRuleRoutes } from '../../src/operator/routes/rule-routes.ts';
import { jarvisMemory } from '../../src/services/jarvis-memory.ts';
import { applySchema } from '../../src/storage/apply-schema.ts';
import { createAuditStore } from '../../src/storage/audit.ts';
import { createPostgresDatabase, type Database } from '../../src/storage/database.ts';
import { createDifferenceStore } from '../../src/storage/differences.ts';
import { createRuleStore } from '../../src/storage/rules.ts';
import { PLAIN } from '../../src/storage/seal.ts';
import { blocksOf } from '../support/guide-examples.ts';
import { freePort } from '../support/ports.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';

const run = promisify(execFile);
const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
const SCHEMA = new URL('../../src/storage/schema/', import.meta.url);
const SERVICE = serviceName('jarvis-memory');
const app = fastify();

let postgres: TestPostgres;
let database: Database;
let folder: string;
let url: string;

beforeAll(async () => {
  postgres = await startPostgres();
  database = createPostgresDatabase({ url: await postgres.createDatabase() });
  await applySchema(database, SCHEMA);
  folder = await mkdtemp(join(tmpdir(), 'crossfade-rules-'));
  await writeFile(join(folder, 'rules.yaml'), RULES);
  registerRuleRoutes(app, {
    services: new Map([[SERVICE, { definition: jarvisMemory }]]),
    rules: createRuleStore(database),
    differences: createDifferenceStore({ database, seal: PLAIN }),
    audit: createAuditStore(database),
    nowMs: () => Date.now(),
  });
  url = await app.listen({ host: '127.0.0.1', port: await freePort() });
}, 60_000);
afterAll(async () => {
  await app.close();
  await database.close();
  await postgres.stop();
  await rm(folder, { recursive: true });
});

const RULES = `
- action: get_memories
  kind: ignore
  path: memories[].memory.note
  owner: ann
  reason: notes are generated on every read
  expires: 2999-01-31
`;
const OF_SERVICE = ['--service', SERVICE];
const BY_ANN = ['--person', 'ann', '--reason', 'notes differ'];

async function rules(...words: string[]): Promise<string> {
  const { stdout } = await run(process.execPath, [MAIN, 'rules', ...words, '--url', url]);
  return stdout;
}

/** What `crossfade rules` prints, as JSON. */
async function rulesJson(...words: string[]): Promise<unknown> {
  return JSON.parse(await rules(...words, '--json')) as unknown;
}

async function storeDifferences(): Promise<void> {
  const store = createDifferenceStore({ database, seal: PLAIN });
  const replies = [
    ['{"memories":[{"memory":{"note":"a"}}]}', '{"memories":[{"memory":{"note":"b"}}]}'],
    ['{"memories":[{"memory":{"text":"a"}}]}', '{"memories":[{"memory":{"text":"b"}}]}'],
  ] as const;
  const [pair] = replies;
  const judgedWith = { nowIso: new Date().toISOString(), clockOffsetSeconds: 0 };
  for (const [[legacy, orchestrator], more] of [
    ...replies.map((each) => [each, { judgedWith }] as const),
    // As a whole lane is stored.
    [pair, {}] as const,
  ]) {
    await store.add({
      operationId: operationId('6f8a4a9e-9a3b-4a4e-8c1e-0d6a3f2b1c0d'),
      service: SERVICE,
      action: 'get_memories',
      lane: 'jarvis-memory/ann' as LaneKey,
      primary: 'legacy',
      comparison: compareReplies({ legacy, orchestrator, rules: [] }).comparison,
      atMs: Date.now(),
      ...more,
    });
  }
}

test('rules are tried, added, listed with their hits, removed, and audited', async () => {
  await storeDifferences();
  const file = join(folder, 'rules.yaml');
  expect(await rulesJson('try', file, ...OF_SERVICE)).toMatchObject({
    actions: [
      {
        action: 'get_memories',
        comparisons: 2,
        would_match: 1,
        still_mismatch: 1,
        undecided: 0,
        not_judged: 1,
      },
    ],
  });
  expect(await rules('try', file, ...OF_SERVICE)).toContain(
    'get_memories: of 2 stored mismatches 1 would match, 1 would not',
  );
  expect(await rules('try', file, ...OF_SERVICE)).toContain(
    '1 more cannot be compared again: they are whole lanes,',
  );
  const [shown = 'nothing'] = blocksOf('comparison-rules.md', 'text');
  expect(await rules('try', file, ...OF_SERVICE)).toContain(shown);
  expect(await rulesJson('add', file, ...OF_SERVICE, ...BY_ANN)).toEqual({ service: SERVICE, added: [1] });
  expect(await rulesJson('list', ...OF_SERVICE)).toMatchObject({
    rules: [
      { id: null, rule: { kind: 'tolerance_seconds' }, expired: false, hits: 0 },
      { id: 1, action: 'get_memories', rule: { kind: 'ignore', owner: 'ann' }, expired: false },
    ],
  });
  expect(await rules('list', ...OF_SERVICE)).toMatch(
    /^ignore memories\[\]\.memory\.note \(added, number 1\) +get_memories +0 +notes are generated.* \(ann\) +2999-01-31$/m,
  );
  await expect(rules('remove', '1', '--reason', 'nobody says who')).rejects.toThrow(
    /missing required options: --person/,
  );
  await expect(rules('remove', '1', '--service', 'nobody', ...BY_ANN)).rejects.toThrow(/unknown service/);
  expect(await rulesJson('remove', '1', ...OF_SERVICE, ...BY_ANN)).toEqual({ service: SERVICE, removed: 1 });
  await expect(rules('remove', '1', ...OF_SERVICE, ...BY_ANN)).rejects.toThrow(/unknown rule 1/);
  const rule = 'get_memories: ignore memories[].memory.note';
  expect(await createAuditStore(database).recent({ limit: 10 })).toMatchObject([
    { command: 'rules remove', person: 'ann', service: SERVICE, details: { removed: 1, rule } },
    { command: 'rules add', person: 'ann', reason: 'notes differ', details: { added: [1], rules: [rule] } },
  ]);
}, 60_000);

test('an invalid rules file is refused with the reason', async () => {
  const file = join(folder, 'wrong.yaml');
  const adding = async (text: string): Promise<string> => {
    await writeFile(file, text);
    return rules('add', file, ...OF_SERVICE, ...BY_ANN);
  };
  await expect(adding(RULES.replace('get_memories', 'get_memory'))).rejects.toThrow(
    /does not compare an action "get_memory": use get_memories/,
  );
  await expect(adding(RULES.replace('kind: ignore', 'kind: ignored'))).rejects.toThrow(/kind must be one of/);
  await expect(adding(RULES.replace('2999-01-31', '2026-99-99'))).rejects.toThrow(
    /rule 1: expires must be a calendar day such as 2027-01-31, got "2026-99-99"/,
  );
  await expect(adding(RULES.replace('2999', '2020'))).rejects.toThrow(
    /rule "get_memories: ignore memories\[\]\.memory\.note" has already expired \(2020-01-31\)/,
  );
  await expect(adding(RULES.replace('memories[].memory.note', 'memories'))).rejects.toThrow(
    /rule 1: path "memories" names no member of a list's element[^]*hidesList: true/,
  );
  await expect(adding('action: get_memories')).rejects.toThrow(/is not a list of rules/);
  await writeFile(file, RULES.replace('2999', '2020'));
  await expect(rules('try', file, ...OF_SERVICE)).rejects.toThrow(/has already expired \(2020-01-31\)/);
  await expect(rules('try', join(folder, 'none.yaml'), ...OF_SERVICE)).rejects.toThrow(
    /cannot read .*none\.yaml: no such file or folder; .*rules --help/,
  );
  await expect(rules('try', file)).rejects.toThrow(/'--service <name>' not specified[^]*--help/);
  await expect(rules('list', '--service', 'nobody')).rejects.toThrow(/unknown service "nobody": use jarvis/);
}, 60_000);
