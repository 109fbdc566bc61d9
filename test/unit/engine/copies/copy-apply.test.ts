import { expect, test } from 'vitest';
import {
  ConnectionError,
  OperationError,
  refusalReasonOf,
  ValidationError,
} from '../../../../src/domain/errors.ts';
import type { Owner, SessionId } from '../../../../src/domain/ids.ts';
import type { OrchestratorWrite } from '../../../../src/domain/orchestrator-call.ts';
import { applyCopy, copyOperations, TooManyExceptions } from '../../../../src/engine/copies/copy-apply.ts';
import { CopyCalls } from '../../../../src/engine/copies/copy-calls.ts';
import type { Orchestrator } from '../../../../src/engine/ports/ports.ts';
import { sessionMemory } from '../../../../src/services/session-memory/session-memory.ts';
import { fakeClock } from '../engine-parts.ts';

const FENCE = { key: 'jarvis-memory/ann', generation: 3, sequence: 7 };
const SESSION = 'ann' as SessionId;

function create(name: string): OrchestratorWrite {
  const payload = { memory_id: `mem-${name}-${Math.random()}`, content: { text: name }, position: 1 };
  return { action: 'create', sessionId: SESSION, payload };
}

/** Refuses a batch as the orchestrator does: whole, naming its first operation that is not taken. */
function orchestratorThat(refuses: (operation: OrchestratorWrite) => boolean) {
  const batches: (readonly OrchestratorWrite[])[] = [];
  const batchWrite: Orchestrator['batchWrite'] = async (operations) => {
    const operation = operations.findIndex(refuses);
    if (operation >= 0) throw new ValidationError('refused', { reason: 'content', details: { operation } });
    batches.push(operations);
    return operations.map(() => ({ result: 'applied' }));
  };
  return { batches, parts: partsOf(batchWrite) };
}

function partsOf(batchWrite: Orchestrator['batchWrite']) {
  const orchestrator = { batchWrite } as Orchestrator;
  return new CopyCalls({ orchestrator, clock: fakeClock(), timeoutMs: 1_000 });
}

const isBad = ({ payload }: OrchestratorWrite) => JSON.stringify(payload['content'] ?? '').includes('bad');

test('refused items are left out and listed, and the rest is written in order', async () => {
  const { batches, parts } = orchestratorThat(isBad);
  const operations = ['a', 'bad 1', 'b', 'bad 2', 'c'].map(create);
  const exceptions = await applyCopy(operations, FENCE, parts);
  expect(exceptions).toHaveLength(2);
  expect(exceptions[0]).toMatchObject({ action: 'create', code: 'validation_error', reason: 'content' });
  expect(batches).toEqual([[0, 2, 4].map((at) => ({ ...operations[at], lane: FENCE }))]);
});

const NO_PLAN = { kept: [], creates: [], deletes: [], moves: [], retags: [], vanished: [] };
const COPIED = { sessionId: SESSION, owner: 'ann' as Owner, lanes: sessionMemory.lanes, plan: NO_PLAN };

test('a copy opens the session of an owner that was deleted and created again', () => {
  const session = { userId: 'ann', metadata: '{}', createdAt: '2026-01-01T00:00:00.000Z' };
  const source = { exists: true, items: [], session };
  const [operation] = copyOperations({ ...COPIED, forgotten: [], source });
  expect(operation).toMatchObject({
    action: 'upsert_session',
    payload: { ended_at: null, is_archived: false },
  });
});

test('a copy ends the session of an owner that was deleted', () => {
  const ending = { action: 'end_session', sessionId: SESSION, payload: { archive: true } } as const;
  const source = { exists: false, items: [] };
  expect(copyOperations({ ...COPIED, forgotten: [], source, ending })).toMatchObject([ending]);
});

test.each([
  [{ field: 'lane.key', limit: 576 }, undefined, 'lane.key, limit 576'],
  [{ field: 'content' }, 'unstorable_text', 'unstorable_text, content'],
  [{}, 'duplicate', 'duplicate'],
  [{}, undefined, ''],
])('a refusal of %o with the reason %s is reported as "%s"', (details, reason, told) => {
  const facts = { details, ...(reason !== undefined && { reason }) };
  expect(refusalReasonOf(new ValidationError('refused', facts))).toBe(told);
});

test('an item has the same name in every copy, and different items differ', async () => {
  const names = async (name: string) => {
    const { parts } = orchestratorThat(isBad);
    return (await applyCopy([create(name)], FENCE, parts)).map(({ item }) => item);
  };
  const first = await names('bad 1');
  expect(await names('bad 1')).toEqual(first);
  expect(await names('bad 2')).not.toEqual(first);
  expect(first.join()).not.toContain('bad');
});

