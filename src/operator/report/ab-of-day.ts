import type { ServiceDay } from '../../engine/report/report-ports.ts';
import { abNumbers } from '../ab-status.ts';
import { ActionArms } from '../action-arms.ts';
import type { ActionAb } from './report.ts';

/** The sums of a day's slices, over all replicas. */
export function actionAbs(slices: ServiceDay['arms']): ActionAb[] {
  const sums = new Map<string, ActionArms>();
  for (const { action, counts } of slices) {
    const sum = sums.get(action) ?? new ActionArms();
    sum.add(counts);
    sums.set(action, sum);
  }
  return [...sums]
    .map(([action, arms]) => ({ action, ...abNumbers(arms) }))
    .toSorted((a, b) => a.action.localeCompare(b.action));
}
