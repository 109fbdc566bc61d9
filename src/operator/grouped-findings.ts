import type { Finding } from '../engine/ports/finding.ts';

/** What one trigger found. Windows and actions with the same result become one finding for people. */
export interface FindingGroup {
  readonly trigger: Finding['trigger'];
  readonly steps: Finding['steps'];
  /** The numbers of the window with the highest lower bound. */
  readonly numbers: Finding['numbers'];
  /** Empty: the finding is about the service as a whole. */
  readonly actions: readonly string[];
  /** The windows, or the words of a signal. */
  readonly details: readonly string[];
}

/** A rate is watched in three windows, for the service and for each action, so one cause can make six findings. */
export function groupedFindings(findings: readonly Finding[]): FindingGroup[] {
  const groups = Map.groupBy(findings, ({ trigger, steps }) => `${trigger} ${steps.join()}`);
  return [...groups.values()].flatMap((group) => {
    const [gravest] = group.toSorted((a, b) => boundOf(b) - boundOf(a));
    if (gravest === undefined) return [];
    const { trigger, steps, numbers } = gravest;
    return [{ trigger, steps, numbers, actions: all(group, 'action'), details: all(group, 'detail') }];
  });
}

const boundOf = ({ numbers }: Finding): number => numbers['lower_bound'] ?? 0;

function all(group: readonly Finding[], member: 'action' | 'detail'): string[] {
  return [...new Set(group.flatMap((finding) => finding[member] ?? []))];
}