test('the generation rises even if everything was refused', async () => {
  const { batches, parts } = orchestratorThat(isBad);
  await applyCopy([create('bad 1'), create('bad 2')], FENCE, parts);
  expect(batches).toEqual([
    [
      expect.objectContaining({
        action: 'bulk_delete',
        lane: FENCE,
        payload: expect.objectContaining({ filter: { position_below: 0 } }),
      }),
    ],
  ]);
});

test('the sequence comes with the last batch only', async () => {
  const { batches, parts } = orchestratorThat(() => false);
  const operations = Array.from({ length: 900 }, (_, at) => create(`${at}`));
  await applyCopy(operations, FENCE, parts);
  expect(batches.map((batch) => batch.length)).toEqual([400, 400, 100]);
  expect(batches.map(([first]) => first?.lane?.sequence)).toEqual([undefined, undefined, 7]);
});

test('a message that cannot be read is split until the bad operation is alone', async () => {
  const { batches, parts } = orchestratorThat(() => false);
  const write = parts.write.bind(parts);
  parts.write = async (operations) => {
    const error = new ValidationError('refused', { details: { field: 'message', limit: 500 } });
    return operations.some(isBad) ? Promise.reject(error) : write(operations);
  };
  const operations = ['a', 'b', 'bad', 'c', 'd'].map(create);
  const exceptions = await applyCopy(operations, FENCE, parts);
  expect(exceptions.map(({ reason }) => reason)).toEqual(['message, limit 500']);
  expect(batches.flat().map(({ payload }) => payload)).toEqual(
    operations.filter((operation) => !isBad(operation)).map(({ payload }) => payload),
  );
  const [last, ...before] = batches.toReversed().map(([first]) => first?.lane?.sequence);
  expect(last).toBe(7);
  expect(before.every((sequence) => sequence === undefined)).toBe(true);
});

test('a long copy is sent in messages within the orchestrator’s limit', async () => {
  const { batches, parts } = orchestratorThat(() => false);
  await applyCopy(
    Array.from({ length: 12 }, () => create('x'.repeat(300_000))),
    FENCE,
    parts,
  );
  expect(batches.map((batch) => batch.length)).toEqual([5, 5, 2]);
});

test('lanes that are copied together share a call and get their own results', async () => {
  const { batches, parts } = orchestratorThat(isBad);
  const lanes = ['ann', 'bob', 'bad', 'cid'];
  const told = await Promise.all(
    lanes.map((name) => applyCopy([create(name)], { ...FENCE, key: `jarvis-memory/${name}` }, parts)),
  );
  expect(told.map((exceptions) => exceptions.length)).toEqual([0, 0, 1, 0]);
  expect(batches.flat().map(({ lane }) => lane?.key)).toEqual(
    ['ann', 'bob', 'cid', 'bad'].map((name) => `jarvis-memory/${name}`),
  );
  const shared = orchestratorThat(() => false);
  await Promise.all(lanes.map((name) => applyCopy([create(name)], { ...FENCE, key: name }, shared.parts)));
  expect(shared.batches.map((batch) => batch.length)).toEqual([4]);
});

test('a call without an answer fails every copy that shared it', async () => {
  let calls = 0;
  const parts = partsOf(() => {
    calls += 1;
    return Promise.reject(new ConnectionError('silent', { effect: 'unknown' }));
  });
  const tried = await Promise.allSettled(
    ['a', 'b', 'c'].map((name) => applyCopy([create(name)], FENCE, parts)),
  );
  expect(tried.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected']);
  expect(calls).toBe(1);
});

test.each(['superseded', 'already_applied'] as const)(
  'a copy whose fence answer is %s fails, because nothing was written',
  async (result) => {
    const calls = partsOf(async (operations) => operations.map(() => ({ result })));
    await expect(applyCopy([create('a')], FENCE, calls)).rejects.toMatchObject({ effect: 'not_applied' });
  },
);

test('too many refused items stop the copy', async () => {
  const { parts } = orchestratorThat(() => true);
  const operations = Array.from({ length: 300 }, (_, at) => create(`${at}`));
  await expect(applyCopy(operations, FENCE, parts)).rejects.toThrow(TooManyExceptions);
});

test.each([
  new ConnectionError('silent', { effect: 'unknown' }),
  new OperationError('no', { code: 'permission_denied', effect: 'rejected', details: { operation: 0 } }),
  new ValidationError('no operation is to blame'),
])('%s is not an exception of an item, so the copy fails', async (error) => {
  await expect(
    applyCopy(
      [create('a')],
      FENCE,
      partsOf(() => Promise.reject(error)),
    ),
  ).rejects.toBe(error);
});
