import type { WatchedService } from '../operator/api/guard.ts';
import type { Finding } from '../engine/ports/finding.ts';
import { countedWords, groupedFindings, standingFindings, standingWords } from '../operator/words.ts';
import { foundNow, triggersTable } from '../operator/views/guard.ts';
import { indented, tableText } from '../operator/views/terminal.ts';

/** What keeps a service's reads on legacy, the findings, and how close each trigger is to a trip. */
export function toldGuard(service: string, watched: WatchedService): string {
  return [
    ...latchLines(service, watched),
    ...findingLines(watched.findings),
    indented(tableText(triggersTable(watched.triggers))),
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

function standingLine(findings: readonly Finding[]): string[] {
  const standing = standingFindings(findings);
  if (standing.length === 0) return [];
  return [
    `  A trigger is still active (${standingWords(standing)}): the release is refused without --even-so`,
  ];
}

/** The findings of the last second, and the guard's reaction to them. */
export function findingLines(findings: readonly Finding[]): string[] {
  return groupedFindings(findings).map((group) => `  found now: ${foundNow(group)}`);
}
