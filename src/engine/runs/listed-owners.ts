import type { Owner } from '../../domain/ids.ts';
import type { ServiceRuntime } from '../ports/service-runtime.ts';
import type { RunRequest } from '../ports/run.ts';
import type { ListedLane } from './run-work.ts';

const OWNERS_PER_PAGE = 1_000;

type Listed = Pick<ServiceRuntime, 'definition' | 'access'>;

/** Owners as the legacy store lists them, page by page; undefined if it cannot be listed. */
export async function listOwners({
  definition,
  access,
}: Listed): Promise<AsyncIterable<readonly Owner[]> | undefined> {
  const listed = definition.lanes.owners(access);
  if (Symbol.asyncIterator in listed) return listed;
  const owners = await listed;
  return owners && pagesOf(owners);
}

/** Of these, the lanes of the run. */
export function lanesOf(owners: readonly Owner[], { owner: only }: Pick<RunRequest, 'owner'>): ListedLane[] {
  return owners.flatMap((owner) => (owner === (only ?? owner) ? [{ owner }] : []));
}

export async function* pagesOf(owners: readonly Owner[]): AsyncGenerator<readonly Owner[]> {
  for (let at = 0; at < owners.length; at += OWNERS_PER_PAGE) yield owners.slice(at, at + OWNERS_PER_PAGE);
}
