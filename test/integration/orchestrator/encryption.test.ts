import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Ask, dumpOf, type GuardedOrchestrator, startGuarded } from '../../support/access.ts';
import { eventually } from '../../support/eventually.ts';
import type { Differing } from '../../support/orchestrator.ts';

const newKey = (id: string): string => `${id}:${randomBytes(32).toString('base64')}`;
const [OLD, NEW] = [newKey('old'), newKey('new')];
const SECRET = 'Hortensie';

const sealedWith = (...keys: string[]): Differing => ({
  encryption: { keys: keys.join(','), resealRowsPerSecond: 0 },
});

let orchestrator: GuardedOrchestrator;
let ask: Ask;

beforeAll(async () => {
  orchestrator = await startGuarded(sealedWith(OLD));
  ask = orchestrator.as(undefined);
});
afterAll(() => orchestrator.stop());

const fact = (text: string, more: object = {}) => ({
  memory_type: 'fact',
  content: { text, source_agent: 'ada', ...more },
  create_session: true,
});

/** The lane of a write whose answer the lane keeps. */
const namedIn = (key: string) => ({ key, generation: 1, sequence: 1, operation_id: 'a' });

let sessions = 0;
const session = () => ({ session_id: `sealed-${++sessions}` });

describe('with a key', () => {
  test('the database never contains clear content', async () => {
    const at = session();
    const nested = { deep: [{ word: SECRET }], [SECRET]: 1 };
    const made = await ask(
      'create',
      fact(`Die ${SECRET} am Tor`, { metadata: { flower: SECRET }, nested }),
      at,
    );
    await ask(
      'update',
      { memory_id: made.data.memory_id, content: { text: `${SECRET} zwei`, list: [SECRET] } },
      at,
    );
    await ask('batch_write', { operations: [{ action: 'create', payload: fact(`${SECRET} drei`) }] }, at);
    await ask('search', { query: SECRET }, at);
    const clear = { action: 'bulk_delete', payload: { filter: { metadata: { none: SECRET } } } };
    await ask('batch_write', { operations: [clear] }, { ...at, lane: namedIn('never-clear') });
    const named = { ...at, request_id: 'named' };
    const deleted = await ask('bulk_delete', clear.payload, named);
    expect((await ask('bulk_delete', clear.payload, named)).data).toEqual(deleted.data);
    await ask('batch_write', { operations: [clear] }, named);
    await ask('delete', { memory_id: made.data.memory_id }, at);
    await ask('end_session', {}, at);
    const { data } = await ask('scan', {}, at);
    expect(data['session']).toMatchObject({ summary: expect.stringContaining(SECRET) as string });
    expect(data['session']).not.toHaveProperty('sealed_summary');
    const dump = await dumpOf(orchestrator.database);
    expect(dump).toContain(at.session_id);
    expect(dump.toLowerCase()).not.toContain(SECRET.toLowerCase());
    const hidden = [Buffer.from(SECRET).toString('base64').slice(0, -2), Buffer.from(SECRET).toString('hex')];
    for (const spelling of hidden) expect(dump).not.toContain(spelling);
  });

  test('reads return exactly what was written', async () => {
    const at = session();
    const content = '{"text":"x","big":123456789012345678901234567890,"float":1000.0,"tail":1e3,"ok":true}';
    const { data } = await orchestrator.as(undefined)('create', fact('x'), at);
    await ask('delete', { memory_id: data.memory_id }, at);
    const response = await fetch(`http://127.0.0.1:${orchestrator.httpPort}/v1/create`, {
      method: 'POST',
      body: `{"session_id":"${at.session_id}","payload":{"memory_id":"digits-1","memory_type":"fact","content":${content}}}`,
    });
    expect(response.status).toBe(200);
    for (const [action, payload] of [
      ['read', { memory_id: 'digits-1' }],
      ['batch_read', {}],
      ['scan', {}],
    ] as const)
      expect([action, (await ask(action, payload, at)).text]).toEqual([
        action,
        expect.stringContaining(content),
      ]);
  });

  test('a repeated create gets the first answer; other content is refused', async () => {
    const at = session();
    const memory_id = `again-${at.session_id}`;
    const first = await ask('create', { ...fact('same', { a: 1, b: 2 }), memory_id }, at);
    const again = await ask('create', { ...fact('same', { b: 2, a: 1 }), memory_id }, at);
    expect([again.status, again.data]).toEqual(['success', first.data]);
    const other = await ask('create', { ...fact('other'), memory_id }, at);
    expect(other.error.details).toMatchObject({ reason: 'duplicate' });
  });

  test('an update without content keeps the content', async () => {
    const at = session();
    const { data } = await ask('create', fact('stays'), at);
    await ask('update', { memory_id: data.memory_id, tags: ['new'] }, at);
    const read = await ask('read', { memory_id: data.memory_id }, at);
    expect(read.data).toMatchObject({ content: { text: 'stays' }, tags: ['new'], source_agent: 'ada' });
  });

  test('words, phrases, or and not find sealed memories', async () => {
    const at = session();
    for (const text of ['The Rose needs water.', 'Water the tulips, please', 'a rose-garden; no tulips'])
      await ask('create', fact(text), at);
    const found = async (query: string) =>
      (await ask('search', { query }, at)).data.results
        .map(({ content }) => (content as { text: string }).text.slice(0, 5))
        .sort();
    expect(await found('ROSE')).toEqual(['The R', 'a ros']);
    expect(await found('"needs water"')).toEqual(['The R']);
    expect(await found('"water needs"')).toEqual([]);
    expect(await found('rose -garden')).toEqual(['The R']);
    expect(await found('needs or please')).toEqual(['The R', 'Water']);
    expect(await found('water tulips')).toEqual(['Water']);
    expect(await found('-"needs water" rose')).toEqual(['a ros']);
    expect(await found('orchid')).toEqual([]);
  });

  test('filters by metadata find sealed memories, with values that are equal as JSON', async () => {
    const at = session();
    await ask(
      'create',
      {
        ...fact('one', { metadata: { kind: 'a', n: 1, deep: { x: [1, 2] } } }),
        memory_id: `f1-${at.session_id}`,
      },
      at,
    );
    await ask(
      'create',
      { ...fact('two', { metadata: { kind: 'a', n: 2 } }), memory_id: `f2-${at.session_id}` },
      at,
    );
    await ask('create', { ...fact('three'), memory_id: `f3-${at.session_id}` }, at);
    const found = async (metadata: object) =>
      (await ask('batch_read', { filter: { metadata } }, at)).data.memories
        .map(({ content }) => String(content['text']))
        .sort();
    expect(await found({ kind: 'a' })).toEqual(['one', 'two']);
    expect(await found({ kind: 'a', n: 2 })).toEqual(['two']);
    expect(await found({ n: 1.0, deep: { x: [1, 2] } })).toEqual(['one']);
    expect(await found({ kind: 'b' })).toEqual([]);
    expect(await found({})).toEqual(['one', 'three', 'two']);
    const { data } = await ask('bulk_delete', { filter: { metadata: { n: 2 } } }, at);
    expect(data['deleted_count']).toBe(1);
  });

  test('summaries are made of the texts, not of their pseudonyms', async () => {
    const at = session();
    await ask('create', fact('The garden has roses. The garden is large.'), at);
    const { data } = await ask('summarize', {}, at);
    expect(data['summary']).toContain('The garden has roses.');
  });

  test('a content that is moved to another row, or altered, is not readable', async () => {
    const at = session();
    const [one, two] = [`swap-1-${at.session_id}`, `swap-2-${at.session_id}`];
    for (const memory_id of [one, two]) await ask('create', { ...fact(memory_id), memory_id }, at);
    await orchestrator.database.query(
      `update memory_entries m set content = other.content from memory_entries other
       where m.memory_id = any($1) and other.memory_id = any($1) and other.memory_id <> m.memory_id`,
      [[one, two]],
    );
    const { error } = await ask('read', { memory_id: one }, at);
    expect(error).toMatchObject({ code: 'storage_error', details: { reason: 'sealed', memory_id: one } });
    await orchestrator.database.query(
      `update memory_entries set content = jsonb_set(content, '{$sealed}', to_jsonb(left(content ->> '$sealed', -8) || 'AAAAAAA='))
       where memory_id = $1`,
      [two],
    );
    expect((await ask('read', { memory_id: two }, at)).error.details['reason']).toBe('sealed');
    await orchestrator.database.query(`delete from memory_entries where session_id = $1`, [at.session_id]);
  });
});

