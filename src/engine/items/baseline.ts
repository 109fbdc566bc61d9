import type { LegacyItem } from '../../domain/service-definition.ts';
import { digestOfFields } from './copy-plan.ts';
import type { BaselineItem } from '../ports/lane-history.ts';

/** A list as stored, to be compared with later. */
export function baselineOf(items: readonly LegacyItem[]): BaselineItem[] {
  return items.map(({ fields, at }) => ({ digest: digestOfFields(fields), atMs: Date.parse(at) }));
}
