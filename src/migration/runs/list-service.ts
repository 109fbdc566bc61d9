import { StorageError } from '../../domain/errors.ts';
import type { ServiceName } from '../../domain/ids.ts';
import { problemOf } from './legacy-lanes.ts';
import type { Run } from './run.ts';
import type { Listing, RunWork } from './run-work.ts';

/** Of a service whose store could not be read. */
interface NotListed {
  readonly not_listed: string;
}

/** The lanes of one service. A store that cannot be read ends this service's part, and says why. @throws StorageError where the journal is away */
export async function listService(
  work: Pick<RunWork, 'list'>,
  run: Pick<Run, 'request'>,
  service: ServiceName,
): Promise<Listing> {
  try {
    return await work.list(run, service);
  } catch (error) {
    if (error instanceof StorageError) throw error;
    return { owners: [], survey: { not_listed: problemOf(error) } satisfies NotListed };
  }
}

/** Which services a run had to leave out, and why; empty where it left none out. */
export function leftOutOf(survey: Run['survey']): string {
  return Object.entries(survey)
    .flatMap(([service, found]) =>
      'not_listed' in found ? [`${service} was left out: ${String(found.not_listed)}`] : [],
    )
    .join('; ');
}
