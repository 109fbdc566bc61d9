import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Comparison, Hint } from '../../../src/domain/comparison.ts';
import { type LaneKey, operationId, serviceName } from '../../../src/domain/ids.ts';
import { likeliest, type StoredDifference } from '../../../src/engine/compare/comparison-stores.ts';
import { DistinctEstimate } from '../../../src/engine/compare/digest.ts';
import { SignatureBook } from '../../../src/engine/compare/signature-book.ts';
import { spanOf } from '../../../src/operator/report/calendar-day.ts';
import type { Database } from '../../../src/storage/database.ts';
import { createDifferenceStore } from '../../../src/storage/differences.ts';
import { createReportFactStore } from '../../../src/storage/reports/report-facts.ts';
import { createRuleStore } from '../../../src/storage/rules.ts';
import { createSeal, PLAIN } from '../../../src/storage/seal.ts';
import { createSignatureStore } from '../../../src/storage/signatures.ts';
import { startPostgres, type TestPostgres } from '../../support/postgres.ts';
import { DATABASES } from '../../support/tier.ts';
import { createJournalDatabase } from './journal-under-test.ts';

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startPostgres();
});
afterAll(() => postgres.stop());

const SERVICE = serviceName('session-memory');
const RULE = { kind: 'ignore', path: 'a.b', owner: 'ann', reason: 'because', expires: '2027-01-01' } as const;

const comparison = (path: string, hint?: Hint): Comparison => ({
  verdict: 'mismatch',
  differences: [
    {
      path,
      class: 'value',
      legacy: 'string(3)#0000000a',
      orchestrator: 'string(4)#0000000b',
      ...(hint && { hint }),
    },
  ],
  suppressed: 0,
});

const stored = (owner: string, more: Partial<StoredDifference> = {}): StoredDifference => ({
  operationId: operationId('6f8a4a9e-9a3b-4a4e-8c1e-0d6a3f2b1c0d'),
  service: SERVICE,
  action: 'get_context',
  lane: `session-memory/${owner}` as LaneKey,
  primary: 'legacy',
  comparison: comparison('a'),
  atMs: Date.UTC(2026, 10, 21),
  ...more,
});

