import { StorageError } from '../../domain/errors.ts';
import type { ServiceName } from '../../domain/ids.ts';
import { problemOf } from './legacy-lanes.ts';
import type { Run } from '../ports/run.ts';
import type { ListedLane, RunWork } from './run-work.ts';

/** The reason why a service's store could not be read. */
interface NotListed {
  readonly not_listed: string;
}

export interface ServiceListing {
  readonly work: Pick<RunWork, 'list'>;
  readonly run: Pick<Run, 'request'>;
  readonly service: ServiceName;
  /** Takes the lanes page by page, because they may exceed memory. */
  readonly keep: (lanes: readonly ListedLane[]) => Promise<void>;
}

/**
 * Lists the lanes of one service. If the store cannot be read, this service is left out with the reason.
 * @returns what was found meanwhile
 * @throws StorageError if the journal is away
 */
export async function listService({ work, run, service, keep }: ServiceListing): Promise<object> {
  try {
    const listing = work.list(run, service);
    let step = await listing.next();
    for (; step.done !== true; step = await listing.next()) await keep(step.value);
    return step.value;
  } catch (error) {
    if (error instanceof StorageError) throw error;
    return { not_listed: problemOf(error) } satisfies NotListed;
  }
}

/** Whether the listing of a service was complete. */
export function isListed(survey: object): boolean {
  return !('not_listed' in survey);
}

/** The services that a run left out, and why. Empty if there are none. */
export function leftOutOf(survey: Run['survey']): string {
  return Object.entries(survey)
    .flatMap(([service, found]) =>
      'not_listed' in found ? [`${service} was left out: ${String(found.not_listed)}`] : [],
    )
    .join('; ');
}
