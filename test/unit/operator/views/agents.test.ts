import { expect, test } from 'vitest';
import { sectionPanel } from '../../../../src/operator/desk/pages/table-panel.ts';
import { sectionText } from '../../../../src/operator/report/render-markdown.ts';
import { agentsView } from '../../../../src/operator/views/agents.ts';
import { sectionsText } from '../../../../src/operator/views/terminal.ts';

const AT = '2026-01-01T00:00:00.000Z';
const AGENT = {
  service: 'session-memory',
  agent: '<planner>',
  dialect: 'zmq',
  requests: 12_345,
  first_seen: AT,
  last_seen: AT,
  seconds_ago: 1,
};
const WRITER = {
  service: 'session-memory',
  writer: null,
  lanes: 2,
  last_found: AT,
  seen_through_proxy: false,
};

const lines = (text: string): string[] => text.split('\n').filter((line) => line.trim() !== '');

test('the desk, the report and the terminal show agents in the same words', () => {
  const [seen] = agentsView({ agents: [AGENT], writers_past_proxy: [] });
  if (seen === undefined) throw new Error('no section');
  expect(lines(sectionsText([seen]))).toEqual([
    'agent      service         dialect  requests  last request              first request',
    `<planner>  session-memory  zmq        12,345  ${AT}  ${AT}`,
  ]);
  expect(lines(sectionText(seen)).slice(1)).toEqual([
    '| agent | service | dialect | requests | last request | first request |',
    '| --- | --- | --- | ---: | --- | --- |',
    `| &lt;planner> | session-memory | zmq | 12,345 | ${AT} | ${AT} |`,
  ]);
  const page = String(sectionPanel('seen', seen));
  expect([...page.matchAll(/<th scope="col"[^>]*>([^<]*)</g)].map(([, head]) => head)).toEqual([
    'Agent',
    'Service',
    'Dialect',
    'Requests',
    'Last request',
    'First request',
  ]);
  for (const shown of ['&lt;planner&gt;', '12,345', `<time datetime="${AT}">`]) expect(page).toContain(shown);
});

test('writers that bypass the proxy are first, until a proxy sees them', () => {
  const answer = { agents: [], writers_past_proxy: [WRITER, { ...WRITER, seen_through_proxy: true }] };
  const text = sectionsText(agentsView(answer));
  expect(text).toMatch(
    /^Writers that bypass the proxy\n.*\n {2}writer +service +lanes +last found\n {2}unknown/,
  );
  expect(text.match(/unknown/g)).toHaveLength(1);
  expect(text).toMatch(/\n\nSeen through the proxies\n {2}No agents yet\. Configure/);
});
