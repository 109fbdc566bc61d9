import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createStage, type TestOrchestrator } from '../../support/orchestrator.ts';
import { DATABASES } from '../../support/tier.ts';

const stage = createStage();
afterAll(() => stage.stop());

interface Operation {
  readonly action: string;
  readonly session_id?: string;
  readonly lane?: { key: string; generation: number; sequence?: number };
  readonly payload: object;
}

describe.each(DATABASES)('writes after a fence on %s', (kind) => {
  let orchestrator: TestOrchestrator;
  let lanes = 0;
  beforeAll(async () => {
    orchestrator = await stage.start(kind);
  });

  /** A session with a lane of its own. */
  function newLane() {
    const session_id = `fence-${kind}-${++lanes}`;
    const at = (generation: number, sequence?: number) => ({
      key: `test:${session_id}`,
      generation,
      ...(sequence !== undefined && { sequence }),
    });
    const create = (text: string, more: object = {}) => ({
      action: 'create',
      payload: { memory_type: 'conversation', content: { text }, create_session: true, ...more },
    });
    return {
      session_id,
      at,
      create,
      send: (operations: readonly Operation[], envelope: object = {}) =>
        orchestrator.ask('batch_write', { operations }, { session_id, ...envelope }),
      texts: async () => {
        const { data } = await orchestrator.ask('scan', { limit: 1_000 }, { session_id });
        return data.items.map(({ content }) => content['text']);
      },
    };
  }

  test('a write of an older generation has no effect and is answered so', async () => {
    const { send, at, create, texts } = newLane();
    await send([{ ...create('new'), lane: at(2, 1) }]);
    const late = await send([{ ...create('late'), lane: at(1, 99) }]);
    expect(late).toMatchObject({
      status: 'success',
      data: { results: [{ superseded: true, lane_generation: 2 }] },
    });
    expect(await texts()).toEqual(['new']);
  });

  test('a fenced clear of an unknown session raises the fence against earlier creates', async () => {
    const { send, at, create, texts } = newLane();
    const clear = { action: 'bulk_delete', payload: { filter: { memory_type: 'conversation' } } };
    expect(await send([{ ...clear, lane: at(1, 2) }])).toMatchObject({
      data: { results: [{ deleted_count: 0 }] },
    });
    const late = await send([{ ...create('late'), lane: at(1, 1) }]);
    expect(late.data.results).toEqual([{ already_applied: true }]);
    expect(await texts()).toEqual([]);
  });

  test('a repeated or overtaken sequence has no effect and is answered so', async () => {
    const { send, at, create, texts } = newLane();
    await send([{ ...create('five'), lane: at(1, 5) }]);
    for (const sequence of [5, 4]) {
      const again = await send([{ ...create('again'), lane: at(1, sequence) }]);
      expect(again.data.results).toEqual([{ already_applied: true }]);
    }
    expect(await texts()).toEqual(['five']);
  });

  test('a batch applies only the writes of a lane above its position', async () => {
    const { send, at, create, texts } = newLane();
    const write = (sequence: number) => ({
      ...create(`number ${sequence}`, { position: sequence }),
      lane: at(1, sequence),
    });
    await send([write(1)]);
    const ahead = await send([write(2), write(3), write(4)]);
    expect(ahead.data.results).toMatchObject([2, 3, 4].map(() => ({ memory_id: expect.any(String) })));
    const halfway = await send([write(3), write(4), write(5)]);
    expect(halfway.data.results).toMatchObject([
      { already_applied: true },
      { already_applied: true },
      { memory_id: expect.any(String) },
    ]);
    expect(await texts()).toEqual([1, 2, 3, 4, 5].map((sequence) => `number ${sequence}`));
  });

  test('a new generation starts at its own sequence, and accepts writes without one', async () => {
    const { send, at, create, texts } = newLane();
    await send([{ ...create('old', { position: 1 }), lane: at(1, 50) }]);
    await send([{ ...create('copied 1', { position: 2 }), lane: at(2) }]);
    await send([{ ...create('copied 2', { position: 3 }), lane: at(2) }]);
    await send([{ ...create('copied 3', { position: 4 }), lane: at(2, 50) }]);
    const covered = await send([{ ...create('covered by the copy'), lane: at(2, 50) }]);
    expect(covered.data.results).toEqual([{ already_applied: true }]);
    await send([{ ...create('next', { position: 5 }), lane: at(2, 51) }]);
    expect(await texts()).toEqual(['old', 'copied 1', 'copied 2', 'copied 3', 'next']);
  });

  test('adjacent operations with one sequence are one write', async () => {
    const { send, at, create, session_id, texts } = newLane();
    await send([{ ...create('gone', { position: 1 }), lane: at(1, 1) }]);
    const deleteSession = [
      { action: 'bulk_delete', lane: at(1, 2), payload: { filter: { position_below: 2 ** 21 } } },
      { action: 'end_session', lane: at(1, 2), payload: { archive: true } },
    ];
    const first = await send(deleteSession);
    expect(first.data.results).toMatchObject([{ deleted_count: 1 }, { is_archived: true }]);
    const again = await send(deleteSession);
    expect(again.data.results).toEqual([{ already_applied: true }, { already_applied: true }]);
    const { data } = await orchestrator.ask('scan', {}, { session_id });
    expect(data['session']).toMatchObject({ is_archived: true });
    expect(await texts()).toEqual([]);
  });

  test('a late delete of everything keeps later memories', async () => {
    const { send, at, create, texts } = newLane();
    await send([{ ...create('before', { position: 1 }), lane: at(1, 1) }]);
    const clear = {
      action: 'bulk_delete',
      lane: at(1, 2),
      payload: { filter: { position_below: 2 * 2 ** 20 } },
    };
    await send([clear]);
    await send([{ ...create('after', { position: 3 * 2 ** 20 }), lane: at(1, 3) }]);
    expect((await send([clear])).data.results).toEqual([{ already_applied: true }]);
    // Even unfenced, or under a new generation, it stops below its own position.
    await send([{ ...clear, lane: at(2, 2) }]);
    expect(await texts()).toEqual(['after']);
  });

  test('single writes use the same fence', async () => {
    const { at, create, session_id, texts } = newLane();
    const { payload } = create('one');
    await orchestrator.ask('create', payload, { session_id, lane: at(3, 1) });
    const again = await orchestrator.ask('create', payload, { session_id, lane: at(3, 1) });
    expect(again.data).toEqual({ already_applied: true });
    const older = await orchestrator.ask('bulk_delete', {}, { session_id, lane: at(2, 9) });
    expect(older.data).toEqual({ superseded: true, lane_generation: 3 });
    expect(await texts()).toEqual(['one']);
  });

  test('a refused write does not move the fence, and can be repeated later', async () => {
    const { at, session_id, send, texts } = newLane();
    const memory = { memory_type: 'fact', content: { text: 'at last' } };
    const operation = { action: 'create', lane: at(1, 1), payload: memory };
    expect((await send([operation])).error.code).toBe('session_not_found');
    await orchestrator.ask('create_session', { user_id: 'u' }, { session_id });
    expect((await send([operation])).status).toBe('success');
    expect(await texts()).toEqual(['at last']);
  });

  test('one refused operation applies nothing of its batch and is named', async () => {
    const [one, two] = [newLane(), newLane()];
    const refused = await one.send([
      { ...one.create('x'), lane: one.at(1, 1) },
      { ...two.create('y'), session_id: two.session_id, lane: two.at(1, 1) },
      { action: 'update', lane: one.at(1, 2), payload: { memory_id: 'nothing', priority: 1 } },
      { ...one.create('z'), lane: one.at(1, 3) },
    ]);
    expect(refused.error).toMatchObject({
      code: 'memory_not_found',
      details: { operation: 2, effect: 'rejected', memory_id: 'nothing' },
    });
    expect([...(await one.texts()), ...(await two.texts())]).toEqual([]);
    // Nothing was applied, so the same sequences are still to come.
    expect((await one.send([{ ...one.create('x'), lane: one.at(1, 1) }])).data.results).toMatchObject([
      { memory_id: expect.stringMatching(/^mem-/) as string },
    ]);
  });

  test.each([
    ['content that is missing', { memory_type: 'fact' }, { field: 'content' }],
    [
      'a type that is too long',
      { memory_type: 'x'.repeat(33), content: {} },
      { field: 'memory_type', limit: 32 },
    ],
    [
      'text that cannot be stored',
      { memory_type: 'fact', content: { text: 'a\0' } },
      { reason: 'unstorable_text' },
    ],
  ])('an operation with %s is named as well', async (_what, payload, details) => {
    const { send, create, texts } = newLane();
    const refused = await send([create('fine'), { action: 'create', payload }]);
    expect(refused.error).toMatchObject({ code: 'validation_error', details: { operation: 1, ...details } });
    expect(await texts()).toEqual([]);
  });

  test('a value that the database refuses is named among many valid ones', async () => {
    const { session_id, send, create, texts } = newLane();
    const operations = JSON.stringify([create('a'), create('b'), create('c')]).replace(
      '"text":"b"',
      '"n":1e200000',
    );
    const text = `{"action":"batch_write","session_id":"${session_id}","payload":{"operations":${operations}}}`;
    expect((await orchestrator.send(text)).error).toMatchObject({
      code: 'validation_error',
      details: { operation: 1, reason: 'unstorable_value', effect: 'rejected' },
    });
    expect(await texts()).toEqual([]);
    expect((await send([create('a')])).status).toBe('success');
  });

  test('a duplicate in the middle of many creates is named by its index', async () => {
    const { send, create, texts } = newLane();
    await send([create('first', { memory_id: `dup-${kind}` })]);
    const operations = Array.from({ length: 20 }, (_, index) => create(`n${index}`));
    const refused = await send([
      ...operations,
      create('other', { memory_id: `dup-${kind}` }),
      create('more'),
    ]);
    expect(refused.error).toMatchObject({
      code: 'validation_error',
      details: { operation: 20, reason: 'duplicate' },
    });
    expect(await texts()).toEqual(['first']);
  });

  test('operations take effect in order, also several on one memory', async () => {
    const { send, create, session_id, texts } = newLane();
    const id = `often-${kind}`;
    const { data } = await send([
      { action: 'create_session', payload: { user_id: 'u' } },
      create('one', { memory_id: id, position: 1 }),
      create('one', { memory_id: id, position: 1 }),
      { action: 'update', payload: { memory_id: id, content: { text: 'two' } } },
      create('other', { position: 2 }),
      { action: 'update', payload: { memory_id: id, priority: 9 } },
    ]);
    expect(data.results).toHaveLength(6);
    expect(data.results[0]).toMatchObject({ session_id });
    expect(data.results[2]).toEqual(data.results[1]);
    expect(data.results[5]).toMatchObject({ memory_id: id, version: 3 });
    expect(await texts()).toEqual(['two', 'other']);
  });

  test('session and lane of an operation default to those of the envelope', async () => {
    const [one, two] = [newLane(), newLane()];
    const operations = [
      one.create('a'),
      { ...two.create('b'), session_id: two.session_id, lane: two.at(1, 1) },
    ];
    await one.send(operations, { lane: one.at(1, 1) });
    expect((await one.send(operations, { lane: one.at(1, 1) })).data.results).toEqual([
      { already_applied: true },
      { already_applied: true },
    ]);
    expect([await one.texts(), await two.texts()]).toEqual([['a'], ['b']]);
  });

  test('a batch has at most 500 operations, and only writes', async () => {
    const { send, create } = newLane();
    const many = Array.from({ length: 501 }, () => create('x'));
    expect((await send(many)).error).toMatchObject({
      code: 'validation_error',
      details: { field: 'operations', limit: 500 },
    });
    expect((await send(many.slice(0, 500))).data.results).toHaveLength(500);
    expect((await send([{ action: 'scan', payload: {} }])).error).toMatchObject({
      code: 'invalid_request',
      details: { operation: 0 },
    });
  });

  test('senders of the same lanes in opposite orders neither deadlock nor lose the order', async () => {
    const list = Array.from({ length: 10 }, newLane);
    const batch = (sequence: number) =>
      list.map((lane) => ({
        ...lane.create(`s${sequence}`, { position: sequence }),
        session_id: lane.session_id,
        lane: lane.at(1, sequence),
      }));
    const batches = Array.from({ length: 8 }, (_, index) => {
      const operations = batch(index + 1);
      return index % 2 === 0 ? operations : operations.toReversed();
    });
    const answers = await Promise.all(
      batches.map((operations) => orchestrator.ask('batch_write', { operations }, { session_id: 'any' })),
    );
    expect(answers.map(({ status }) => status)).toEqual(batches.map(() => 'success'));
    const applied = answers
      .flatMap(({ data }) => data.results)
      .filter(({ memory_id }) => memory_id !== undefined);
    const stored = (await Promise.all(list.map((lane) => lane.texts()))).flat();
    expect(stored).toHaveLength(applied.length);
    expect(stored).toContain('s8');
  });
});
