import { describe, expect, test } from 'vitest';
import type { DayEvent } from '../../../../src/engine/report/report-ports.ts';
import { storyOf } from '../../../../src/operator/report/day-numbers.ts';
import { renderHtml } from '../../../../src/operator/report/render-html.ts';
import { renderMarkdown } from '../../../../src/operator/report/render-markdown.ts';
import { documentOf } from '../../../../src/operator/report/report-document.ts';
import { evidenceExpected } from '../../../../src/operator/report/trend.ts';
import { fineService, flagsAt, QUIET_DAY, reported, reportOf, SPAN, ZONE } from './facts.ts';

const MINUTE_MS = 60_000;
const atMs = (minute: number): number => SPAN.fromMs + (19 * 60 + minute) * MINUTE_MS;
const SHOWN = { span: SPAN, zone: ZONE, moved: { before: 0, now: 0 } };

const raised: DayEvent = {
  atMs: atMs(30),
  person: 'ann',
  command: 'flags set',
  reason: 'try 25 %',
  details: { flag: 'crossfade.session-memory.read-cutover', from: 0, to: 25 },
};
const released: DayEvent = {
  ...raised,
  atMs: atMs(47),
  command: 'guard release',
  person: 'ben',
  details: {},
};
const trip = { latch: 3, trigger: 'errors', action: null, trippedAtMs: atMs(31), releasedAtMs: atMs(47) };

describe('the story of a day', () => {
  test('is a sentence: the person, the time, and that no agent lost data', () => {
    const { sentence, events } = storyOf({ ...QUIET_DAY, events: [raised, released], trips: [trip] }, SHOWN);
    expect(sentence).toBe(
      'Reads were raised to 25 % by ann at 19:30, moved back by the guard (errors) at 19:31, and released by ben at 19:47. No agent lost data.',
    );
    expect(events[0]).toMatchObject({
      person: 'ann',
      what: 'flags set crossfade.session-memory.read-cutover: 0 % → 25 %',
      reason: 'try 25 %',
    });
  });

  test('shows that nothing was moved, and what waits for a person', () => {
    expect(storyOf(QUIET_DAY, SHOWN).sentence).toBe('No reads were moved. No agent lost data.');
    const lost = { ...QUIET_DAY, lost: { open: 2, found: 2, decided: 0 } };
    expect(storyOf(lost, SHOWN).sentence).toContain('2 items that legacy lost wait for a decision.');
  });

  test('shows an unaudited change by the active values', () => {
    const moved = { before: 5, now: 25 };
    expect(storyOf(QUIET_DAY, { ...SHOWN, moved }).sentence).toMatch(/^Reads moved from 5 % to 25 % since/);
  });

  test('leaves out trips of other days', () => {
    const earlier = { ...trip, trippedAtMs: SPAN.fromMs - MINUTE_MS };
    expect(storyOf({ ...QUIET_DAY, trips: [earlier] }, SHOWN).sentence).toMatch(/^No reads were moved/);
  });
});

describe('the charts of a day', () => {
  const atNoon = Date.parse('2026-11-20T11:00:00Z');
  const marked = fineService({
    day: {
      ...QUIET_DAY,
      events: [
        { ...raised, atMs: atNoon },
        { ...released, atMs: atNoon + 3_600_000 },
      ],
      trips: [
        { ...trip, trippedAtMs: atNoon + 1_800_000 },
        { ...trip, trippedAtMs: SPAN.fromMs - 60_000 },
      ],
    },
  });

  test('mark when a flag was changed, the guard tripped and a latch was released', () => {
    const html = renderHtml(documentOf(reportOf([marked])));
    const [chart = ''] = /<figure class="chart accent">.*?<\/figure>/s.exec(html) ?? [];
    const marks = [...chart.matchAll(/<g class="mark (\w+)".*?<title>(.*?)<\/title>/gs)];
    expect(marks.map(([, kind, what]) => [kind, what?.slice(0, 5)])).toEqual([
      ['flag', '12:00'],
      ['release', '13:00'],
      ['trip', '12:30'],
    ]);
    // Noon is half of the way between the axis and the end of the last hour.
    expect(chart).toContain('<line x1="199" x2="199"');
    expect(html).toContain('In the charts: ▲ the guard moved reads back');
  });

  test('have no marks on a day on which nothing changed', () => {
    const html = renderHtml(documentOf(reportOf([fineService()])));
    expect(html).not.toContain('class="mark flag"');
    expect(html).not.toContain('In the charts:');
  });
});

describe('the progress', () => {
  test('shows the earlier days with a report and this one last', () => {
    const first = { ...reportOf([fineService()]), date: '2026-11-18' };
    const second = { ...reportOf([fineService()]), date: '2026-11-19' };
    const report = reportOf([fineService()], reported({ earlier: [first, second] }));
    expect(report.services[0]?.trend.map(({ date, phase }) => `${date} ${phase}`)).toEqual([
      '2026-11-18 shadow_read',
      '2026-11-19 shadow_read',
      '2026-11-20 shadow_read',
    ]);
    expect(renderMarkdown(documentOf(report))).toMatch(/\| 2026-11-18 \| shadow read \| 0 % \|/);
  });

  test('gives the date when the evidence is complete, if the rate is known', () => {
    const evidence = {
      action: 'get_context',
      hits: 0,
      of: 10,
      rate: 0,
      interval: null,
      upper_bound: 1,
      missing: 100,
      days_missing: 11,
      accepted: false,
    };
    const now = { nowMs: Date.parse('2026-11-22T10:00:00Z'), zone: ZONE };
    expect(evidenceExpected([evidence], now)).toEqual({ complete: false, date: '2026-12-03' });
    expect(evidenceExpected([{ ...evidence, days_missing: null }], now).date).toBeNull();
    expect(evidenceExpected([{ ...evidence, accepted: true }], now)).toEqual({ complete: true, date: null });
  });
});

describe('a report', () => {
  const facts = fineService();
  const differing = fineService({
    status: {
      ...facts.status,
      flags: {
        ...facts.status.flags,
        'read-cutover': { ...flagsAt({})['read-cutover'], asked: 100, in_effect: 0, reason: 'latched' },
      },
      guard: { held_by: 'errors', findings: [] },
    },
    day: {
      ...QUIET_DAY,
      divergences: { ...QUIET_DAY.divergences, open: 3 },
      differing: [{ owner: 'chat 003', run: 5, state: 'open' }],
    },
  });
  const html = renderHtml(documentOf(reportOf([differing])));

  test('names and links the lanes that differ, with the commands to repair them', () => {
    expect(html).toContain(
      '<a href="https://crossfade.example.org/lanes/session-memory/chat%20003" rel="noreferrer">session-memory/chat 003</a>',
    );
    expect(html).toContain('crossfade repair plan 5');
    expect(html).toContain('And 2 more.');
  });

  test('shows the requested stage and that the guard blocks it', () => {
    expect(html).toContain('shadow read; requested: read cutover (the guard keeps reads on legacy: errors)');
  });

  test('has no links without a desk', () => {
    const alone = renderHtml(documentOf({ ...reportOf([differing]), desk_url: null }));
    expect(alone).not.toMatch(/<a href="http/);
    expect(alone).toContain('session-memory/chat 003');
  });
});
