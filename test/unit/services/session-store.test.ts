import { DatabaseSync } from 'node:sqlite';
import fc from '../../support/properties.ts';
import { describe, expect, test } from 'vitest';
import { parseOwner, type Owner } from '../../../src/domain/ids.ts';
import { encodeJson } from '../../../src/domain/json.ts';
import { readText } from '../../../src/domain/request.ts';
import { surveyService } from '../../../src/engine/runs/survey.ts';
import { listOwners, pagesOf } from '../../../src/engine/runs/legacy-lanes.ts';
import type { LegacyAccess } from '../../../src/domain/service-definition.ts';
import { sessionMemory } from '../../../src/services/session-memory/session-memory.ts';
import { sessionFields } from '../../../src/services/session-memory/store.ts';
import { surveyed } from '../../support/surveyed.ts';
import { Delivered, listedFields } from './memory-list.ts';
import { ask, say, shownOf } from './session-requests.ts';
import { serviceWith } from '../engine/engine-parts.ts';

/** The service's own tables, in memory: nothing stands for SQLite here. */
function sessionFile(fill: (file: DatabaseSync) => void) {
  const file = new DatabaseSync(':memory:');
  file.exec(`create table sessions (session_id text primary key, user_id text, created_at text, last_active text, metadata text);
    create table interactions (id integer primary key autoincrement, session_id text, timestamp text, role text, content text, metadata text)`);
  fill(file);
  return {
    sqlite: async (sql: string, parameters: readonly string[]) =>
      file.prepare(sql).all(...parameters) as Readonly<Record<string, unknown>>[],
  };
}

const SESSION_ROW = 'insert into sessions (session_id, user_id, created_at, metadata) values (?, ?, ?, ?)';
const INTERACTION_ROW =
  "insert into interactions (session_id, timestamp, role, content, metadata) values (?, ?, 'user', ?, '{}')";

async function pagesIn(access: LegacyAccess): Promise<(readonly Owner[])[]> {
  const pages: (readonly Owner[])[] = [];
  for await (const owners of (await listOwners({ definition: sessionMemory, access })) ?? [])
    pages.push(owners);
  return pages;
}

test('interactions of deleted sessions are counted', async () => {
  const access = sessionFile((file) => {
    file.prepare(SESSION_ROW).run('s', 'u', '2026-11-01T01:00:00', '{}');
    file.prepare(SESSION_ROW).run(null, 'u', '2026-11-01T01:00:00', '{}');
    for (const owner of ['s', 'gone', 'gone', null])
      file.prepare(INTERACTION_ROW).run(owner, '2026-11-01T01:00:00', 'hello');
  });
  expect(await sessionMemory.lanes.strays?.(access)).toEqual({
    'interactions of sessions that are gone': 3,
    'sessions whose id no lane can carry': 1,
  });
});

test('a survey reports missing times, and owners that are about to be forgotten', async () => {
  const access = sessionFile((file) => {
    for (const [owner, created] of [
      ['sound', '2026-11-01T11:50:00'],
      ['old', '2026-11-01T10:00:00'],
      ['made some day', 'some day'],
      ['said some day', '2026-11-01T11:50:00'],
    ])
      file.prepare(SESSION_ROW).run(owner ?? '', 'u', created ?? '', '{}');
    file.prepare(INTERACTION_ROW).run('sound', '2026-11-01T11:55:00', 'hello');
    file.prepare(INTERACTION_ROW).run('old', '2026-11-01T11:00:00', 'an hour ago');
    file.prepare(INTERACTION_ROW).run('made some day', '2026-11-01T11:55:00', 'hello');
    for (const timestamp of ['2026-11-01T11:55:00', 'yesterday', '', '2026-11-01T11:56:00'])
      file.prepare(INTERACTION_ROW).run('said some day', timestamp, 'hello');
  });
  const runtime = serviceWith({ definition: sessionMemory, access });
  const nowMs = Date.UTC(2026, 10, 1, 12);
  const { survey } = await surveyed(surveyService(runtime, { nowMs, journaled: pagesOf([]) }));
  expect(survey.concerns).toMatchObject({
    unknown_times: { count: 3, owners: ['made some day', 'said some day'] },
    about_to_be_forgotten: { count: 1, owners: ['old'] },
    times_going_backwards: { count: 0 },
  });
});

