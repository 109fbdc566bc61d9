import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { bigints, instants, texts, uuids } from '../../../src/storage/sessions/columns.ts';
import { prepared } from '../../../src/storage/sessions/session.ts';
import { startPostgres, type TestPostgres } from '../../support/postgres.ts';
import { createJournalDatabase } from './journal-under-test.ts';
import { DATABASES } from '../../support/tier.ts';

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startPostgres();
});
afterAll(() => postgres.stop());

test.each(DATABASES)(
  '%s takes lists of texts, uuids, numbers and instants as one parameter each',
  async (kind) => {
    const database = await createJournalDatabase(kind, postgres);
    const names = ['ann', '', 'Zoë "the" {quoted}, \\\\N, NULL', '日本語 🙂'];
    const ids = names.map(() => randomUUID());
    const numbers = [0, -1, Number.MAX_SAFE_INTEGER, -(2 ** 40)];
    const timesMs = [
      Date.UTC(1999, 11, 31, 23, 59, 59, 999),
      Date.UTC(2000),
      0,
      Date.UTC(2026, 0, 2, 3, 4, 5, 678),
    ];
    const sql = prepared(
      `select * from unnest($1::text[], $2::uuid[], $3::bigint[], $4::timestamptz[]) with ordinality as t(name, id, number, at, place)
       order by place`,
    );
    const rows = await database.query(sql, [texts(names), uuids(ids), bigints(numbers), instants(timesMs)]);
    expect(rows).toEqual(
      names.map((name, index) => ({
        name,
        id: ids[index],
        number: numbers[index],
        at: new Date(timesMs[index] ?? NaN),
        place: index + 1,
      })),
    );
    expect(await database.query(sql, [texts([]), uuids([]), bigints([]), instants([])])).toEqual([]);
    await database.close();
  },
);
