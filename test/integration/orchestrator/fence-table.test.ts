import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { WriteAction } from '../../../src/orchestrator/memories/write.ts';
import { createStage, type TestOrchestrator } from '../../support/orchestrator.ts';
import { DATABASES } from '../../support/tier.ts';

const stage = createStage();
afterAll(() => stage.stop());

type Place = readonly [generation: number, sequence?: number];

/** What the fence says to a write, given the writes before it. The last place written down decides. */
const TABLE: readonly (readonly [what: string, before: readonly Place[], write: Place, expected: string])[] =
  [
    ['the first write of a lane', [], [1, 1], 'applied'],
    ['the first write, wherever its lane begins', [], [7, 900], 'applied'],
    ['generation and sequence 0', [], [0, 0], 'applied'],
    ['the next sequence', [[1, 1]], [1, 2], 'applied'],
    ['a later sequence: gaps are not its business', [[1, 1]], [1, 9], 'applied'],
    ['the same sequence', [[1, 5]], [1, 5], 'already_applied'],
    ['an earlier sequence', [[1, 5]], [1, 4], 'already_applied'],
    ['an older generation', [[2, 1]], [1, 1], 'superseded'],
    ['an older generation with a later sequence', [[2, 1]], [1, 99], 'superseded'],
    ['an older generation without a sequence', [[2, 1]], [1], 'superseded'],
    ['a new generation with an earlier sequence', [[1, 50]], [2, 3], 'applied'],
    [
      'what comes after a new generation',
      [
        [1, 50],
        [2, 3],
      ],
      [2, 4],
      'applied',
    ],
    [
      'what was before a new generation',
      [
        [1, 50],
        [2, 3],
      ],
      [1, 51],
      'superseded',
    ],
    ['a late part of a copy that has ended', [[2], [2, 5]], [2], 'already_applied'],
    ['a part of a copy that goes on', [[1, 5], [2]], [2], 'applied'],
    ['the last part of a copy of a lane without writes', [[2]], [2, 0], 'applied'],
    ['the same, once more', [[2], [2, 0]], [2, 0], 'already_applied'],
    ['a new generation without a sequence', [[1, 5]], [2], 'applied'],
    ['the first sequence of a generation that began without', [[1, 5], [2]], [2, 1], 'applied'],
    ['the largest sequence', [[1, 5]], [1, Number.MAX_SAFE_INTEGER], 'applied'],
    ['what comes after the largest', [[1, Number.MAX_SAFE_INTEGER]], [1, 6], 'already_applied'],
  ];

