import type { Owner } from '../../src/domain/ids.ts';
import type { Survey, surveyService } from '../../src/engine/runs/survey.ts';

/** Owners by activity, as a run sorts them, and what was found of them. */
export async function surveyed(
  listing: ReturnType<typeof surveyService>,
): Promise<{ owners: readonly Owner[]; survey: Survey }> {
  const newest = new Map<Owner, number>();
  for (let step = await listing.next(); ; step = await listing.next()) {
    if (step.done === true) {
      const owners = [...newest].sort(([, a], [, b]) => b - a).map(([owner]) => owner);
      return { owners, survey: step.value };
    }
    for (const { owner, newestAtMs = 0 } of step.value) newest.set(owner, newestAtMs);
  }
}
