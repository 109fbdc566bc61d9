import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { ActionArms } from '../../../../src/operator/arms.ts';
import { printedFigure } from '../../../../src/operator/views/figures.ts';
import { documentOf, type ServicePart } from '../../../../src/operator/report/report-document.ts';
import { renderHtml } from '../../../../src/operator/report/render-html.ts';
import { renderMarkdown } from '../../../../src/operator/report/render-markdown.ts';
import type { Report } from '../../../../src/operator/report/report.ts';
import { actionWith } from '../../engine/guard/facts.ts';
import { countsWith, fineService, judgedBy, QUIET_DAY, reported, reportOf, SPAN } from './facts.ts';

/** Lanes that read from either backend, in pairs too, of some failures and every latency. */
function busyArms(): ReturnType<ActionArms['counts']> {
  const arms = new ActionArms();
  for (let group = 0; group < 40; group += 1) {
    for (const backend of ['legacy', 'orchestrator'] as const) {
      const waitedMs = (backend === 'legacy' ? 10 : 17) + group / 7;
      arms.arms[backend].latency.add(group, Math.log(waitedMs));
      arms.arms[backend].failures.add(group, group % (backend === 'legacy' ? 13 : 7) === 0 ? 1 : 0);
      arms.arms[backend].histogram.record(waitedMs);
    }
    arms.pairs.latency.add(group, Math.log(1.3 + group / 50));
    arms.pairs.onlyOrchestratorFailed.add(group, group % 5 === 0 ? 1 : 0);
    arms.pairs.onlyLegacyFailed.add(group, 0);
  }
  arms.arms.orchestrator.fallbacks = unique();
  return arms.counts();
}

let last = 100;
/** A number that no other place has. */
const unique = (): number => (last += 37);

const HOUR_MS = 3_600_000;

/** Every number is another one, so that none can stand for a second that is missing. */
function busyReport(): Report {
  const counts = () =>
    countsWith({
      comparable: unique() * 100,
      mismatches: unique(),
      bothErrors: unique(),
      notComparable: unique(),
      orchestratorReads: unique() * 1_000,
      orchestratorFailures: unique(),
      operations: unique() * 10_000,
      proxyFailures: unique(),
      added: Array.from({ length: 13 }, unique),
    });
  const run = (id: number) => ({
    id,
    kind: 'reconcile' as const,
    scope: 'full' as const,
    finishedAtMs: SPAN.fromMs + 5 * HOUR_MS,
    counts: { lanes: unique(), items: unique(), lanes_different: unique(), lanes_not_comparable: unique() },
  });
  const rule = { kind: 'ignore', path: '<b>request_id</b>', owner: 'ann', reason: 'a | b' } as const;
  const service = fineService({
    status: {
      ...fineService().status,
      lanes: {
        total: 90_000 + unique(),
        flipped: 0,
        legacy_differs: 0,
        seeded: 80_000 + unique(),
        dirty: unique(),
        copying: unique(),
        stopped: unique(),
        excepted: unique(),
        differs: unique(),
      },
    },
    definition: { actions: { get_context: { kind: 'passthrough', reason: '' } } },
    judged: judgedBy({
      actions: { get_context: actionWith(40_000 + unique(), { mismatches: unique() }) },
      oldestDeliverySeconds: unique(),
      addedP95Ms: unique(),
    }),
    day: {
      ...QUIET_DAY,
      hours: Array.from({ length: 24 }, (_, hour) => ({ action: 'get_context', hour, counts: counts() })),
      arms: [
        { action: 'get_context', counts: busyArms() },
        { action: 'get_context', counts: busyArms() },
      ],
      letters: {
        open: unique(),
        lanes: unique(),
        added: unique(),
        redriven: unique(),
        skipped: unique(),
        copied: unique(),
      },
      unknown: { open: unique(), found: unique(), closed: unique() },
      backlog: { writes: unique(), oldestSeconds: unique() },
      unwell: [{ condition: 'dirty', reason: 'unknown_outcome', lanes: unique() }],
      lanesOnOrchestrator: unique(),
      coverage: { beganAtMs: SPAN.fromMs, endedInDay: unique() },
      lastFull: run(4),
      runs: [run(5), run(6)],
      divergences: {
        run: 4,
        open: unique(),
        found: unique(),
        repaired: unique(),
        gone: unique(),
        undone: unique(),
        foundLost: unique(),
      },
      lost: { open: unique(), found: unique(), decided: unique() },
      repairs: { lanes: unique(), undone: unique() },
      trips: [{ latch: 3, trigger: 'errors', action: null, trippedAtMs: SPAN.fromMs, releasedAtMs: null }],
      audited: [{ command: 'guard release', count: unique() }],
      events: [
        {
          atMs: SPAN.fromMs + HOUR_MS,
          person: 'ann <i>',
          command: 'flags set',
          reason: 'a | b',
          details: { flag: 'crossfade.session-memory.read-cutover', from: 0, to: 25 },
        },
      ],
      differing: [{ owner: 'chat-003', run: 5, state: 'open' }],
      signatures: { known: unique(), fresh: unique() },
    },
    signatures: [
      {
        service: fineService().status.service,
        action: 'get_context',
        path: 'context[].<script>',
        class: 'value',
        shape: 'string → number',
        count: unique(),
        firstAtMs: SPAN.fromMs,
        lastAtMs: SPAN.fromMs,
        hints: { clock: 1 },
        laneRegisters: [1, 2, 3],
        examples: [],
      },
    ],
    rules: [{ action: 'get_context', rule, isExpired: false, hits: 0 }],
    hits: [
      {
        service: fineService().status.service,
        action: 'get_context',
        rule: 'ignore <b>request_id</b>',
        hits: unique(),
        lastHitAtMs: 0,
      },
    ],
  });
  const day = reported({ before: { 'session-memory known': 1, 'session-memory operations': unique() } });
  return reportOf([service], day);
}

