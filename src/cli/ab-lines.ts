import type { AbStatus, ShownInterval } from '../operator/api/status.ts';
import { FAILURE_WORDS } from '../operator/ab-status.ts';
import { counted, printedFigure } from '../operator/views/figures.ts';

/** Lines for every action that was read from both backends, then the definition of a failure. */
export function allAbLines(actions: Readonly<Record<string, AbStatus>>): string[] {
  const lines = Object.entries(actions).flatMap(([action, ab]) => abLines(action, ab));
  return lines.length === 0 ? [] : [...lines, `      ${FAILURE_WORDS}`];
}

/** Two or three lines about an action that was read from both backends; no lines if there is nothing to compare. */
function abLines(action: string, { orchestrator, legacy, paired, ...between }: AbStatus): string[] {
  const hasArms = orchestrator.reads > 0 && legacy.reads > 0;
  if (!hasArms && paired.pairs === 0) return [];
  const arms = [
    `      lanes on orchestrator: ${counted(orchestrator.reads, 'read')} (${orchestrator.fallbacks} answered by legacy), p95 ${shownMs(orchestrator.p95_ms)}`,
    `; on legacy: ${legacy.reads}, p95 ${shownMs(legacy.p95_ms)}`,
    `; latency ${ratio(between.latency_ratio)}, failures ${difference(between.failure_difference)}`,
  ];
  const pairs = `      the same read on both: ${counted(paired.pairs, 'pair')}; latency ${ratio(paired.latency_ratio)}, failures ${difference(paired.failure_difference)}`;
  return [
    `  orchestrator beside legacy, ${action}, last ${counted(between.window_minutes, 'minute')} of all replicas, 95 % intervals`,
    ...(hasArms ? [arms.join('')] : []),
    ...(paired.pairs > 0 ? [pairs] : []),
  ];
}

const TOO_FEW = 'unknown (too few lanes)';

const shownMs = (value: number | null): string => printedFigure({ value, unit: 'ms' });
const shown = (value: number): string => String(Number(value.toPrecision(3)));
const percent = (rate: number): string => `${rate > 0 ? '+' : ''}${shown(rate * 100)}`;

function ratio(interval: ShownInterval): string {
  if (interval === null) return TOO_FEW;
  const [value, lower, upper] = interval.map(shown);
  return `x ${value} (${lower} to ${upper})`;
}

function difference(interval: ShownInterval): string {
  if (interval === null) return TOO_FEW;
  const [value, lower, upper] = interval.map(percent);
  return `${value} % (${lower} to ${upper})`;
}
