import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { replicaId, type OperationId } from '../../../src/domain/ids.ts';
import type { Outcome } from '../../../src/domain/outcome.ts';
import { ReplicaIdentity } from '../../../src/engine/ports/replica-ports.ts';
import type { Intent, WriteRef } from '../../../src/engine/ports/ports.ts';
import type { ReplayPage, EarlierOutcome } from '../../../src/engine/ports/spill-ports.ts';
import { createCoverageStore } from '../../../src/storage/coverage.ts';
import type { Database } from '../../../src/storage/database.ts';
import { PostgresJournal } from '../../../src/storage/journal/journal.ts';
import { createReplicaStore } from '../../../src/storage/replicas.ts';
import { PLAIN } from '../../../src/storage/seal.ts';
import { createSpillJournal } from '../../../src/storage/spill/spill-journal.ts';
import { createUnknownLedger } from '../../../src/storage/unknown-ledger.ts';
import { startPostgres, type TestPostgres } from '../../support/postgres.ts';
import { beginJournal, createJournalDatabase } from './journal-under-test.ts';
import { DATABASES } from '../../support/tier.ts';

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startPostgres();
});
afterAll(() => postgres.stop());

describe.for(DATABASES)('writes that were spilled, on %s', (kind) => {
  let database: Database;
  beforeAll(async () => {
    database = await createJournalDatabase(kind, postgres);
  });
  afterAll(() => database.close());

  /** A spill of one replica, whose pages are replayed in turn. */
  async function begin() {
    const { journal: lanes, service, intent, write, laneOf, state } = beginJournal(database);
    const replica = new ReplicaIdentity(() => replicaId(randomUUID()));
    await createReplicaStore({ database }).register(replica.id);
    const journal = createSpillJournal({ database, replica });
    const spill = randomUUID();
    let through = 0;
    const replay = (
      writes: readonly (readonly [Intent, Outcome?])[],
      more: { readonly earlier?: readonly EarlierOutcome[]; readonly isOutOfOrder?: boolean } = {},
    ) => {
      const after = through;
      through += 10;
      const page: ReplayPage = {
        spill,
        after,
        through,
        intents: writes.map(([each], index) => ({
          ...each,
          kind: 'intent' as const,
          number: after + index + 1,
          replica: replica.id,
        })),
        outcomes: new Map(
          writes.flatMap(([{ operationId }, outcome]) =>
            outcome === undefined ? [] : [[operationId, outcome]],
          ),
        ),
        settled: [],
        earlier: more.earlier ?? [],
        isOutOfOrder: () => more.isOutOfOrder === true,
      };
      return journal.replay(page);
    };
    const ledger = async (): Promise<OperationId[]> => {
      const found = await createUnknownLedger(database).list({ service, standing: 'open', limit: 100 });
      return found.map(({ operationId }) => operationId).toSorted();
    };
    const seed = async (owner: string): Promise<void> => {
      const number = await createCoverageStore(database).begin(service);
      await database.query('update lanes set seeded_coverage = $2 where key = $1', [laneOf(owner), number]);
    };
    const assumeApplied = async (operation: OperationId): Promise<void> => {
      await database.query(
        `update unknown_outcomes set found_at = now() - interval '2 minutes' where operation_id = $1`,
        [operation],
      );
      const assumption = {
        outcome: 'applied',
        person: 'ann',
        reason: 'seen',
      } as const;
      await createUnknownLedger(database).assume(operation, assumption);
    };
    const clean = (owner: string): Promise<void> => lanes.cleanSpilled(laneOf(owner));
    const home = new PostgresJournal({ database, replica, seal: PLAIN });
    const pending = async (owner: string): Promise<number[]> => {
      const writes = await home.pending(laneOf(owner), 0, { writes: 100, bytes: 1_000_000 });
      return writes.map(({ sequence }) => sequence);
    };
    const markDirty = (owner: string, reason: string): Promise<void> =>
      lanes.markDirty(laneOf(owner), reason);
    const prune = async (ref: WriteRef): Promise<void> => {
      await lanes.delivered(ref);
      await database.query("update writes set accepted_at = now() - interval '2 hours' where lane_id = $1", [
        ref.laneId,
      ]);
      await lanes.prune(1);
      const left = await database.query('select sequence from writes where lane_id = $1', [ref.laneId]);
      expect(left).toEqual([]);
    };
    const lane = { state, pending, clean, seed, markDirty, prune };
    return { journal, intent, write, replay, ledger, assumeApplied, ...lane };
  }

  test('are on the ledger only if their outcome is unknown', async () => {
    const { intent, replay, ledger } = await begin();
    const [unknown, applied, refused] = [intent('ann'), intent('ann'), intent('ann')];
    await replay([
      [unknown, 'unknown'],
      [applied, 'applied'],
      [refused, 'refused'],
    ]);
    expect(await ledger()).toEqual([unknown.operationId]);
  });

  test('are added if their outcome comes on a later page, or never', async () => {
    const { journal, intent, replay, ledger } = await begin();
    const [late, applied, left] = [intent('ann'), intent('bob'), intent('cid')];
    await replay([[late], [applied], [left]]);
    expect(await ledger()).toEqual([]);
    const settled = ({ operationId, lane }: Intent, outcome: Outcome) => ({ operationId, lane, outcome });
    await replay([], { earlier: [settled(late, 'unknown'), settled(applied, 'applied')] });
    expect(await ledger()).toEqual([late.operationId]);
    await journal.recordOutcomes([settled(left, 'unknown')]);
    expect(await ledger()).toEqual([late.operationId, left.operationId].toSorted());
  });

  test('are on it if their order among other writes is unknown', async () => {
    const { intent, replay, ledger } = await begin();
    const applied = intent('ann');
    await replay([[applied, 'applied']], { isOutOfOrder: true });
    expect(await ledger()).toEqual([applied.operationId]);
  });

  test('are on it after another replica’s write to their lane, even a pruned one', async () => {
    const { write, prune, intent, replay, ledger } = await begin();
    await prune(await write('ann', 'applied'));
    const applied = intent('ann');
    await replay([[applied, 'applied']]);
    expect(await ledger()).toEqual([applied.operationId]);
  });

  test('make their lane clean again when every outcome is known', async () => {
    const { intent, replay, state, pending, clean, seed, assumeApplied } = await begin();
    const [unknown, later] = [intent('ann'), intent('ann')];
    await replay([
      [intent('ann'), 'applied'],
      [unknown, 'unknown'],
    ]);
    await seed('ann');
    await clean('ann');
    expect(await state('ann')).toMatchObject({ condition: 'dirty', reason: 'spilled' });
    await assumeApplied(unknown.operationId);
    expect(await state('ann')).toMatchObject({ condition: 'clean' });
    await replay([[later, 'applied']]);
    expect(await state('ann')).toMatchObject({ condition: 'dirty', reason: 'spilled' });
    await clean('ann');
    expect(await state('ann')).toMatchObject({ condition: 'clean' });
    expect(await pending('ann')).toEqual([1, 2, 3]);
  });

  test('do not hide other problems of their lane', async () => {
    const { intent, replay, state, clean, seed, markDirty } = await begin();
    await replay([[intent('ann'), 'applied']]);
    await clean('ann');
    expect(await state('ann')).toMatchObject({ condition: 'dirty', reason: 'spilled' });
    await seed('ann');
    await markDirty('ann', 'delivery_altered');
    await clean('ann');
    expect(await state('ann')).toMatchObject({ condition: 'dirty', reason: 'delivery_altered' });
  });

  test('add open writes of a dead replica to it', async () => {
    const { intent, write, replay, ledger } = await begin();
    await write('ann');
    const applied = intent('ann');
    await replay([[applied, 'applied']]);
    // What stood before it, and, since another has written between, the place of the spilled one.
    expect(await ledger()).toHaveLength(2);
  });
});
