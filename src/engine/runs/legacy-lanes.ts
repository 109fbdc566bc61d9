import { messageOf, StorageError } from '../../domain/errors.ts';
import { CANARY_OWNER, type Owner, type ServiceName } from '../../domain/ids.ts';
import type { LegacyLane } from '../../domain/service-definition.ts';
import type { ServiceRuntime } from '../ports/service-runtime.ts';
import type { Run, RunRequest } from '../ports/run.ts';
import type { ListedLane, RunWork } from './run-work.ts';

/** A lane as the store shows it, or why it cannot be read. */
export type LegacyReading = { readonly lane: LegacyLane } | { readonly problem: string };

const NOTHING: LegacyLane = { exists: false, items: [] };

/**
 * Reads lanes from the legacy store, in one reading if the definition supports that. Never throws. A lane that cannot be read has
 * a reason.
 */
export async function readLegacyLanes(
  service: ServiceRuntime,
  owners: readonly Owner[],
): Promise<ReadonlyMap<Owner, LegacyReading>> {
  const { definition, access, context } = service;
  try {
    const lanes = await definition.lanes.readMany?.(owners, access, context);
    if (lanes !== undefined)
      return new Map(owners.map((owner) => [owner, { lane: lanes.get(owner) ?? NOTHING }]));
  } catch {
    // One unreadable lane must not hide the others, so each is then read by itself.
  }
  const readings = new Map<Owner, LegacyReading>();
  for (const owner of owners) readings.set(owner, await readOne(service, owner));
  return readings;
}

async function readOne(
  { definition, access, context }: ServiceRuntime,
  owner: Owner,
): Promise<LegacyReading> {
  try {
    return { lane: await definition.lanes.readLegacy(owner, access, context) };
  } catch (error) {
    return { problem: problemOf(error) };
  }
}

/** Why something could not be read. The parser's own message is not used, because it quotes the text. */
function problemOf(error: unknown): string {
  return error instanceof SyntaxError ? 'the JSON is incomplete or invalid' : messageOf(error);
}

const OWNERS_PER_PAGE = 1_000;

type Listed = Pick<ServiceRuntime, 'definition' | 'access'>;

/**
 * Owners as the legacy store lists them, page by page, without Crossfade's own; undefined if it cannot be listed.
 */
export async function listOwners({
  definition,
  access,
}: Listed): Promise<AsyncIterable<readonly Owner[]> | undefined> {
  const listed = definition.lanes.owners(access);
  if (Symbol.asyncIterator in listed) return withoutCanary(listed);
  const owners = await listed;
  return owners && withoutCanary(pagesOf(owners));
}

async function* withoutCanary(pages: AsyncIterable<readonly Owner[]>): AsyncGenerator<readonly Owner[]> {
  for await (const page of pages)
    yield page.includes(CANARY_OWNER) ? page.filter((owner) => owner !== CANARY_OWNER) : page;
}

/** Of these, the lanes of the run. */
export function lanesOf(owners: readonly Owner[], { owner: only }: Pick<RunRequest, 'owner'>): ListedLane[] {
  return owners.flatMap((owner) => (owner === (only ?? owner) ? [{ owner }] : []));
}

export async function* pagesOf(owners: readonly Owner[]): AsyncGenerator<readonly Owner[]> {
  for (let at = 0; at < owners.length; at += OWNERS_PER_PAGE) yield owners.slice(at, at + OWNERS_PER_PAGE);
}

/** The reason why a service's store could not be read. */
interface NotListed {
  readonly not_listed: string;
}

interface ServiceListing {
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
