import { fastify } from 'fastify';
import { afterAll, expect, test } from 'vitest';
import { registerReportRoutes } from '../../../src/operator/report/report-routes.ts';
import { spanOf } from '../../../src/operator/report/calendar-day.ts';

const ZONE = 'Europe/Berlin';
const NOW_MS = Date.UTC(2026, 10, 21, 6);
const RECORDED = '2026-11-19';
const STORED = '2026-11-18';

const made: string[] = [];
const app = fastify();
registerReportRoutes(app, {
  store: {
    list: async () => [],
    read: async (date) => (date === STORED ? '"stored"' : undefined),
  },
  facts: {
    hasRecords: async ({ fromMs }) => fromMs === spanOf(RECORDED, ZONE).fromMs,
  },
  async make(date) {
    made.push(date);
    const texts = { html: date, md: date, json: JSON.stringify(date) };
    return { date, failedCriteria: 0, texts, totals: {}, services: [], isWhole: true };
  },
  zone: ZONE,
  knownDays: 30,
  clock: { now: () => 0, wallMs: () => NOW_MS, sleep: async () => undefined },
});
afterAll(() => app.close());

test.each(['yesterday', '2026-11-20', '2026-11-20.md'])(
  'no report is made of a day without records: %s',
  async (day) => {
    const { statusCode, body } = await app.inject(`/v1/reports/${day}`);
    expect(statusCode).toBe(404);
    expect(JSON.parse(body)).toEqual({
      error: 'report_not_found',
      message:
        'no report of 2026-11-20 is stored, and nothing was recorded on that day: no proxy ran, or it had nothing to do',
    });
    expect(made).toEqual([]);
  },
);

test.each([
  ['a day with records', RECORDED, RECORDED],
  ['a stored report', STORED, 'stored'],
  ['the day so far, without records', 'today', '2026-11-21'],
])('%s is shown', async (_, day, shown) => {
  const { statusCode, body } = await app.inject(`/v1/reports/${day}`);
  expect([statusCode, JSON.parse(body)]).toEqual([200, shown]);
});
