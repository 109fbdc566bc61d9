import type { WatchedService } from '../operator/api/guard.ts';
import type { Finding } from '../engine/ports/finding.ts';
import type { TriggerLevel } from '../engine/guard/triggers.ts';
import {
  countedWords,
  type FindingGroup,
  groupedFindings,
  standingFindings,
  standingWords,
} from '../operator/words.ts';
import { table } from '../operator/views/terminal.ts';

/** What keeps a service's reads on legacy, the findings, and how close each trigger is to a trip. */
export function toldGuard(service: string, watched: WatchedService): string {
  const levels = watched.triggers.map(({ trigger, reached, numbers, action, detail }) => [
    `  ${trigger}`,
    percent(reached).padStart(6),
    [countedWords(trigger, numbers), action, detail, EFFECTS[trigger]]
      .filter((part) => part !== undefined)
      .join(', '),
  ]);
  return [
    ...latchLines(service, watched),
    ...findingLines(watched.findings),
    table(['  trigger', 'reached', 'counted'], levels),
  ].join('\n');
}

function latchLines(service: string, watched: WatchedService): string[] {
  const { held_by: heldBy, latch } = watched;
  if (heldBy === null) return [`${service}  reads are not held`];
  const title = `${service}  READS HELD ON LEGACY by ${heldBy}`;
  if (latch === undefined) return [title, '  Nothing to release: reads resume when the cause is gone.'];
  const { tripped_at: at, cool_down_until: until, finding } = latch;
  const where = [finding.action ?? 'the service as a whole', finding.detail].filter(Boolean).join(', ');
  return [
    title,
    `  tripped ${at} by ${finding.trigger} of ${where}: ${countedWords(finding.trigger, finding.numbers)}`,
    `  Can be released after ${until} with: crossfade guard release ${service} --person NAME --reason TEXT`,
    ...standingLine(watched.findings),
  ];
}

/** Triggers that do not trip, with their effect. */
const EFFECTS: Partial<Record<TriggerLevel['trigger'], string>> = {
  lost: 'blocks further increases',
  not_comparable: 'raises an alert only',
  not_compared: 'moved reads no longer compared: blocks further increases',
};

function standingLine(findings: readonly Finding[]): string[] {
  const standing = standingFindings(findings);
  if (standing.length === 0) return [];
  return [
    `  A trigger is still active (${standingWords(standing)}): the release is refused without --even-so`,
  ];
}

/** The findings of the last second, and the guard's reaction to them. */
export function findingLines(findings: readonly Finding[]): string[] {
  return groupedFindings(findings).map(findingLine);
}

function findingLine({ trigger, steps, numbers, actions, details }: FindingGroup): string {
  const where = actions.length === 0 ? '' : ` of ${actions.join(', ')}`;
  const within = details.length === 0 ? '' : ` (${details.join(', ')})`;
  return `  found now: ${trigger}${where}: ${countedWords(trigger, numbers)}${within} → ${steps.join(', ')}`;
}

const percent = (share: number): string => `${Number((share * 100).toPrecision(3))} %`;
