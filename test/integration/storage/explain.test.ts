import { randomUUID } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { operationId, replicaId } from '../../../src/domain/ids.ts';
import type { Owner } from '../../../src/domain/ids.ts';
import { ReplicaIdentity } from '../../../src/engine/ports/replica-ports.ts';
import { createExplainStore } from '../../../src/storage/explain.ts';
import { createFlipBook } from '../../../src/storage/flip-book.ts';
import { createFlipShareStore } from '../../../src/storage/flip-shares.ts';
import { createFlipStore } from '../../../src/storage/flips.ts';
import { createReplicaStore } from '../../../src/storage/replicas.ts';
import { createWayBackStore } from '../../../src/storage/way-back.ts';
import { onEachJournal } from './each-journal.ts';
import { beginJournal } from './journal-under-test.ts';

onEachJournal((database) => {
  async function begin() {
    const at = beginJournal(database());
    const store = createExplainStore(database());
    const refs = [
      await at.write('ann', 'applied'),
      await at.write('ann', 'applied'),
      await at.write('ann', 'applied'),
    ] as const;
    const newest = async () => {
      const [write] = await store.writes(at.laneOf('ann'), 1);
      if (write === undefined) throw new Error('nothing was written');
      return write;
    };
    return { ...at, store, refs, newest };
  }

  test('the first advance at or above a write shows its delivery', async () => {
    const { journal, store, refs, laneOf } = await begin();
    await journal.delivered(refs[1]);
    const writes = await store.writes(laneOf('ann'), 10);
    expect(writes.map(({ sequence, is_through, via }) => [sequence, is_through, via])).toEqual([
      [3, false, null],
      [2, true, 'delivery'],
      [1, true, 'delivery'],
    ]);
    const [, second, first] = writes;
    expect(second?.through_at).toBeInstanceOf(Date);
    expect(first?.through_at).toEqual(second?.through_at);
    await journal.delivered(refs[2]);
    const later = await store.writes(laneOf('ann'), 10);
    expect(later[1]?.through_at).toEqual(second?.through_at);
    expect(later[0]?.via).toBe('delivery');
  });

  test('copied and delivered writes are distinguished', async () => {
    const { journal, store, refs, laneOf, newest } = await begin();
    await journal.delivered(refs[0]);
    const { generation = 0 } = (await journal.beginCopy(laneOf('ann'))) ?? {};
    const copy = { generation, sequence: 3, coverage: 1, exceptions: [], closes: true };
    await journal.finishCopy(laneOf('ann'), copy);
    expect((await store.writes(laneOf('ann'), 10)).map(({ via }) => via)).toEqual([
      'copy',
      'copy',
      'delivery',
    ]);
    expect((await newest()).through_at).toBeInstanceOf(Date);
  });

  test('the ledgers keep an operation after the journal has removed it', async () => {
    const { journal, store, refs, newest } = await begin();
    const ref = refs[2];
    const id = operationId((await newest()).operation_id);
    expect(await store.write(id)).toMatchObject({ sequence: 3, outcome: 'applied', letter_code: null });
    await journal.deadLetter({ ref, code: 'validation_error', reason: 'too_long' });
    await database().query('delete from writes where lane_id = $1 and sequence = $2', [
      ref.laneId,
      ref.sequence,
    ]);
    expect(await store.write(id)).toMatchObject({
      operation_id: id,
      lane: ref.lane,
      action: 'add_memory',
      accepted_at: null,
      letter_code: 'validation_error',
      letter_attempts: 1,
      unknown_found_at: null,
    });
  });

  test('advances are removed with their writes', async () => {
    const { journal, refs } = await begin();
    await journal.delivered(refs[2]);
    const count = async () =>
      (await database().query('select from lane_advances where lane_id = $1', [refs[0].laneId])).length;
    expect(await count()).toBe(1);
    await journal.prune(1);
    expect(await count()).toBe(0);
  });

  describe('what moves or keeps the primary of a lane', () => {
    async function moving() {
      const at = await begin();
      const replica = new ReplicaIdentity(() => replicaId(randomUUID()));
      const lane = at.laneOf('ann');
      const moves = () => at.store.moves(lane);
      return { ...at, replica, lane, moves, wayBack: createWayBackStore(database(), replica) };
    }

    test('is nothing at first, and for a lane without a row', async () => {
      const { moves, store, laneOf } = await moving();
      const nothing = { failures: null, hold: null, held: null, returns: [] };
      expect(await moves()).toEqual(nothing);
      expect(await store.moves(laneOf('unknown'))).toEqual(nothing);
    });

    test('shows how often flips failed, why, and when the next is due', async () => {
      const { replica, lane, moves } = await moving();
      const book = createFlipBook(database(), replica);
      await book.failed(lane, 'write_open', 10);
      await book.failed(lane, 'writes_wait', 20);
      const { failures } = await moves();
      expect(failures).toMatchObject({ failed: 2, reason: 'writes_wait', first_at: expect.any(Date) });
      expect(failures?.due_in_seconds).toBeGreaterThan(15);
      expect(failures?.due_in_seconds).toBeLessThanOrEqual(20);
    });

    test('shows the replica that writes wait for, until it is gone', async () => {
      const { journal, refs, replica, lane, moves } = await moving();
      await journal.delivered(refs[2]);
      const replicas = createReplicaStore({ database: database() });
      await replicas.register(replica.id, undefined);
      await database().query('update lanes set claim_replica = null, writer_replica = null where key = $1', [
        lane,
      ]);
      expect(await createFlipStore(database(), replica).announce(lane, 60_000)).toBeDefined();
      expect((await moves()).hold).toEqual({ replica: replica.id, until: expect.any(Date) });
      await replicas.leave(replica.id);
      expect((await moves()).hold).toBeNull();
    });

    test('shows the person who holds further flips, until that is lifted', async () => {
      const { service, moves } = await moving();
      const shares = createFlipShareStore(database());
      await shares.hold(service, { person: 'ann', reason: 'a test' });
      expect((await moves()).held).toMatchObject({ person: 'ann', reason: 'a test' });
      await shares.lift(service, { person: 'ann', reason: 'a test' });
      expect((await moves()).held).toBeNull();
    });

    test('shows each return with its obstacle, its next attempt and its end', async () => {
      const { service, lane, moves, wayBack } = await moving();
      const primary = (backend: string) =>
        database().query('update lanes set primary_backend = $2, obeyed_sequence = sequence where key = $1', [
          lane,
          backend,
        ]);
      await primary('orchestrator');
      const by = { person: 'bob', reason: 'a drill', acceptsLoss: false };
      const { id = 0 } = (await wayBack.begin(service, 'all', by)) ?? {};
      const due = { rollback: id, service, owner: 'ann' as Owner, acceptsLoss: false, by, ageMs: 0 };
      await wayBack.failed(due, 'halted');
      const [waiting] = (await moves()).returns;
      expect(waiting).toMatchObject({
        rollback: id,
        person: 'bob',
        state: 'waiting',
        failed: 1,
        obstacle: 'halted',
        due_in_seconds: expect.any(Number),
        returned_at: null,
      });
      await wayBack.stop(id, { person: 'cid', reason: 'enough' });
      expect((await moves()).returns).toMatchObject([
        { state: 'stopped', stopped_by: 'cid', due_in_seconds: null },
      ]);
      await wayBack.begin(service, 'all', by);
      await primary('legacy');
      await wayBack.settle();
      expect((await moves()).returns).toMatchObject([
        { state: 'returned', obstacle: null, due_in_seconds: null, returned_at: expect.any(Date) },
        { state: 'stopped' },
      ]);
    });
  });
});
