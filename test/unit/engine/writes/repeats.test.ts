import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { operationId } from '../../../../src/domain/ids.ts';
import { type KeptReplies, Repeats, type UnansweredWrite } from '../../../../src/engine/writes/repeats.ts';
import type { Sequenced } from '../../../../src/engine/writes/sequence-write.ts';
import { sessionMemory } from '../../../../src/services/session-memory/session-memory.ts';
import { fakeClock, laneNamed, operationOf, recorder, serviceWith, writeOf } from '../engine-parts.ts';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const DEADLINE_MS = 1_000;

function requestWith(id: string): string {
  return JSON.stringify({ action: 'add_interaction', session_id: 'ann', content: 'once', request_id: id });
}

/** A write that arrived now, in a lane where the same was said before. */
function createRepeat(
  id: string,
  twins: UnansweredWrite[],
  keep: KeptReplies['keep'] = async () => undefined,
) {
  const clock = fakeClock();
  const { emit, events } = recorder();
  const taken: (readonly number[])[] = [];
  const kept: KeptReplies = {
    keep,
    lost: async () => undefined,
    unanswered: async () => twins,
    take: async (_write, sequences) => {
      taken.push(sequences);
      return twins.some(({ hasReply }) => hasReply) ? { body: Buffer.from('{"kept": 1}') } : undefined;
    },
  };
  const repeats = new Repeats({ kept, clock, emit, untilDone: async (work) => work().then(() => true) });
  const text = requestWith(id);
  const lane = laneNamed('ann');
  const service = serviceWith({ definition: sessionMemory, deadlineMs: DEADLINE_MS });
  const operation = operationOf(text, { id: operationId('operation-2'), service });
  const sequenced = { operation, lane, write: writeOf(lane, 2, text) } as Sequenced;
  const results = (): unknown[] => events.map(({ event }) => ('result' in event ? event.result : undefined));
  return { clock, repeats, sequenced, taken, results };
}

function twinOf(id: string, facts: Partial<UnansweredWrite> = {}): UnansweredWrite {
  return { sequence: 1, request: requestWith(id), isUnsettled: false, hasReply: false, ...facts };
}

test.each(['r-1', ''])(
  'a repeat (id "%s") of an unsettled write waits half its deadline, then fails',
  async (id) => {
    const { clock, repeats, sequenced, results } = createRepeat(id, [twinOf(id, { isUnsettled: true })]);
    expect(await repeats.judge(sequenced)).toBe('wait');
    const ended = repeats.settled(sequenced).then(
      () => undefined,
      (error: unknown) => ({ error, atMs: clock.now() }),
    );
    for (let ms = 0; ms < DEADLINE_MS; ms += 5) await clock.pass(5);
    const { error, atMs } = (await ended) ?? { error: undefined, atMs: Infinity };
    expect(error).toMatchObject({ effect: 'not_applied', reason: 'unsettled_twin' });
    expect(atMs).toBeLessThanOrEqual(DEADLINE_MS / 2);
    expect(atMs).toBeGreaterThan(DEADLINE_MS / 4);
    expect(results()).toEqual(['waited']);
  },
);

test('it continues once the first write is settled', async () => {
  const twins = [twinOf('', { isUnsettled: true })];
  const { clock, repeats, sequenced } = createRepeat('', twins);
  const settled = repeats.settled(sequenced);
  await clock.pass(100);
  twins.splice(0, 1, twinOf(''));
  for (let ms = 0; ms < 200; ms += 5) await clock.pass(5);
  await settled;
  expect(await repeats.judge(sequenced)).toBe('new');
});

test('only a repeat with an id gets the kept reply; others are new writes', async () => {
  const named = createRepeat('r-1', [twinOf('r-1', { hasReply: true })]);
  expect(await named.repeats.judge(named.sequenced)).toMatchObject({
    reply: { body: Buffer.from('{"kept": 1}') },
  });
  const nameless = createRepeat('', [twinOf('', { hasReply: true })]);
  expect(await nameless.repeats.judge(nameless.sequenced)).toBe('new');
  expect([named.results(), nameless.results()]).toEqual([['answered'], ['suspected_duplicate']]);
  expect(nameless.taken).toEqual([[1]]);
});

test('a request that differs in one byte is not a repeat', async () => {
  const { repeats, sequenced, results } = createRepeat('r-1', [
    twinOf('r-2', { hasReply: true, isUnsettled: true }),
  ]);
  expect(await repeats.judge(sequenced)).toBe('new');
  expect(results()).toEqual([]);
});

test('a reply without its agent counts as handed over only once it is kept', async () => {
  let endKeeping = (): void => undefined;
  const keeping = new Promise<void>((resolve) => (endKeeping = resolve));
  const { clock, repeats, sequenced } = createRepeat('r-1', [], () => keeping);
  const replying = repeats.replying(sequenced, { body: Buffer.from('{}') }, 'applied');
  const isHandedOver = vi.fn<() => void>();
  void repeats.handedOver(replying).then(isHandedOver);
  replying.reply.delivered?.(false);
  await clock.pass(60_000);
  expect(isHandedOver).not.toHaveBeenCalled();
  endKeeping();
  await clock.pass(0);
  expect(isHandedOver).toHaveBeenCalledOnce();
});

test('a reply without a report of the frontend is awaited for a limited time', async () => {
  const { clock, repeats, sequenced } = createRepeat('r-1', []);
  const replying = repeats.replying(sequenced, { body: Buffer.from('{}') }, 'applied');
  const isHandedOver = vi.fn<() => void>();
  void repeats.handedOver(replying).then(isHandedOver);
  await clock.pass(99);
  expect(isHandedOver).not.toHaveBeenCalled();
  await clock.pass(1);
  expect(isHandedOver).toHaveBeenCalledOnce();
});

test.each([
  ['unknown', [[2]]],
  ['applied', []],
] as const)('a delivered reply to a write of outcome %s closes %o', async (outcome, closed) => {
  const { repeats, sequenced, taken } = createRepeat('r-1', []);
  const { reply, known } = repeats.replying(sequenced, { body: Buffer.from('{}') }, outcome);
  reply.delivered?.(true);
  await known;
  // An agent that has its reply does not repeat: an equal write that comes later is a new one.
  expect(taken).toEqual(closed);
});
