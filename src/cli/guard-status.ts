import type { Finding } from '../migration/guard/finding.ts';
import type { TriggerLevel } from '../migration/guard/trigger-levels.ts';
import { groupedFindings, type FindingGroup } from '../operator/grouped-findings.ts';
import type { GuardStatus } from '../operator/guard-status.ts';
import { table } from './tables.ts';

/** A service's part of `GET /v1/guard`. */
export type WatchedService = GuardStatus & { readonly triggers: readonly TriggerLevel[] };

/** What holds a service's reads, what was found, and how near each trigger is to its trip. */
export function toldGuard(service: string, watched: WatchedService): string {
  const levels = watched.triggers.map(({ trigger, reached, numbers, action, detail }) => [
    `  ${trigger}`,
    percent(reached).padStart(6),
    [counted(numbers), action, detail].filter((part) => part !== undefined).join(', '),
  ]);
  return [
    ...latchLines(service, watched),
    ...findingLines(watched.findings),
    table(['  trigger', 'reached', 'counted'], levels),
  ].join('\n');
}

function latchLines(service: string, { held_by: heldBy, latch }: WatchedService): string[] {
  if (heldBy === null) return [`${service}  free`];
  const title = `${service}  READS HELD ON LEGACY by ${heldBy}`;
  if (latch === undefined) return [title, '  there is no latch to release: it ends when its cause does'];
  const { tripped_at: at, cool_down_until: until, finding } = latch;
  const where = [finding.action ?? 'the service as a whole', finding.detail].filter(Boolean).join(', ');
  return [
    title,
    `  tripped ${at} by ${finding.trigger} of ${where}: ${counted(finding.numbers)}`,
    `  released from ${until} on: crossfade guard release ${service} --person NAME --reason TEXT`,
  ];
}

/** What was found in the last second, and what is done about it. */
export function findingLines(findings: readonly Finding[]): string[] {
  return groupedFindings(findings).map(findingLine);
}

function findingLine({ trigger, steps, numbers, actions, details }: FindingGroup): string {
  const where = actions.length === 0 ? '' : ` of ${actions.join(', ')}`;
  const within = details.length === 0 ? '' : ` (${details.join(', ')})`;
  return `  found now: ${trigger}${where}: ${counted(numbers)}${within} → ${steps.join(', ')}`;
}

function counted(numbers: Readonly<Record<string, number>>): string {
  const { hits, of, found, limit, lower_bound: bound } = numbers;
  if (found !== undefined) return `${found} of ${limit ?? '?'}`;
  if (hits === 0) return `0 of ${of ?? 0}`;
  if (hits !== undefined)
    return `${hits} of ${of ?? 0}, at least ${percent(bound ?? 0)} for sure, limit ${percent(limit ?? 0)}`;
  const words = Object.entries(numbers).map(([name, value]) => `${name.replaceAll('_', ' ')} ${value}`);
  return words.length === 0 ? 'nothing' : words.join(', ');
}

const percent = (share: number): string => `${Number((share * 100).toPrecision(3))} %`;
