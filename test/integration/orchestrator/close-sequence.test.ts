import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type At, createLaneWriter, type LaneWriter, saying } from '../../support/lane-writer.ts';
import { createStage, type TestOrchestrator } from '../../support/orchestrator.ts';
import { DATABASES } from '../../support/tier.ts';

const stage = createStage();
afterAll(() => stage.stop());

const ID = expect.stringMatching(/^mem-/) as string;
const FIRST: At = { epoch: 1, generation: 1, sequence: 1, operation_id: 'a' };
const FIRST_PLACE: At = { epoch: 1, generation: 1, sequence: 1 };

describe.each(DATABASES)('the position of a lane on %s', (kind) => {
  let orchestrator: TestOrchestrator;
  let lanes = 0;
  beforeAll(async () => {
    orchestrator = await stage.start(kind);
  });

  const newLane = (): LaneWriter => createLaneWriter(orchestrator, `place-${kind}-${++lanes}`);
  const deliver = (lane: LaneWriter, at: At) => lane.deliver(at, 'delivered');

  const named = (operation_id: string, sequence: number): At => ({
    epoch: 1,
    generation: 1,
    sequence,
    operation_id,
  });
  test('a closed sequence keeps out every write that carries it', async () => {
    const lane = newLane();
    const { key, session_id } = lane;
    await lane.close({ generation: 1, sequence: 3 });
    for (const sequence of [1, 3]) {
      const at = { generation: 1, sequence };
      expect(await deliver(lane, at)).toEqual([{ already_applied: true }]);
      const alone = await orchestrator.ask('create', saying('alone').payload, {
        session_id,
        lane: { key, ...at },
      });
      expect(alone.data).toEqual({ already_applied: true });
      expect((await lane.write({ ...at, operation_id: 'a' }, saying('named'))).data).toMatchObject({
        already_applied: true,
        set_by: 'close',
      });
    }
    expect(await lane.texts()).toEqual([]);
    expect(await deliver(lane, { generation: 1, sequence: 4 })).toMatchObject([{ memory_id: ID }]);
  });

  const CLOSES: readonly (readonly [
    what: string,
    before: (lane: LaneWriter) => Promise<unknown>,
    at: At,
    data: object,
  ])[] = [
    ['a sequence of an unknown lane', async () => undefined, FIRST_PLACE, { closed: true }],
    ['a sequence once more', (lane) => lane.close(FIRST_PLACE), FIRST_PLACE, { closed: true }],
    [
      'the next sequence',
      (lane) => lane.write(named('a', 1), saying('x')),
      { ...FIRST_PLACE, sequence: 2 },
      { closed: true },
    ],
    [
      'the sequence of a named write',
      (lane) => lane.write(named('a', 1), saying('x')),
      FIRST_PLACE,
      {
        closed: false,
        set_by: 'write',
        operation_id: 'a',
        results: [{ memory_id: ID, created_at: expect.any(String) as string }],
      },
    ],
    [
      'the sequence of a plain delivery',
      (lane) => deliver(lane, FIRST_PLACE),
      FIRST_PLACE,
      { closed: false, set_by: 'write', operation_id: null },
    ],
    [
      'the sequence of a copy',
      async (lane) => {
        await deliver(lane, { epoch: 1, generation: 1, sequence: 9 });
        await deliver(lane, { epoch: 1, generation: 2 });
        await deliver(lane, { epoch: 1, generation: 2, sequence: 1 });
      },
      { epoch: 1, generation: 2, sequence: 1 },
      { closed: false, set_by: 'copy', operation_id: null },
    ],
    [
      'a sequence before the last one',
      (lane) => lane.write(named('b', 7), saying('x')),
      FIRST_PLACE,
      { already_applied: true, lane_sequence: 7, set_by: 'write', operation_id: 'b' },
    ],
    [
      'a sequence of an older generation',
      (lane) => lane.write({ ...named('b', 7), generation: 2 }, saying('x')),
      FIRST_PLACE,
      { superseded: true, lane_generation: 2 },
    ],
    [
      'a sequence of an older epoch',
      (lane) => lane.write({ ...named('b', 7), epoch: 3 }, saying('x')),
      FIRST_PLACE,
      { superseded: true, lane_generation: 1, lane_epoch: 3 },
    ],
    [
      'a sequence of a newer generation',
      (lane) => lane.write(named('b', 7), saying('x')),
      { ...FIRST_PLACE, generation: 2 },
      { closed: true },
    ],
  ];
  test.each(CLOSES)('closing %s is answered with what had set it', async (_what, before, at, data) => {
    const lane = newLane();
    await before(lane);
    expect((await lane.close(at)).data).toEqual(data);
    expect((await lane.close(at)).data).toEqual(data);
  });

  test('an older epoch keeps out every write, and the answer tells the epoch of the lane', async () => {
    const lane = newLane();
    const { key, session_id } = lane;
    await lane.write({ ...FIRST, epoch: 4 }, saying('kept'));
    const answer = { superseded: true, lane_generation: 1, lane_epoch: 4 };
    for (const at of [
      { generation: 1, sequence: 9 },
      { epoch: 3, generation: 7, sequence: 9 },
      { epoch: 3, generation: 7 },
    ]) {
      expect(await deliver(lane, at)).toEqual([answer]);
      const alone = await orchestrator.ask('end_session', {}, { session_id, lane: { key, ...at } });
      expect(alone.data).toEqual(answer);
    }
    const late = await lane.write({ ...FIRST, epoch: 3, sequence: 9 }, saying('late'));
    expect(late.data).toEqual(answer);
    // Even the repetition of the write itself: its sender must learn of the epoch.
    expect((await lane.write(FIRST, saying('kept'))).data).toEqual(answer);
    expect(await lane.texts()).toEqual(['kept']);
  });

  const RAISING: readonly (readonly [what: string, send: (lane: LaneWriter, at: At) => Promise<unknown>])[] =
    [
      ['a plain delivery', (lane, at) => deliver(lane, at)],
      ['a named write', (lane, at) => lane.write({ ...at, operation_id: 'z' }, saying('x'))],
      ['a close', (lane, at) => lane.close(at)],
    ];
  test.each(RAISING)('%s stores a higher epoch, with an effect or without', async (_what, send) => {
    const lane = newLane();
    await lane.write(FIRST, saying('first'));
    await send(lane, { epoch: 2, generation: 1, sequence: 1 });
    expect(await lane.position()).toMatchObject({
      epoch: 2,
      sequence: 1,
      set_by: 'write',
      operation_id: 'a',
    });
    await send(lane, { epoch: 3, generation: 0, sequence: 9 });
    expect(await lane.position()).toMatchObject({ epoch: 3, generation: 1, sequence: 1, operation_id: 'a' });
    await send(lane, { epoch: 5, generation: 1, sequence: 2 });
    expect(await lane.position()).toMatchObject({ epoch: 5, generation: 1, sequence: 2 });
    expect((await lane.write({ ...FIRST, epoch: 5 }, saying('first'))).data).toMatchObject({
      already_applied: true,
    });
  });

  test('a lane keeps one answer, until its next write', async () => {
    const lane = newLane();
    await lane.write(FIRST, saying('one'));
    await deliver(lane, { epoch: 1, generation: 1, sequence: 2 });
    expect(await lane.position()).toMatchObject({ sequence: 2, set_by: 'write', operation_id: null });
    await lane.write(named('b', 3), saying('three'));
    // Several operations of one lane take another way through the fence.
    const { key, session_id } = lane;
    await orchestrator.ask('batch_write', {
      operations: [4, 5].map((sequence) => ({
        action: 'upsert_session',
        session_id,
        lane: { key, epoch: 1, generation: 1, sequence },
        payload: {},
      })),
    });
    expect((await lane.close({ epoch: 1, generation: 1, sequence: 5 })).data).toEqual({
      closed: false,
      set_by: 'write',
      operation_id: null,
    });
  });

  test('a copy is reported as a copy, in one call or in several', async () => {
    const [alone, several] = [newLane(), newLane()];
    for (const lane of [alone, several]) await deliver(lane, { generation: 1, sequence: 5 });
    await deliver(alone, { generation: 2, sequence: 5 });
    expect(await alone.position()).toMatchObject({ generation: 2, sequence: 5, set_by: 'copy' });
    await deliver(several, { generation: 2 });
    expect(await several.position()).toMatchObject({ generation: 2, sequence: null, set_by: 'copy' });
    await deliver(several, { generation: 2, sequence: 5 });
    expect(await several.position()).toMatchObject({ generation: 2, sequence: 5, set_by: 'copy' });
    for (const lane of [alone, several]) {
      await deliver(lane, { generation: 2, sequence: 6 });
      expect(await lane.position()).toMatchObject({ sequence: 6, set_by: 'write' });
    }
  });

  test('the positions of known lanes are listed by key', async () => {
    const known = [newLane(), newLane()];
    for (const lane of known) await deliver(lane, { generation: 1, sequence: 1 });
    const keys = known.map(({ key }) => key);
    const { data } = await orchestrator.ask('lane_positions', { keys: ['nobody', ...keys.toReversed()] });
    expect(data['lanes']).toMatchObject(keys.toSorted().map((key) => ({ key, epoch: 0, sequence: 1 })));
  });

  test('the positions of lanes whose writes have moved are listed page by page', async () => {
    const [moved, other, unmoved] = [newLane(), newLane(), newLane()];
    for (const lane of [moved, other]) await deliver(lane, { epoch: 1, generation: 1, sequence: 1 });
    await deliver(unmoved, { generation: 1, sequence: 1 });
    const keysAfter = async (after: string): Promise<readonly unknown[]> => {
      const { data } = await orchestrator.ask('lane_positions', { moved_after: after });
      return (data['lanes'] as readonly { readonly key: string }[]).map(({ key }) => key);
    };
    const all = await keysAfter('');
    expect(all).toEqual(expect.arrayContaining([moved.key, other.key]));
    expect(all).not.toContain(unmoved.key);
    expect(await keysAfter(moved.key)).not.toContain(moved.key);
  });

  test.each([{}, { keys: ['one'], moved_after: '' }])(
    'a request for positions names one kind: %o',
    async (payload) => {
      const { error } = await orchestrator.ask('lane_positions', payload);
      expect(error).toMatchObject({ code: 'validation_error' });
    },
  );
});