describe('digests', () => {
  test('are the same for sealed and clear contents', async () => {
    const fields = ['text', 'metadata', 'big'];
    const write = async (to: Ask) => {
      for (const [index, text] of ['a', 'b', 'ä'].entries())
        await to(
          'create',
          { ...fact(text, { metadata: { n: 1.5, k: [null] }, big: 1e21 }), memory_id: `d${index}` },
          { session_id: 'd' },
        );
      const sum = await to('digest', { fields }, { session_id: 'd' });
      const ordered = await to('digest', { fields, ordered: true }, { session_id: 'd' });
      return [sum.data['digest'], sum.data['count'], ordered.data['digest']];
    };
    const clear = await startGuarded({});
    expect(await write(ask)).toEqual(await write(clear.as(undefined)));
    await clear.stop();
  });
});

describe('changing keys', () => {
  test('an older key still decrypts and searches; without it the start is refused', async () => {
    const at = session();
    const memory_id = `rotated-${at.session_id}`;
    const memory = { ...fact('an old rose', { metadata: { age: 'old' } }), memory_id };
    const first = await ask('create', memory, at);
    await orchestrator.restart(sealedWith(NEW, OLD));
    ask = orchestrator.as(undefined);
    await ask(
      'create',
      { ...fact('a new rose', { metadata: { age: 'old' } }), memory_id: `${memory_id}-2` },
      at,
    );
    const keys = await orchestrator.database.query<{ key: string }>(
      'select content_key as key from memory_entries where session_id = $1 order by content_key',
      [at.session_id],
    );
    expect(keys.map(({ key }) => key)).toEqual(['new', 'old']);
    expect((await ask('read', { memory_id }, at)).data['content']).toMatchObject({ text: 'an old rose' });
    expect((await ask('search', { query: 'rose' }, at)).data['total_count']).toBe(2);
    expect((await ask('batch_read', { filter: { metadata: { age: 'old' } } }, at)).data['total_count']).toBe(
      2,
    );
    expect((await ask('create', memory, at)).data).toEqual(first.data);
    await expect(orchestrator.restart(sealedWith(NEW))).rejects.toThrow(
      /sealed with "old", which is not among the configured encryption keys/,
    );
    await expect(orchestrator.restart({})).rejects.toThrow(/sealed with "new", "old"/);
  });

  test('everything is sealed with the newest key in the background', async () => {
    await orchestrator.restart({ encryption: { keys: [NEW, OLD].join(','), resealRowsPerSecond: 100_000 } });
    ask = orchestrator.as(undefined);
    await eventually('all are sealed with the new key', async () => {
      const [row] = await orchestrator.database.query<{ count: number }>(
        `select (select count(*) from memory_entries where content_key is distinct from 'new')
           + (select count(*) from sessions where summary is not null and summary_key is distinct from 'new') as count`,
      );
      return row?.count === 0;
    });
    await orchestrator.restart(sealedWith(NEW));
    ask = orchestrator.as(undefined);
    const { data } = await ask('search', { query: 'rose' }, { session_id: 'sealed-5' });
    expect(data.results.map(({ content }) => (content as { text: string }).text).sort()).toEqual([
      'The Rose needs water.',
      'a rose-garden; no tulips',
    ]);
  });

  test('the answer that a lane keeps is repeated, and is sealed with the newest key', async () => {
    const guarded = await startGuarded({});
    try {
      const filter = { metadata: { flower: SECRET } };
      const write = (key: string) =>
        guarded.as(undefined)(
          'batch_write',
          {
            operations: [
              { action: 'create', payload: { ...fact('x'), memory_id: `memory-of-${key}` } },
              { action: 'bulk_delete', payload: { filter } },
            ],
          },
          { session_id: key, lane: namedIn(key) },
        );
      const clear = await write('clear');
      await guarded.restart(sealedWith(OLD));
      const sealed = await write('sealed');
      expect(sealed.data.results).toMatchObject([{}, { deleted_count: 0, filter_applied: filter }]);
      const repeated = async () => {
        expect((await write('clear')).data).toEqual({ ...clear.data, repeated: true });
        expect((await write('sealed')).data).toEqual({ ...sealed.data, repeated: true });
      };
      await repeated();
      // Only the answers need the old key then.
      await guarded.database.query('delete from memory_entries');
      await expect(guarded.restart(sealedWith(NEW))).rejects.toThrow(/sealed with "old"/);
      await guarded.restart({ encryption: { keys: [NEW, OLD].join(','), resealRowsPerSecond: 100_000 } });
      await eventually('the answers are sealed with the new key', async () => {
        const rows = await guarded.database.query<{ answer: string }>('select answer from memory_lanes');
        return rows.every(({ answer }) => answer.startsWith('sealed:new:'));
      });
      await repeated();
      await guarded.restart({ encryption: { keys: NEW, resealRowsPerSecond: 0 } });
      await repeated();
    } finally {
      await guarded.stop();
    }
  });

  test('older clear memories stay readable, and are sealed later', async () => {
    const guarded = await startGuarded({});
    try {
      const at = { session_id: 'clear' };
      // jsonb would sort these keys, so the text is kept beside it.
      const unsorted = { metadata: { k: 1, b: { z: 1, a: 'a clear rose' } } };
      await guarded.as(undefined)('create', { ...fact('a clear rose', unsorted), memory_id: 'c1' }, at);
      await guarded.as(undefined)('upsert_session', { summary: 'a clear summary' }, at);
      await guarded.restart(sealedWith(OLD));
      await guarded.as(undefined)(
        'create',
        { ...fact('a sealed rose', { metadata: { k: 1 } }), memory_id: 'c2' },
        at,
      );
      const both = guarded.as(undefined);
      expect((await both('search', { query: 'rose' }, at)).data['total_count']).toBe(2);
      expect((await both('batch_read', { filter: { metadata: { k: 1 } } }, at)).data['total_count']).toBe(2);
      await guarded.restart({ encryption: { keys: OLD, resealRowsPerSecond: 100_000 } });
      await eventually(
        'no clear text is left',
        async () => !/a clear (?:rose|summary)/.test(await dumpOf(guarded.database)),
      );
      expect((await guarded.as(undefined)('read', { memory_id: 'c1' }, at)).text).toContain(
        JSON.stringify(fact('a clear rose', unsorted).content),
      );
      const { data } = await guarded.as(undefined)('scan', {}, at);
      expect(data['session']).toMatchObject({ summary: 'a clear summary' });
    } finally {
      await guarded.stop();
    }
  });

  test('unusable keys stop the start', async () => {
    await expect(startGuarded(sealedWith('old:short'))).rejects.toThrow(
      'Line 1 of the encryption keys is invalid',
    );
  });
});
