import { StorageError } from '../../domain/errors.ts';
import type { ServiceName } from '../../domain/ids.ts';
import { problemOf } from './legacy-lanes.ts';
import type { Run } from '../ports/run.ts';
import type { ListedLane, RunWork } from './run-work.ts';

/** Of a service whose store could not be read. */
interface NotListed {
  readonly not_listed: string;
}

export interface ServiceListing {
  readonly work: Pick<RunWork, 'list'>;
  readonly run: Pick<Run, 'request'>;
  readonly service: ServiceName;
  /** Takes the lanes as they come: they may be more than memory holds. */
  readonly keep: (lanes: readonly ListedLane[]) => Promise<void>;
}

/**
 * Lists the lanes of one service. A store that cannot be read ends this service's part, and says why.
 * @returns what was found meanwhile
 * @throws StorageError where the journal is away
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

/** Whether a service could be listed to its end. */
export function isListed(survey: object): boolean {
  return !('not_listed' in survey);
}

/** Which services a run had to leave out, and why; empty where it left none out. */
export function leftOutOf(survey: Run['survey']): string {
  return Object.entries(survey)
    .flatMap(([service, found]) =>
      'not_listed' in found ? [`${service} was left out: ${String(found.not_listed)}`] : [],
    )
    .join('; ');
}