describe.each(DATABASES)('on %s', (kind) => {
  let database: Database;
  beforeAll(async () => {
    database = await createJournalDatabase(kind, postgres);
  });
  afterAll(() => database.close());

  test('signatures are counted beyond the listed ones', async () => {
    const service = serviceName('many-signatures');
    const span = spanOf('2026-11-20', 'UTC');
    for (const [at, many] of [
      ['2026-11-20T12:00:00Z', 501],
      ['2026-11-19T12:00:00Z', 99],
      ['2026-11-21T00:00:00Z', 1],
    ] as const)
      await database.query(
        `insert into difference_signatures (service, action, path, class, shape, count, first_at, last_at, lane_registers, examples)
         select $1, 'get_context', 'path ' || $2 || n, 'value', 's', 1, $2::timestamptz, $2::timestamptz, '{}', '[]'
         from generate_series(1, $3::int) n`,
        [service, at, many],
      );
    const { signatures } = await createReportFactStore(database).of(service, span);
    expect(signatures).toEqual({ known: 601, fresh: 501 });
  });

  test('an operator’s rule is active until it is removed once', async () => {
    const store = createRuleStore(database);
    const id = await store.add({ service: SERVICE, action: 'get_context', rule: RULE });
    expect(await store.rules()).toEqual([
      { id, service: SERVICE, action: 'get_context', rule: RULE, addedAtMs: expect.any(Number) as unknown },
    ]);
    const changed = (changes: number) => [{ service: SERVICE, action: 'get_context', changes }];
    expect(await store.changes()).toEqual(changed(1));
    expect(await store.remove(id, 'bob')).toBe(true);
    expect(await store.remove(id, 'bob')).toBe(false);
    expect(await store.rules()).toEqual([]);
    expect(await store.changes()).toEqual(changed(2));
  });

  test('hits of all replicas add up', async () => {
    const store = createRuleStore(database);
    const hit = { service: SERVICE, action: 'get_context', rule: 'ignore a.b', hits: 3, lastHitAtMs: 1_000 };
    await Promise.all([store.addHits([hit]), store.addHits([{ ...hit, hits: 4, lastHitAtMs: 500 }])]);
    expect(await store.hits()).toEqual([{ ...hit, hits: 7 }]);
  });

  test('signatures of all replicas are merged: counts, lanes, first five examples', async () => {
    const store = createSignatureStore(database);
    const sightings = (replica: number) => {
      const book = new SignatureBook();
      for (let at = 0; at < 4; at += 1) {
        const operation = { ...stored(`${replica}-${at}`), service: SERVICE };
        book.add(operation, comparison('a', replica === 1 ? 'clock' : undefined), replica * 1_000 + at);
      }
      return book.take();
    };
    await Promise.all([store.add(sightings(1)), store.add(sightings(2))]);
    await store.add(sightings(1));
    const [signature, ...others] = await store.list(SERVICE, 10);
    expect(others).toEqual([]);
    expect(signature).toMatchObject({
      path: 'a',
      class: 'value',
      shape: 'string → string',
      count: 12,
      firstAtMs: 1_000,
      lastAtMs: 2_003,
      hints: { clock: 8 },
    });
    expect(signature?.examples).toHaveLength(5);
    expect(new DistinctEstimate(signature?.laneRegisters).count).toBe(8);
  });

  test('a known cause stays after differences without one, or with a rarer one', async () => {
    const store = createSignatureStore(database);
    const found = async (hint: Hint | undefined, times: number): Promise<void> => {
      const book = new SignatureBook();
      for (let at = 0; at < times; at += 1) book.add(stored(`u-${at}`), comparison('hinted', hint), at);
      await store.add(book.take());
    };
    const likely = async () => {
      const signature = (await store.list(SERVICE, 10)).find(({ path }) => path === 'hinted');
      return signature && likeliest(signature.hints);
    };
    await found(undefined, 5);
    expect(await likely()).toBeUndefined();
    await found('clock', 3);
    await found(undefined, 20);
    expect(await likely()).toBe('clock');
    await found('rounding', 2);
    expect(await likely()).toBe('clock');
    await found('rounding', 2);
    expect(await likely()).toBe('rounding');
  });

  test('samples are kept only if enabled, and sealed', async () => {
    const seal = createSeal(Buffer.alloc(32, 7));
    const sample = { request: '{}', legacy: '{"a":"my secret"}', orchestrator: '{"a":"other"}' };
    await createDifferenceStore({ database, seal }).add(stored('without', { sample }));
    const store = createDifferenceStore({ database, seal, sampleHours: 1 });
    await store.add(stored('with', { sample }));
    expect((await store.withSamples(SERVICE, 2)).map((each) => each.sample)).toEqual([sample, undefined]);
    expect((await store.recent(SERVICE, 1)).map((each) => each.sample)).toEqual([undefined]);
    const rows = await database.query<{ body: string }>('select body from difference_samples');
    expect(rows.map(({ body }) => body.includes('secret'))).toEqual([false]);
    await expect(createDifferenceStore({ database, seal: PLAIN }).withSamples(SERVICE, 1)).rejects.toThrow(
      /journal\.encryptionKey is not set/,
    );
  });

  test('a difference is stored with its judging facts, a whole lane without', async () => {
    const store = createDifferenceStore({ database, seal: PLAIN });
    const expiry = { idleSeconds: 3_600, nowSeconds: 7, naiveNowSeconds: 8 };
    const judgedWith = { nowIso: '2026-11-21T00:00:00.000Z', clockOffsetSeconds: -1.5, expiry };
    await store.add(stored('lane'));
    await store.add(stored('pair', { judgedWith }));
    const kept = await store.withSamples(SERVICE, 2);
    expect(kept.map((each) => each.judgedWith)).toEqual([judgedWith, undefined]);
  });

  test('no more than 16 MiB of samples are read at once, the newest', async () => {
    const store = createDifferenceStore({ database, seal: PLAIN, sampleHours: 1 });
    const service = serviceName('of-large-replies');
    const sample = { request: '{}', legacy: 'x'.repeat(9 * 1024 * 1024), orchestrator: '{}' };
    for (const owner of ['oldest', 'older', 'newest']) await store.add(stored(owner, { service, sample }));
    const read = await store.withSamples(service, 10);
    expect(read.map((each) => each.sample !== undefined)).toEqual([true, false, false]);
  });

  test('an expired sample is not shown', async () => {
    await database.query("update difference_samples set expires_at = now() - interval '1 second'");
    const store = createDifferenceStore({ database, seal: createSeal(Buffer.alloc(32, 7)) });
    expect((await store.withSamples(SERVICE, 1)).map((each) => each.sample)).toEqual([undefined]);
  });
});
