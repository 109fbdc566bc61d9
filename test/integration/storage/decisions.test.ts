import { randomBytes, randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { operationId } from '../../../src/domain/ids.ts';
import { createAuditStore } from '../../../src/storage/audit.ts';
import { createCoverageStore } from '../../../src/storage/coverage.ts';
import type { Database } from '../../../src/storage/database.ts';
import { createDeadLetterStore } from '../../../src/storage/dead-letters.ts';
import { createSeal } from '../../../src/storage/seal.ts';
import { createUnknownLedger } from '../../../src/storage/unknown-ledger.ts';
import { startPostgres, type TestPostgres } from '../../support/postgres.ts';
import { beginJournal, createJournalDatabase } from './journal-under-test.ts';
import { DATABASES } from '../../support/tier.ts';

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startPostgres();
});
afterAll(async () => {
  await postgres.stop();
});

const ANN = { person: 'ann', reason: 'looked at it' };
const NOBODY = operationId(randomUUID());
const SEAL = createSeal(randomBytes(32));

describe.each(DATABASES)('on %s', (kind) => {
  let database: Database;
  beforeAll(async () => {
    database = await createJournalDatabase(kind, postgres);
  });
  afterAll(async () => {
    await database.close();
  });

  /** A lane, seeded, with an applied write, one more of this outcome, and another applied one. */
  async function begin(outcome: 'applied' | 'unknown') {
    const at = beginJournal(database, SEAL);
    const { journal, service, write } = at;
    const coverage = await createCoverageStore(database).begin(service);
    await write('ann', 'applied', { seedsUnder: coverage });
    const ref = await write('ann', outcome);
    if (outcome === 'unknown') await journal.markDirty(ref.lane, 'unknown_outcome');
    await write('ann', 'applied');
    return { ...at, ref };
  }

  describe('a dead letter', () => {
    async function refused() {
      const at = await begin('applied');
      const { journal, ref, service } = at;
      const refuse = () => journal.deadLetter({ ref, code: 'validation_error', reason: 'too_long' });
      await refuse();
      const store = createDeadLetterStore(database, SEAL);
      const find = async () => (await store.list({ service, limit: 10 }))[0];
      const id = (await find())?.operationId ?? NOBODY;
      return { ...at, refuse, store, find, id };
    }

    test('is listed with the number of waiting writes, and its request is readable', async () => {
      const { store, id, service, find } = await refused();
      expect(await find()).toMatchObject({
        service,
        action: 'add_memory',
        sequence: 2,
        code: 'validation_error',
        attempts: 1,
        standing: 'open',
        isThrough: false,
        waiting: 1,
      });
      expect(await store.requestOf(id)).toBe('{"memory": "ann"}');
      expect(await store.list({ service, standing: 'ended', limit: 10 })).toEqual([]);
      expect(await store.find(NOBODY)).toBeUndefined();
    });

    test('is decided once, with an audit entry', async () => {
      const { store, id, service, ref, find } = await refused();
      const both = await Promise.all([store.resolve(id, 'skipped', ANN), store.resolve(id, 'redriven', ANN)]);
      expect(both.map(({ result }) => result).toSorted()).toEqual(['decided', 'ended']);
      expect((await find())?.resolvedBy).toEqual(ANN);
      const entries = await createAuditStore(database).recent({ limit: 10 });
      expect(entries.filter((entry) => entry.service === service)).toMatchObject([
        { ...ANN, details: { operation_id: id, lane: ref.lane, sequence: 2 } },
      ]);
      expect(await store.resolve(NOBODY, 'skipped', ANN)).toEqual({ result: 'unknown_operation' });
    });

    test('is open again if a redrive is refused, but not after a skip', async () => {
      const { store, id, refuse, find, journal, laneOf } = await refused();
      const waiting = async () =>
        (await journal.pending(laneOf('ann'), 1, { writes: 10, bytes: 1_000_000 })).map(
          ({ letter = 'none' }) => letter,
        );
      expect(await waiting()).toEqual(['open', 'none']);
      await store.resolve(id, 'redriven', ANN);
      expect(await waiting()).toEqual(['redriven', 'none']);
      await refuse();
      expect(await find()).toMatchObject({ standing: 'open', attempts: 2 });
      await store.resolve(id, 'skipped', ANN);
      await refuse();
      expect(await find()).toMatchObject({ standing: 'skipped', attempts: 2 });
      expect(await waiting()).toEqual(['skipped', 'none']);
    });
  });

  describe('an unknown outcome', () => {
    async function unknown() {
      const at = await begin('unknown');
      const ledger = createUnknownLedger(database);
      const find = async () => (await ledger.list({ service: at.service, limit: 10 }))[0];
      const id = (await find())?.operationId ?? NOBODY;
      const age = (seconds: number) =>
        database.query(
          `update unknown_outcomes set found_at = now() - make_interval(secs => $2) where operation_id = $1`,
          [id, seconds],
        );
      const assume = (outcome: 'applied' | 'lost') => ledger.assume(id, { ...ANN, outcome });
      return { ...at, ledger, find, id, age, assume };
    }

    test('is on the ledger from its start', async () => {
      const { find, ledger, service } = await unknown();
      const found = await find();
      expect(found).toMatchObject({ service, sequence: 2, action: 'add_memory' });
      expect(found).not.toHaveProperty('ending');
      expect(await ledger.list({ service, standing: 'ended', limit: 10 })).toEqual([]);
    });

    test('a copy ends it, and a late enough copy closes it', async () => {
      const { journal, laneOf, find, assume, age } = await unknown();
      const finish = async (closes: boolean) => {
        const { generation = 0 } = (await journal.beginCopy(laneOf('ann'))) ?? {};
        await journal.finishCopy(laneOf('ann'), {
          generation,
          sequence: 3,
          coverage: 1,
          exceptions: [],
          closes,
        });
      };
      await finish(false);
      expect(await find()).toMatchObject({ ending: 'copied' });
      expect(await find()).not.toHaveProperty('closedAtMs');
      await finish(true);
      expect((await find())?.closedAtMs).toBeGreaterThan(0);
      await age(61);
      expect(await assume('lost')).toEqual({ result: 'ended', by: 'copied' });
    });

    test('can be decided by a person after no reply can come any more', async () => {
      const { assume, age, find, pending, state, service } = await unknown();
      await age(59);
      expect(await assume('applied')).toMatchObject({ result: 'too_early' });
      await age(61);
      expect(await pending('ann')).toEqual([1, 3]);
      expect(await assume('applied')).toMatchObject({ result: 'decided', service });
      expect(await pending('ann')).toEqual([1, 2, 3]);
      expect(await state('ann')).toMatchObject({ condition: 'clean' });
      expect(await find()).toMatchObject({
        ending: 'assumed_applied',
        decidedBy: ANN,
        closedAtMs: expect.any(Number),
      });
      const [entry] = await createAuditStore(database).recent({ service, limit: 10 });
      expect(entry).toMatchObject({
        ...ANN,
        command: 'unknown-outcomes assume-applied',
        details: { is_lane_clean: true },
      });
    });

    test('that is assumed to be lost is not delivered', async () => {
      const { assume, age, pending, state } = await unknown();
      await age(61);
      await assume('lost');
      expect(await pending('ann')).toEqual([1, 3]);
      expect(await state('ann')).toMatchObject({ condition: 'clean' });
    });

    test('of a lane with other problems leaves that lane dirty', async () => {
      const { assume, age, state, write, journal, laneOf } = await unknown();
      await write('ann', 'unknown');
      await age(61);
      await assume('applied');
      expect(await state('ann')).toMatchObject({ condition: 'dirty' });
      await journal.markDirty(laneOf('ann'), 'delivery_altered');
      expect(await state('ann')).toMatchObject({ reason: 'delivery_altered' });
    });

    test.for([
      ['its replica knew that all others journal', true, false, true],
      ['its replica did not know whether others journal', false, false, false],
      ['dual writes have ended and begun again since', true, true, false],
    ] as const)(
      'that began a lane and is taken as applied seeds it only if all journal: %s',
      async ([, wasSure, hasEnded, isSeeded]) => {
        const { journal, service, write, state } = beginJournal(database, SEAL);
        const store = createCoverageStore(database);
        const coverage = await store.begin(service);
        const ref = await write('ann', 'unknown', wasSure ? { seedsUnder: coverage } : {});
        await journal.markDirty(ref.lane, 'unknown_outcome');
        expect(await state('ann')).toMatchObject({ seededCoverage: 0 });
        if (hasEnded) {
          await store.end(service);
          await store.begin(service);
        }
        await database.query(
          `update unknown_outcomes set found_at = now() - interval '61 seconds' where service = $1`,
          [service],
        );
        const ledger = createUnknownLedger(database);
        const [found] = await ledger.list({ service, limit: 10 });
        await ledger.assume(found?.operationId ?? NOBODY, { ...ANN, outcome: 'applied' });
        expect(await state('ann')).toMatchObject(
          isSeeded
            ? { condition: 'clean', seededCoverage: coverage }
            : { condition: 'dirty', seededCoverage: 0 },
        );
      },
    );

    test('of a dead replica is found at the take-over', async () => {
      const at = beginJournal(database, SEAL);
      await at.write('bob');
      expect(await createUnknownLedger(database).list({ service: at.service, limit: 10 })).toEqual([]);
      await at.open().recover();
      expect(await createUnknownLedger(database).list({ service: at.service, limit: 10 })).toMatchObject([
        { sequence: 1 },
      ]);
    });
  });
});