describe('the store', () => {
  const OWNER = parseOwner('s') as Owner;
  const context = { timeZone: 'America/New_York' };
  const rows = [
    {
      id: 7,
      timestamp: '2026-11-01T01:50:00.000001',
      role: 'user',
      content: 'one',
      metadata: '{"tags": ["a"], "n": NaN}',
    },
    { id: 8, timestamp: '2026-11-01T01:10:00', role: 'assistant', content: 'two', metadata: '{}' },
    { id: 30_000, timestamp: '2026-11-01T01:20:00', role: 'user', content: null, metadata: '[1]' },
  ];
  const asked: string[] = [];
  const access = {
    sqlite: (sql: string, parameters: readonly string[]) => {
      asked.push(sql);
      if (sql.includes('min(id)')) return Promise.resolve([{ first: 7, last: 30_000 }]);
      if (sql.includes('from interactions')) {
        const [, first, end] = parameters.map(Number);
        return Promise.resolve(rows.filter(({ id }) => id >= Number(first) && id < Number(end)));
      }
      if (sql.startsWith('select rowid'))
        return Promise.resolve([
          { place: 1, session_id: 's' },
          { place: 2, session_id: '' },
        ]);
      const session = { user_id: null, created_at: '2026-11-01T01:49:00', metadata: '{"device": "pc"}' };
      return Promise.resolve(parameters[0] === 's' ? [session] : []);
    },
  };

  test('names its sessions', async () => {
    expect(await pagesIn(access)).toEqual([['s']]);
    await expect(pagesIn({})).rejects.toThrow('not configured');
  });

  test('names its sessions page by page, each once', async () => {
    const many = sessionFile((file) => {
      const insert = file.prepare(SESSION_ROW);
      for (let session = 0; session < 2_500; session += 1)
        insert.run(`s-${session}`, 'u', '2026-11-01T11:55:00', '{}');
    });
    const pages = await pagesIn(many);
    expect(pages.map(({ length }) => length)).toEqual([1_000, 1_000, 500]);
    expect(new Set(pages.flat()).size).toBe(2_500);
  });

  test('shows a session in the order of insertion, through the hour that comes twice', async () => {
    const lane = await sessionMemory.lanes.readLegacy(OWNER, access, context);
    expect(lane.exists).toBe(true);
    expect(lane.session).toEqual({
      userId: 'default',
      metadata: '{"device":"pc","legacy_user_id":null}',
      createdAt: '2026-11-01T05:49:00.000Z',
    });
    expect(lane.items.map(({ at }) => at)).toEqual([
      '2026-11-01T05:50:00.000Z',
      '2026-11-01T06:10:00.000Z',
      '2026-11-01T06:20:00.000Z',
    ]);
    expect(await sessionMemory.lanes.readLegacy(parseOwner('gone') as Owner, access, context)).toEqual({
      exists: false,
      items: [],
    });
  });

  test('returns every interaction of a file with more than 40,000 of them', async () => {
    const ids = [1, 20_000, 20_001, 40_000, 40_001];
    const long = sessionFile((file) => {
      file.prepare(SESSION_ROW).run('s', 'u', '2026-11-01T11:55:00', '{}');
      const insert = file.prepare(
        "insert into interactions (id, session_id, timestamp, role, content, metadata) values (?, 's', '2026-11-01T11:55:00', 'user', ?, '{}')",
      );
      for (const id of ids) insert.run(id, `said ${id}`);
    });
    const said = ids.map((id) => JSON.stringify(`said ${id}`));
    const alone = await sessionMemory.lanes.readLegacy(OWNER, long, context);
    expect(alone.items.map(({ fields }) => fields['content'])).toEqual(said);
    const together = await sessionMemory.lanes.readMany?.([OWNER], long, context);
    expect(together?.get(OWNER)?.items.map(({ fields }) => fields['content'])).toEqual(said);
  });

  test('after a copy, shows the same fields and the service’s own times', async () => {
    const lane = await sessionMemory.lanes.readLegacy(OWNER, access, context);
    const delivered = new Delivered(sessionMemory, context.timeZone);
    delivered.list.copy({ ...lane, items: lane.items.slice(0, 2) }, OWNER, sessionMemory);
    expect(listedFields(delivered.list, sessionMemory)).toEqual(
      lane.items.slice(0, 2).map(({ fields }) => fields),
    );
    expect(shownOf(delivered.read(ask())).map(({ timestamp }) => timestamp)).toEqual(
      rows.slice(0, 2).map(({ timestamp }) => timestamp),
    );
    delivered.list.copy({ ...lane, items: lane.items.slice(2) }, OWNER, sessionMemory, 1);
    expect(listedFields(delivered.list, sessionMemory)).toHaveLength(3);
    expect(shownOf(delivered.read(ask()))).toEqual([]);
  });

  test('a delivered write and its row have the same fields, for any content', () => {
    const roles = fc.oneof(fc.constantFrom('user', 'assistant'), fc.string({ minLength: 1 }));
    const metadata = fc.dictionary(fc.string(), fc.jsonValue());
    fc.assert(
      fc.property(roles, fc.string({ minLength: 1, unit: 'binary' }), metadata, (role, content, own) => {
        const delivered = new Delivered(sessionMemory);
        delivered.write(say(content, { role, metadata: own }));
        const [listed] = listedFields(delivered.list, sessionMemory) as Record<string, string>[];
        const values = Object.entries(listed ?? {}).map(([key, raw]) => [key, JSON.parse(raw) as unknown]);
        expect(Object.fromEntries(values)).toEqual(
          JSON.parse(JSON.stringify({ role, content, metadata: own })),
        );
      }),
    );
  });

  test.each(['null', 'false', '0', '""', '[]', '{}'])('metadata %s is stored as none', (metadata) => {
    const delivered = new Delivered(sessionMemory);
    const request = `{"action":"add_interaction","session_id":"s","role":"user","content":"x","metadata":${metadata}}`;
    delivered.write(request);
    expect(listedFields(delivered.list, sessionMemory)).toEqual([
      { role: '"user"', content: '"x"', metadata: '{}' },
    ]);
  });
});

