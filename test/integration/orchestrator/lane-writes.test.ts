import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  type At,
  createLaneWriter,
  type LaneWriter,
  type Operation,
  saying,
} from '../../support/lane-writer.ts';
import { createStage, type TestOrchestrator } from '../../support/orchestrator.ts';
import { DATABASES } from '../../support/tier.ts';

const stage = createStage();
afterAll(() => stage.stop());

const ID = expect.stringMatching(/^mem-/) as string;
const FIRST: At = { epoch: 1, generation: 1, sequence: 1, operation_id: 'a' };
const FIRST_PLACE: At = { epoch: 1, generation: 1, sequence: 1 };
const REJECTED = { code: 'validation_error', details: { effect: 'rejected' } };

describe.each(DATABASES)('a batch that is one write of its lane on %s', (kind) => {
  let orchestrator: TestOrchestrator;
  let lanes = 0;
  beforeAll(async () => {
    orchestrator = await stage.start(kind);
  });

  const newLane = (): LaneWriter => createLaneWriter(orchestrator, `one-${kind}-${++lanes}`);

  const named = (operation_id: string, sequence: number): At => ({
    epoch: 1,
    generation: 1,
    sequence,
    operation_id,
  });
  test('answers a repetition with its first answer, and has its effect once', async () => {
    const lane = newLane();
    const operations = [saying('one'), saying('two')];
    const first = await lane.write(FIRST, operations);
    expect(first.data).toEqual({
      results: [
        { memory_id: ID, created_at: expect.any(String) as string },
        { memory_id: ID, created_at: expect.any(String) as string },
      ],
    });
    for (let times = 0; times < 2; times += 1)
      expect((await lane.write(FIRST, operations)).data).toEqual({ ...first.data, repeated: true });
    expect(await lane.texts()).toEqual(['one', 'two']);
    expect(await lane.position()).toEqual({
      key: lane.key,
      epoch: 1,
      generation: 1,
      sequence: 1,
      set_by: 'write',
      operation_id: 'a',
    });
  });

  test('repeats its answer in the same spelling', async () => {
    const { key, session_id, ...other } = newLane();
    await other.open();
    const filter = '{"metadata":{"n":1000.0,"big":123456789012345678901}}';
    const lane = JSON.stringify({ key, ...FIRST });
    const text = `{"action":"batch_write","session_id":"${session_id}","lane":${lane},"payload":{"operations":[{"action":"bulk_delete","payload":{"filter":${filter}}}]}}`;
    await orchestrator.send(text);
    expect((await orchestrator.send(text)).text).toContain(
      `"data":{"results":[{"deleted_count":0,"filter_applied":${filter}}],"repeated":true}`,
    );
  });

  test('is no success for another write of the same sequence, or of an earlier one', async () => {
    const lane = newLane();
    await lane.write({ ...FIRST, sequence: 5 }, saying('five'));
    const taken = { already_applied: true, lane_sequence: 5, set_by: 'write', operation_id: 'a' };
    for (const at of [
      { ...FIRST, sequence: 5, operation_id: 'b' },
      { ...FIRST, sequence: 4 },
    ])
      expect((await lane.write(at, saying('other'))).data).toEqual(taken);
    // Without an operation_id, the orchestrator cannot recognise a repetition.
    const unnamed = await lane.write({ epoch: 1, generation: 1, sequence: 5 }, saying('other'), [
      { session: 'present' },
    ]);
    expect(unnamed.data).toEqual(taken);
    expect(await lane.texts()).toEqual(['five']);
  });

  const STATES: Readonly<Record<string, (lane: LaneWriter) => Promise<unknown>>> = {
    'a session that is open': (lane) => lane.open(),
    'a session that has ended': async (lane) => {
      await lane.open();
      await orchestrator.ask('end_session', {}, { session_id: lane.session_id });
    },
    'an archived session': ({ session_id }) =>
      orchestrator.ask('upsert_session', { user_id: 'u', is_archived: true }, { session_id }),
    'no session': async () => undefined,
  };
  test.each<[state: string, met: readonly string[]]>([
    ['a session that is open', ['present', 'open']],
    ['a session that has ended', ['present']],
    ['an archived session', ['present']],
    ['no session', ['absent']],
  ])('%s meets exactly the preconditions %j', async (state, met) => {
    for (const session of ['present', 'absent', 'open']) {
      const lane = newLane();
      await STATES[state]?.(lane);
      const { data } = await lane.write(FIRST, saying('x'), [{ session }]);
      expect([session, Object.keys(data)]).toEqual([
        session,
        [met.includes(session) ? 'results' : 'refused'],
      ]);
      expect(await lane.texts()).toEqual(met.includes(session) ? ['x'] : []);
    }
  });

  test.each<[state: string, more: object | undefined, isDeleted: boolean, met: string]>([
    ['a memory', {}, false, 'present'],
    ['a deleted memory', {}, true, 'absent'],
    ['an expired memory', { expires_at: '2020-01-01' }, false, 'absent'],
    ['no memory', undefined, false, 'absent'],
  ])('%s meets exactly its precondition', async (_state, more, isDeleted, met) => {
    for (const memory of ['present', 'absent']) {
      const lane = newLane();
      const { session_id } = lane;
      const memory_id = `${session_id}-memory`;
      if (more !== undefined)
        await orchestrator.ask('create', saying('old', { memory_id, ...more }).payload, { session_id });
      if (isDeleted) await orchestrator.ask('delete', { memory_id }, { session_id });
      const { data } = await lane.write(FIRST, saying('x'), [{ memory, memory_id }]);
      expect([memory, Object.keys(data)]).toEqual([memory, [memory === met ? 'results' : 'refused']]);
    }
  });

  test('takes its sequence where a precondition is not met, and keeps that answer', async () => {
    const lane = newLane();
    const requires = [{ session: 'absent', session_id: 'nobody' }, { session: 'open' }];
    const refused = { refused: { requirement: 1, session: 'open', session_id: lane.session_id } };
    expect((await lane.write(FIRST, saying('x'), requires)).data).toEqual(refused);
    await lane.open();
    expect((await lane.write(FIRST, saying('x'), requires)).data).toEqual({ ...refused, repeated: true });
    expect((await lane.close(FIRST_PLACE)).data).toEqual({
      closed: false,
      set_by: 'write',
      operation_id: 'a',
      ...refused,
    });
    expect(await lane.deliver(FIRST_PLACE, 'delivered')).toEqual([{ already_applied: true }]);
    expect(await lane.texts()).toEqual([]);
  });

  test('that is refused with an error takes no sequence, until its sender closes it', async () => {
    const lane = newLane();
    const plain = { action: 'create', payload: { memory_type: 'fact', content: { text: 'late' } } };
    const { error } = await lane.write(FIRST, [
      saying('first', { memory_id: 'x' }),
      { ...plain, session_id: 'nobody' },
    ]);
    expect(error).toMatchObject({ code: 'session_not_found', details: { operation: 1, effect: 'rejected' } });
    expect(await lane.position()).toBeUndefined();
    expect((await lane.close(FIRST_PLACE)).data).toEqual({ closed: true });
    expect((await lane.write(FIRST, plain)).data).toEqual({
      already_applied: true,
      lane_sequence: 1,
      set_by: 'close',
      operation_id: null,
    });
    expect(await lane.texts()).toEqual([]);
  });

  test('an answer that is too long to keep is refused, and nothing is stored', async () => {
    const lane = newLane();
    await lane.open();
    const memory_ids = Array.from({ length: 1_000 }, (_, index) => `${index}`.padStart(64, 'x'));
    const clear: Operation = { action: 'bulk_delete', payload: { filter: { memory_ids } } };
    const { error } = await lane.write(FIRST, [saying('lost'), clear]);
    expect(error).toMatchObject({
      code: 'validation_error',
      details: { reason: 'answer_too_large', field: 'operations', limit: 65_536, effect: 'rejected' },
    });
    expect([await lane.texts(), await lane.position()]).toEqual([[], undefined]);
    // Without an operation_id there is no answer to keep.
    const unnamed = await lane.write(FIRST_PLACE, [saying('kept'), clear], [{ session: 'open' }]);
    expect(unnamed.data.results).toHaveLength(2);
  });

  const other = { key: 'other', generation: 1, sequence: 1 };
  test.each<[what: string, send: (lane: LaneWriter) => ReturnType<LaneWriter['close']>, field: string]>([
    [
      'preconditions without a lane',
      () =>
        orchestrator.ask(
          'batch_write',
          { operations: [saying('x')], requires: [{ session: 'open' }] },
          { session_id: 's' },
        ),
      'lane',
    ],
    [
      'preconditions without a sequence',
      (lane) => lane.write({ generation: 1 }, saying('x'), [{ session: 'open' }]),
      'lane.sequence',
    ],
    [
      'an operation_id without a sequence',
      (lane) => lane.write({ generation: 1, operation_id: 'a' }, saying('x')),
      'lane.sequence',
    ],
    [
      'an operation_id of 65 characters',
      (lane) => lane.write({ ...FIRST, operation_id: 'x'.repeat(65) }, saying('x')),
      'lane.operation_id',
    ],
    ['an epoch below 0', (lane) => lane.write({ ...FIRST, epoch: -1 }, saying('x')), 'lane.epoch'],
    [
      'an operation of another lane',
      (lane) => lane.write(FIRST, [saying('x'), { ...saying('y'), lane: other }]),
      'lane',
    ],
    [
      'an operation_id of an operation',
      (lane) => lane.write(FIRST_PLACE, { ...saying('x'), lane: { ...other, operation_id: 'a' } }),
      'lane.operation_id',
    ],
    [
      'an operation_id of a single write',
      ({ key, session_id }) =>
        orchestrator.ask('create', saying('x').payload, { session_id, lane: { key, ...FIRST } }),
      'lane.operation_id',
    ],
    ['a close without a lane', () => orchestrator.ask('close_sequence'), 'lane'],
    ['a close without a sequence', (lane) => lane.close({ generation: 1 }), 'lane.sequence'],
    [
      'a precondition about nothing',
      (lane) => lane.write(FIRST, saying('x'), [{ session: 'open' }, {}]),
      'requires.1',
    ],
    [
      'a precondition about two things',
      (lane) => lane.write(FIRST, saying('x'), [{ session: 'open', memory: 'present', memory_id: 'm' }]),
      'requires.0',
    ],
    [
      'a precondition about a memory without its id',
      (lane) => lane.write(FIRST, saying('x'), [{ memory: 'present' }]),
      'requires.0',
    ],
    [
      'a precondition about a memory of a session',
      (lane) => lane.write(FIRST, saying('x'), [{ memory: 'present', memory_id: 'm', session_id: 's' }]),
      'requires.0',
    ],
    [
      'a precondition about a session with a memory',
      (lane) => lane.write(FIRST, saying('x'), [{ session: 'open', memory_id: 'm' }]),
      'requires.0',
    ],
    [
      'a precondition with an unknown word',
      (lane) => lane.write(FIRST, saying('x'), [{ session: 'closed' }]),
      'requires.0.session',
    ],
  ])('%s is refused by the name of the field', async (_what, send, field) => {
    const lane = newLane();
    expect((await send(lane)).error).toMatchObject({ ...REJECTED, details: { effect: 'rejected', field } });
    expect(await lane.position()).toBeUndefined();
  });

  test('a precondition about the session of a batch needs one', async () => {
    const { key } = newLane();
    const operations = [{ ...saying('x'), session_id: 'somewhere' }];
    const { error } = await orchestrator.ask(
      'batch_write',
      { operations, requires: [{ session: 'open' }] },
      { lane: { key, ...FIRST } },
    );
    expect(error).toMatchObject({ ...REJECTED, details: { field: 'requires.0' } });
  });

  test('what is null in a lane or a precondition counts as left out', async () => {
    const { key, session_id, ...others } = newLane();
    const requires = [{ session: 'absent', session_id: null, memory: null, memory_id: null }];
    const lane = { key, epoch: null, generation: 1, sequence: 1, operation_id: null };
    const payload = { operations: [saying('x')], requires };
    const { data } = await orchestrator.send(
      JSON.stringify({ action: 'batch_write', session_id, lane, payload }),
    );
    expect(data.results).toHaveLength(1);
    expect(await others.texts()).toEqual(['x']);
  });

  test('a reader never gets an answer that is older than the write', async () => {
    const { session_id, ...lane } = newLane();
    const memory_id = `${session_id}-cached`;
    const read = async () => (await orchestrator.ask('read', { memory_id }, { session_id })).data;
    for (let sequence = 1; sequence <= 6; sequence += 1) {
      const text = `state ${sequence}`;
      const operation =
        sequence === 1
          ? saying(text, { memory_id })
          : { action: 'update', payload: { memory_id, content: { text } } };
      await lane.write(named(`w${sequence}`, sequence), operation, [
        { memory: sequence === 1 ? 'absent' : 'present', memory_id },
      ]);
      for (let times = 0; times < 3; times += 1)
        expect(await read()).toMatchObject({ content: { text }, version: sequence });
    }
  });
});
