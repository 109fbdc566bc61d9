import { readFileSync } from 'node:fs';
import { parser } from '@prometheus-io/lezer-promql';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { commandsOf } from '../../../src/cli/commands.ts';
import { GAUGES as ORCHESTRATOR_GAUGES } from '../../../src/orchestrator/observability/metric-definitions.ts';
import { GAUGES } from '../../../src/telemetry/gauge-definitions.ts';
import { COUNTERS, HISTOGRAMS, type MetricDefinition } from '../../../src/telemetry/metric-definitions.ts';

interface AlertRule {
  readonly alert: string;
  readonly expr: string;
  readonly for?: string;
  readonly labels: { readonly severity: string };
  readonly annotations: { readonly summary: string; readonly description: string };
}

const TEXT = readFileSync(new URL('../../../deploy/prometheus-alerts.yaml', import.meta.url), 'utf8');
const { groups } = parse(TEXT) as { groups: { name: string; rules: AlertRule[] }[] };
const rules = groups.flatMap((group) => group.rules);

/** Gauges that only rise are shown as counters. */
const RISING: readonly MetricDefinition[] = [GAUGES.unleashRequests, GAUGES.failedReportDeliveries];

/** Every series that a scrape may show, and its labels. */
function seriesLabels(): Map<string, readonly string[]> {
  const series = new Map<string, readonly string[]>();
  const gauges: readonly MetricDefinition[] = Object.values({ ...GAUGES });
  for (const { name, labels } of [...Object.values(ORCHESTRATOR_GAUGES), ...gauges])
    if (!RISING.some((rising) => rising.name === name)) series.set(name, labels);
  for (const { name, labels } of [...Object.values(COUNTERS), ...RISING]) series.set(`${name}_total`, labels);
  for (const { name, labels } of Object.values(HISTOGRAMS))
    series.set(`${name}_bucket`, [...labels, 'le']).set(`${name}_count`, labels);
  return series;
}

/** Texts of all nodes of one kind, and of each its whole selector. */
function nodesIn(expr: string, kind: string): string[] {
  const found: string[] = [];
  parser.parse(expr).iterate({
    enter: ({ name, from, to }) => {
      if (name === kind) found.push(expr.slice(from, to));
    },
  });
  return found;
}

const series = seriesLabels();
const COMMANDS = commandsOf({});

test('there are rules for everything that operators must know', () => {
  expect(rules.length).toBeGreaterThan(20);
  expect(new Set(rules.map(({ alert }) => alert)).size).toBe(rules.length);
});

test.each(rules)('$alert is PromQL over metrics and labels that exist', ({ expr }) => {
  expect(nodesIn(expr, '⚠')).toEqual([]);
  const selectors = nodesIn(expr, 'VectorSelector');
  expect(selectors.length).toBeGreaterThan(0);
  for (const selector of selectors) {
    const [metric = ''] = nodesIn(selector, 'Identifier');
    const labels = series.get(metric);
    expect(labels, `${metric} is no series`).toBeDefined();
    for (const label of nodesIn(selector, 'UnquotedLabelMatcher').map((matcher) => /^\w+/.exec(matcher)?.[0]))
      expect(labels).toContain(label);
  }
  const grouped = nodesIn(expr, 'GroupingLabels').flatMap((list) => list.match(/\w+/g) ?? []);
  const known = selectors.flatMap((selector) => series.get(nodesIn(selector, 'Identifier')[0] ?? '') ?? []);
  expect(known).toEqual(expect.arrayContaining(grouped));
});

test.each(rules)(
  '$alert has a severity, and names only existing labels and commands',
  async ({ expr, ...rule }) => {
    expect(['critical', 'warning']).toContain(rule.labels.severity);
    if (rule.for !== undefined) expect(rule.for).toMatch(/^\d+[smh]$/);
    const said = `${rule.annotations.summary} ${rule.annotations.description}`;
    const grouped = nodesIn(expr, 'GroupingLabels').flatMap((list) => list.match(/\w+/g) ?? []);
    for (const [, label] of said.matchAll(/\$labels\.(\w+)/g)) expect(grouped).toContain(label);
    for (const [, words = ''] of said.matchAll(/`crossfade ([^`]+)`/g)) {
      const [name = '', below] = words.split(' ');
      const command = await COMMANDS[name]?.();
      expect(command, `crossfade ${name}`).toBeDefined();
      if (below !== undefined) expect(command?.commands.map((one) => one.name())).toContain(below);
    }
    for (const [metric] of said.matchAll(/crossfade_\w+/g)) expect([...series.keys()]).toContain(metric);
  },
);