test('owners are ordered by when the service created or loaded them', async () => {
  const access = sessionFile((file) => {
    const add = file.prepare('insert into sessions (session_id, last_active) values (?, ?)');
    for (const time of ['2026-07-01T11:59:59.999999', '2026-07-01T12:00:00', '2026-07-01T12:00:00.000001'])
      add.run(time, time);
    // The service never deletes what has no time.
    add.run('some day', 'some day');
    add.run('never', null);
  });
  const around = await sessionMemory.lanes.ownersAround?.('2026-07-01T10:00:00.000Z', access, {
    timeZone: 'Europe/Berlin',
  });
  expect(around).toEqual({ before: 1, since: 2 });
});

test.each([
  { name: 'plain', userId: '"ana"', metadata: '{"plan": 1e16, "tags": ["a"]}' },
  { name: 'without metadata', userId: '"default"', metadata: '{}' },
  { name: 'metadata that is no object', userId: '"ana"', metadata: '[1, 12345678901234567890]' },
  { name: 'a user that is a number', userId: '77', metadata: '{"n": 1}' },
  { name: 'a long user', userId: `"${'u'.repeat(80)}"`, metadata: '{"legacy_id": "own"}' },
])('a session that is gone is created again as it was: $name', ({ userId, metadata }) => {
  const owner = parseOwner('s'.repeat(100)) as Owner;
  const { user_id, session_metadata } = sessionFields({ owner, userId, metadata });
  const stored = { userId: user_id, metadata: encodeJson(session_metadata) };
  const request = readText(sessionMemory.lanes.restoreOwner?.(owner, stored) ?? '');
  expect(request.fields).toMatchObject({ action: 'create_session', session_id: owner });
  const again = { owner, userId: request.raw['user_id'], metadata: request.raw['metadata'] };
  expect(sessionFields(again)).toEqual({ user_id, session_metadata });
});
