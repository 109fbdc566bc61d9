import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { StorageError } from '../../../src/domain/errors.ts';
import { replicaId } from '../../../src/domain/ids.ts';
import type { LaneState } from '../../../src/domain/lane.ts';
import { ReplicaIdentity } from '../../../src/engine/ports/replica-ports.ts';
import type { Database } from '../../../src/storage/database.ts';
import { PostgresJournal } from '../../../src/storage/journal/journal.ts';
import { createSeal, PLAIN, type Seal } from '../../../src/storage/seal.ts';
import { startPostgres, type TestPostgres } from '../../support/postgres.ts';
import { beginJournal, createJournalDatabase, present } from './journal-under-test.ts';
import { DATABASES } from '../../support/tier.ts';

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startPostgres();
});
afterAll(() => postgres.stop());

describe.each(DATABASES)('intents in the journal on %s', (kind) => {
  let database: Database;
  beforeAll(async () => {
    database = await createJournalDatabase(kind, postgres);
  });
  afterAll(() => database.close());
  const begin = (seal?: Seal) => beginJournal(database, seal);
  const waitingForLocks = async (): Promise<number> => {
    const rows = await database.query<{ pid: number }>(
      `select distinct pid from pg_locks where not granted
         and pid in (select pid from pg_stat_activity where datname = current_database())`,
    );
    return rows.length;
  };

  describe('an intent', () => {
    test('gets its lane’s next sequence, and creates the lane', async () => {
      const { journal, intent, state } = begin();
      expect(await state('ann')).toBeUndefined();
      expect(await journal.append(intent('ann'))).toMatchObject({
        sequence: 1,
        generation: 0,
        epoch: 0,
        primary: 'legacy',
        condition: 'clean',
        reason: '',
        seededCoverage: 0,
        exceptions: 0,
        deliveredSequence: 0,
        isHome: true,
      });
      expect(present(await journal.append(intent('ann'))).sequence).toBe(2);
      expect(present(await journal.append(intent('bob'))).sequence).toBe(1);
      expect(await state('ann')).toMatchObject({ sequence: 2 });
    });

    test('keeps its order among many concurrent intents', async () => {
      const { journal, intent, write, pending } = begin();
      const owners = ['ann', 'bob', 'eve'];
      const intents = Array.from({ length: 120 }, (_, index) => intent(owners[index % 3] ?? ''));
      const states = await Promise.all(intents.map((one) => journal.append(one)));
      states.forEach((state, index) => expect(present(state).sequence).toBe(1 + Math.floor(index / 3)));
      expect((await write('ann', 'applied')).sequence).toBe(41);
      // Nothing is delivered before those whose outcome is not durable yet.
      expect(await pending('ann')).toEqual([]);
    });

    test('keeps its order next to another replica’s intents, without a deadlock', async () => {
      const { open, intent } = begin();
      const owners = Array.from({ length: 20 }, (_, index) => `user-${index}`);
      const replicas = [open(), open()].map((journal, index) => async (owner: string) => {
        for (;;) {
          const asked = intent(owner);
          const state = await journal.append(asked);
          if (state === undefined) {
            await new Promise((resolve) => setTimeout(resolve, 2));
            continue;
          }
          await journal.recordOutcome({
            ref: { laneId: state.id, lane: asked.lane, sequence: state.sequence },
            outcome: 'applied',
          });
          return { index, sequence: state.sequence };
        }
      });
      const [here, there] = replicas;
      const places = await Promise.all([
        ...owners.map((owner) => here?.(owner)),
        ...owners.toReversed().map((owner) => there?.(owner)),
      ]);
      expect(places.map((place) => place?.sequence ?? 0).toSorted((a, b) => a - b)).toEqual([
        ...owners.map(() => 1),
        ...owners.map(() => 2),
      ]);
    });

    test.runIf(kind === 'postgres')('locks lanes in the order of their keys, without deadlock', async () => {
      const { open, intent, write } = begin();
      const owners = ['a', 'm', 'z'].map((name) => `locked-${name}`);
      for (const owner of owners) await write(owner, 'applied');
      const [here, there] = [open(), open()];
      const appended = await database.transaction(async (session) => {
        await session.query('select from lanes where key = $1 for update', [intent('locked-m').lane]);
        const asked = [
          ...owners.map((owner) => here.append(intent(owner))),
          ...owners.toReversed().map((owner) => there.append(intent(owner))),
        ].map((append) => append.then((state) => state?.sequence ?? 'busy'));
        await vi.waitFor(async () => expect(await waitingForLocks()).toBe(2), { timeout: 10_000 });
        return asked;
      });
      // In the order in which they came one would hold `a`, the other `z`, and each would wait for the other's.
      const places = await Promise.all(appended);
      expect(places.filter((place) => place === 2)).toHaveLength(owners.length);
    });

    test('is refused while another replica’s write of the lane is open', async () => {
      const { journal, open, intent, write } = begin();
      const ref = await write('ann');
      const other = open();
      expect(await other.append(intent('ann'))).toBeUndefined();
      expect(await other.append(intent('bob'))).toMatchObject({ sequence: 1 });
      await journal.recordOutcome({ ref, outcome: 'refused' });
      expect(await other.append(intent('ann'))).toMatchObject({ sequence: 2 });
    });

    test('behaves the same after many commits without another replica', async () => {
      const { intent } = begin();
      const [here, there] = [replicaId(randomUUID()), replicaId(randomUUID())];
      const [journal, other] = [here, there].map(
        (id) => new PostgresJournal({ database, replica: new ReplicaIdentity(() => id), seal: PLAIN }),
      ) as [PostgresJournal, PostgresJournal];
      const live = (...ids: readonly string[]) =>
        database.query(
          `insert into replicas (id, heartbeat_at) select id, now() + interval '1 hour' from unnest($1::uuid[]) as t(id)`,
          [ids],
        );
      const appendAfterMany = async (owner: string) => {
        for (let count = 0; count < 101; count += 1) present(await journal.append(intent('bob')));
        return journal.append(intent(owner));
      };
      const settle = (state: LaneState | undefined, owner: string) => {
        const { id, sequence } = present(state);
        const ref = { laneId: id, lane: intent(owner).lane, sequence };
        return journal.recordOutcome({ ref, outcome: 'applied' });
      };
      await live(here, there);
      const open = await other.append(intent('ann'));
      expect(await appendAfterMany('ann')).toBeUndefined();
      await settle(open, 'ann');
      // The other is its home for as long as it lives, whoever wrote to it last.
      for (const sequence of [2, 3]) {
        const state = await appendAfterMany('ann');
        expect(state).toMatchObject({ sequence, isHome: false });
        await settle(state, 'ann');
      }
      await database.query('delete from replicas where id = $1', [there]);
      expect(await appendAfterMany('ann')).toMatchObject({ sequence: 4, isHome: true });

      // Of a lane whose home is here a write is open there.
      await settle(await journal.append(intent('eve')), 'eve');
      const elsewhere = await other.append(intent('eve'));
      expect(elsewhere).toMatchObject({ sequence: 2, isHome: false });
      expect(await appendAfterMany('eve')).toBeUndefined();
      await settle(elsewhere, 'eve');
      await live(there);
      await other.hold(intent('eve').lane, 60);
      expect(await appendAfterMany('eve')).toBeUndefined();
      await other.releaseHold(intent('eve').lane);
      expect(await appendAfterMany('eve')).toMatchObject({ sequence: 3, isHome: true });
    });

    test('returns all facts of its lane’s row', async () => {
      const { journal, intent, write, laneOf, state } = begin();
      await write('ann', 'applied', { seedsUnder: 7 });
      await journal.markDirty(laneOf('ann'), 'unknown_outcome');
      const placed = present(await journal.append(intent('ann')));
      expect(placed).toMatchObject({ condition: 'dirty', reason: 'unknown_outcome', mayRepeat: true });
      expect(placed).toEqual({ ...(await state('ann')), writes: 'open' });
      await database.query(
        `update lanes set primary_backend = 'orchestrator', epoch = 3, exceptions = 2, uncertain_count = 4 where key = $1`,
        [laneOf('ann')],
      );
      const flipped = present(await journal.append(intent('ann')));
      expect(flipped).toMatchObject({ primary: 'orchestrator', epoch: 3, exceptions: 2, foundUncertain: 4 });
      expect(flipped).toEqual({ ...(await state('ann')), writes: 'open' });
    });

    test('does not claim a lane after its replica lost its lease', async () => {
      const { intent } = begin();
      const replica = new ReplicaIdentity(() => replicaId(randomUUID()));
      const placing = new PostgresJournal({ database, replica, seal: PLAIN }).append(intent('ann'));
      // Its statement is on its way behind everything that was asked for in this turn.
      await Promise.resolve();
      replica.renew();
      expect(present(await placing).isHome).toBe(false);
    });

    test('is stored together with an existing outcome, which stays unchanged', async () => {
      const { journal, intent, write, pending, laneOf } = begin();
      const ref = await write('ann', 'applied');
      const other = await write('eve');
      // The first is under way while the others come: they share a commit.
      const places = Promise.all([journal.append(intent('bob')), journal.append(intent('ann'))]);
      const settled = [
        journal.recordOutcome({ ref, outcome: 'refused' }),
        journal.recordOutcome({ ref: other, outcome: 'applied' }),
      ];
      expect((await places).map((place) => present(place).sequence)).toEqual([1, 2]);
      await Promise.all(settled);
      expect(await pending('ann')).toEqual([1]);
      expect((await journal.undelivered(laneOf('ann'), 1)).map(({ sequence }) => sequence)).toEqual([1]);
      expect(await pending('eve')).toEqual([1]);
    });

    test('is read back unchanged', async () => {
      const { journal, intent, laneOf } = begin();
      const asked = intent('ann', '{"memory": "ä \\u0000 NaN", "x": NaN, "big": 12345678901234567890}');
      const { id, sequence } = present(await journal.append(asked));
      await journal.recordOutcome({ ref: { laneId: id, lane: asked.lane, sequence }, outcome: 'applied' });
      const { operationId, action, request, acceptedAtMs } = asked;
      expect(await journal.pending(laneOf('ann'), 0, { writes: 10, bytes: 1_000_000 })).toEqual([
        { laneId: id, lane: asked.lane, sequence, operationId, action, request, acceptedAtMs },
      ]);
    });

    test('is read in pages of limited size, with at least one intent', async () => {
      const { journal, intent, laneOf } = begin();
      for (let written = 0; written < 4; written += 1) {
        const { id, sequence } = present(await journal.append(intent('ann', 'x'.repeat(1_000))));
        await journal.recordOutcome({
          ref: { laneId: id, lane: laneOf('ann'), sequence },
          outcome: 'applied',
        });
      }
      const sequences = async (writes: number, bytes: number) =>
        (await journal.pending(laneOf('ann'), 0, { writes, bytes })).map(({ sequence }) => sequence);
      expect(await sequences(10, 1)).toEqual([1]);
      expect(await sequences(10, 1_001)).toEqual([1, 2]);
      expect(await sequences(2, 10_000)).toEqual([1, 2]);
      expect(await sequences(10, 10_000)).toEqual([1, 2, 3, 4]);
    });

    test('is not readable in the database if a key is configured', async () => {
      const { journal, intent, laneOf } = begin(createSeal(Buffer.alloc(32, 7)));
      const asked = intent('ann', '{"memory": "a secret"}');
      const { id, sequence } = present(await journal.append(asked));
      const ref = { laneId: id, lane: asked.lane, sequence };
      const items = [{ digest: 'digest-of-a-secret', newer: 0 }];
      expect(await journal.nameItems(ref, items)).toBe(true);
      await journal.recordOutcome({ ref, outcome: 'applied' });
      const rows = await database.query<{ request: string }>(
        'select concat(request, named) as request from writes where lane_id = $1',
        [id],
      );
      expect(rows).toHaveLength(1);
      expect(rows[0]?.request).not.toContain('secret');
      const [write] = await journal.pending(laneOf('ann'), 0, { writes: 10, bytes: 1_000_000 });
      expect(write?.request).toBe(asked.request);
      expect(write?.items).toEqual(items);
      const withoutKey = new PostgresJournal({
        database,
        replica: new ReplicaIdentity(() => replicaId(randomUUID())),
        seal: PLAIN,
      });
      await expect(withoutKey.pending(laneOf('ann'), 0, { writes: 10, bytes: 1_000_000 })).rejects.toThrow(
        StorageError,
      );
    });
  });
});
