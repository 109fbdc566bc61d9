import { afterAll, beforeAll, expect, test } from 'vitest';
import { createAuditStore } from '../../../src/storage/audit.ts';
import { createPgliteDatabase, type Database } from '../../../src/storage/database.ts';
import { applySchema } from '../../../src/storage/apply-schema.ts';

let database: Database;
beforeAll(async () => {
  database = createPgliteDatabase();
  await applySchema(database, new URL('../../../src/storage/schema/', import.meta.url));
});
afterAll(async () => {
  await database.close();
});

test('few changes of one service are found among hundreds of others, page by page', async () => {
  const audit = createAuditStore(database);
  const change = (service: string, reason: string) =>
    audit.add({ person: 'ann', command: 'flags set', service, reason, details: {} });
  for (const reason of ['first', 'second', 'third']) await change('quiet', reason);
  for (let at = 0; at < 150; at += 1) await change('busy', `${at}`);
  const newest = await audit.recent({ service: 'quiet', limit: 2 });
  expect(newest.map(({ reason }) => reason)).toEqual(['third', 'second']);
  const before = newest.at(-1)?.id ?? 0;
  const older = await audit.recent({ service: 'quiet', limit: 2, before });
  expect(older.map(({ reason }) => reason)).toEqual(['first']);
  expect(await audit.recent({ limit: 1_000 })).toHaveLength(153);
});