describe.each(DATABASES)('the fence on %s', (kind) => {
  let orchestrator: TestOrchestrator;
  let lanes = 0;
  beforeAll(async () => {
    orchestrator = await stage.start(kind);
  });

  /** A session with a lane of its own. */
  function newLane() {
    const session_id = `fence-${kind}-${++lanes}`;
    const laneOf = ([generation, sequence]: Place) => ({
      key: session_id,
      generation,
      ...(sequence !== undefined && { sequence }),
    });
    return {
      session_id,
      write: (place: Place, action: string, payload: object) =>
        orchestrator.ask(action, payload, { session_id, lane: laneOf(place) }),
      create: (place: Place, text: string, more: object = {}) =>
        orchestrator.ask(
          'create',
          { memory_type: 'fact', content: { text }, create_session: true, ...more },
          { session_id, lane: laneOf(place) },
        ),
      inBatch: (place: Place, text: string) =>
        orchestrator.ask('batch_write', {
          operations: [
            {
              action: 'create',
              session_id,
              lane: laneOf(place),
              payload: { memory_type: 'fact', content: { text }, create_session: true },
            },
          ],
        }),
      scan: async () => (await orchestrator.ask('scan', { limit: 1_000 }, { session_id })).data,
    };
  }
  type Lane = ReturnType<typeof newLane>;
  const textsOf = async ({ scan }: Lane) => (await scan()).items.map(({ content }) => content['text']);

  const WAYS: readonly (readonly [string, (lane: Lane, place: Place) => Promise<object>])[] = [
    ['alone', async (lane, place) => (await lane.create(place, 'late')).data],
    ['in a batch', async (lane, place) => (await lane.inBatch(place, 'late')).data.results[0] ?? {}],
  ];

  describe.each(WAYS)('for a write %s', (_way, send) => {
    test.each(TABLE)('%s', async (_what, before, place, expected) => {
      const lane = newLane();
      for (const [index, each] of before.entries())
        expect((await lane.create(each, `before ${index}`)).status).toBe('success');
      const result = await send(lane, place);
      expect(result).toMatchObject(
        expected === 'applied' ? { memory_id: expect.any(String) as string } : { [expected]: true },
      );
      const stored = (await textsOf(lane)).includes('late');
      expect(stored).toBe(expected === 'applied');
    });
  });

  const memory_id = (lane: Lane) => `${lane.session_id}-memory`;
  const other_id = (lane: Lane) => `${lane.session_id}-other`;
  const LATE: Readonly<Record<WriteAction, (lane: Lane) => object>> = {
    create: () => ({ memory_type: 'fact', content: { text: 'late' } }),
    update: (lane) => ({ memory_id: memory_id(lane), content: { text: 'late' } }),
    delete: (lane) => ({ memory_id: memory_id(lane) }),
    bulk_delete: () => ({}),
    create_session: () => ({ user_id: 'u', session_metadata: { late: true } }),
    upsert_session: () => ({ session_metadata: { late: true } }),
    end_session: () => ({ archive: true }),
    put_profile: (lane) => ({ user_id: lane.session_id, profile_data: { late: true } }),
    delete_profile: (lane) => ({ user_id: lane.session_id }),
    put_agent_state: () => ({ agent_id: 'a', state_data: { late: true } }),
    add_relationship: (lane) => ({
      source_memory_id: memory_id(lane),
      target_memory_id: other_id(lane),
      relationship_type: 'late',
    }),
  };

  test.each(Object.entries(LATE))(
    'keeps a late %s out, of an older generation or a past sequence',
    async (action, payloadOf) => {
      const lane = newLane();
      await lane.create([3, 10], 'kept', { memory_id: memory_id(lane), user_id: 'u' });
      await lane.create([3, 11], 'kept too', { memory_id: other_id(lane) });
      await orchestrator.ask('put_profile', { user_id: lane.session_id, profile_data: { kept: true } });
      await orchestrator.ask('put_agent_state', { agent_id: 'a', state_data: { kept: true } }, lane);
      const everything = async () => [
        await lane.scan(),
        (await orchestrator.ask('get_profile', { user_id: lane.session_id })).data,
        (await orchestrator.ask('get_agent_state', { agent_id: 'a' }, lane)).data,
        (await orchestrator.ask('get_related', { source_memory_id: memory_id(lane) }, lane)).data,
      ];
      const before = await everything();
      expect((await lane.write([2, 99], action, payloadOf(lane))).data).toEqual({
        superseded: true,
        lane_generation: 3,
      });
      expect((await lane.write([3, 11], action, payloadOf(lane))).data).toEqual({ already_applied: true });
      expect(await everything()).toEqual(before);
      expect((await lane.write([3, 12], action, payloadOf(lane))).data).not.toHaveProperty('already_applied');
      // Of an open session of the same user create_session gives the first answer again.
      if (action !== 'create_session') expect(await everything()).not.toEqual(before);
    },
  );

  test('a late bulk_delete keeps later memories, and the lane keeps its position', async () => {
    const lane = newLane();
    await lane.create([1, 1], 'before', { position: 1 });
    const clear = (place: Place) => lane.write(place, 'bulk_delete', { filter: { position_below: 2 } });
    expect((await clear([1, 2])).data).toMatchObject({ deleted_count: 1 });
    await lane.create([1, 3], 'after', { position: 3 });
    expect((await clear([1, 2])).data).toEqual({ already_applied: true });
    expect((await clear([0, 9])).data).toEqual({ superseded: true, lane_generation: 1 });
    expect((await lane.create([1, 3], 'again', { position: 3 })).data).toEqual({ already_applied: true });
    expect(await textsOf(lane)).toEqual(['after']);
  });

  test('late writes to a deleted session do not affect its new start', async () => {
    const lane = newLane();
    await lane.write([1, 1], 'create_session', { user_id: 'u', session_metadata: { life: 1 } });
    await lane.create([1, 2], 'first life');
    await lane.write([1, 3], 'bulk_delete', {});
    await lane.write([1, 4], 'end_session', { archive: true });
    await lane.write([1, 5], 'create_session', { user_id: 'u', session_metadata: { life: 2 } });
    await lane.create([1, 6], 'second life');
    for (const [place, action, payload] of [
      [[1, 4], 'end_session', { archive: true }],
      [[1, 3], 'bulk_delete', {}],
      [[1, 2], 'create', { memory_type: 'fact', content: { text: 'first life' } }],
      [[1, 1], 'create_session', { user_id: 'u', session_metadata: { life: 1 } }],
    ] as const)
      expect((await lane.write(place, action, payload)).data).toEqual({ already_applied: true });
    const { session, items } = await lane.scan();
    expect(session).toMatchObject({ generation: 2, ended_at: null, session_metadata: { life: 2 } });
    expect(items.map(({ content }) => content['text'])).toEqual(['second life']);
  });
});