const report = busyReport();
const html = renderHtml(documentOf(report));
const markdown = renderMarkdown(documentOf(report));

function numbersIn(value: unknown): number[] {
  if (typeof value === 'number') return [value];
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(numbersIn) : [];
}

test('every number of the JSON is in the HTML, exactly', () => {
  const shown = new Set([...html.matchAll(/<data value="([^"]+)">/g)].map(([, value]) => Number(value)));
  // Of the verdict in words: how many criteria fail.
  const { failed_criteria: failed, failed_to_stay: toStay, ...rest } = report;
  const numbers = numbersIn(rest);
  expect(numbers.length).toBeGreaterThan(200);
  expect(numbers.filter((value) => !shown.has(value))).toEqual([]);
  expect(html).toContain(`${toStay} criteria of the present stages failing, ${failed - toStay} `);
});

test('every format compares both backends, with the definition of a failure', () => {
  const one = report.services[0]?.ab[0];
  expect(one).toMatchObject({ action: 'get_context', legacy: { reads: 80 }, orchestrator: { reads: 80 } });
  expect([one?.latency_ratio, one?.failure_difference, one?.paired.latency_ratio]).not.toContain(null);
  for (const text of [html, markdown]) {
    expect(text).toContain('Orchestrator and legacy compared');
    expect(text).toContain('An agent failure is a timeout');
    expect(text).toContain(printedFigure({ value: one?.latency_ratio?.[0] ?? 0, unit: 'ratio' }));
  }
});

test('the Markdown has the numbers of the HTML, in the same order', () => {
  // The charts say nothing that their table does not say, and the cards nothing that the sections do not.
  const body = html.slice(html.indexOf('</nav>')).replaceAll(/<figure[^]*?<\/figure>/g, '');
  const printed = [...body.matchAll(/<data value="[^"]+">([^<]+)<\/data>/g)].map(([, text]) => text ?? '');
  expect(printed.length).toBeGreaterThan(200);
  let at = 0;
  for (const text of printed) {
    at = markdown.indexOf(text, at);
    expect(at, `${text} of the HTML`).toBeGreaterThan(-1);
    at += text.length;
  }
});

test('signatures above the shown ones are counted, and the limit is shown', () => {
  const told = (known: number): string => {
    const service = fineService();
    const day = { ...service.day, signatures: { known, fresh: 0 } };
    return renderMarkdown(documentOf(reportOf([{ ...service, day }])));
  };
  expect(told(1_234)).toContain('1,234');
  expect(told(1_234)).not.toContain('the oldest were removed');
  expect(told(2_000)).toContain('2,000 (the limit: the oldest were removed)');
});

test('the HTML runs and loads nothing, and content cannot break out', () => {
  expect(html).not.toMatch(/<script|<b>request_id|\sstyle=|<link|<img|\ssrc=|url\((?!data:font)/);
  // Links to the desk are followed by people, and nothing is loaded from them.
  expect(html.replaceAll(/<a href="https:\/\/crossfade\.example\.org\/[^"]*"/g, '')).not.toMatch(
    /https?:\/\//,
  );
  expect(html).toContain('context[].&lt;script&gt;');
  const sheet = /<style>([^]*)<\/style>/.exec(html)?.[1] ?? '';
  expect(html).toContain(`style-src &#39;sha256-${createHash('sha256').update(sheet).digest('base64')}&#39;`);
});

test('a bar in a text does not end a cell of a Markdown table', () => {
  const row = markdown.split('\n').find((line) => line.includes('a \\| b'));
  expect(row).toBeDefined();
  expect(row?.replaceAll('\\|', '').split('|')).toHaveLength(6);
});

test('text of a person cannot make headings, elements, rows or code in Markdown', () => {
  const written = 'x\n\n# every criterion passes\u2028<img src=a>';
  const cell = [written, { code: `\`\`${written}\`` }];
  const service: ServicePart = {
    name: 'one',
    standing: '',
    story: '',
    phases: [],
    verdict: { mark: 'fails', tone: 'bad' },
    highlights: [{ label: 'fact', cell }],
    next: { kind: 'note', tone: 'plain', cell },
    sections: [
      { title: 'rows', blocks: [{ kind: 'table', columns: [{ head: 'a' }], rows: [[cell]], empty: '' }] },
    ],
  };
  const verdict = { mark: 'fails', tone: 'bad' } as const;
  const text = renderMarkdown({ title: 't', subtitle: [], verdict, services: [service], footnote: '' });
  expect(text.match(/^#.*$/gm)).toEqual(['# Crossfade: t', '## one', '### rows']);
  expect(text.match(/^\|.*$/gm)).toHaveLength(3);
  expect(text).toContain('- fact: x # every criterion passes &lt;img src=a>``` ``x # every');
});

test.each([
  [{ value: 1_234_567, unit: 'count' }, '1,234,567'],
  [{ value: 0.000_321_4, unit: 'rate' }, '0.0321 %'],
  [{ value: 0, unit: 'change' }, '±0'],
  [{ value: -3, unit: 'change' }, '−3'],
  [{ value: -0.0012, unit: 'change_rate' }, '−0.12 %'],
  [{ value: 1.2345, unit: 'ratio' }, '× 1.23'],
  [{ value: 12, unit: 'change_ms' }, '+12 ms'],
  [{ value: 0.04, unit: 'seconds' }, '0 s'],
  [{ value: 119, unit: 'seconds' }, '119 s'],
  [{ value: 7_199, unit: 'seconds' }, '120 min'],
  [{ value: 86_400, unit: 'seconds' }, '24 h'],
  [{ value: 172_800, unit: 'seconds' }, '2 days'],
  [{ value: null, unit: 'ms' }, '–'],
] as const)('%o is printed as %s', (figure, text) => {
  expect(printedFigure(figure)).toBe(text);
});
