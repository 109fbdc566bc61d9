import { parseTolerantly } from '../../domain/json.ts';
import type { LegacyItem } from '../../domain/service-definition.ts';
import { nameOf, shapeOf } from '../compare/shape.ts';
import type { ListedMemory } from '../items/copy-plan.ts';
import type { ItemFinding } from './attribute.ts';

/** Findings per lane that are stored with their items' fields. For further ones only id, time and side are stored. */
const MOST_WITH_FIELDS = 1_000;
/** Fields of one item. */
const MOST_FIELDS = 20;

/** The items of a finding. They hold content, so only their shapes may be stored or shown. */
export interface FoundItems {
  readonly legacy?: LegacyItem;
  readonly orchestrator?: ListedMemory;
  /** Index in legacy's list. */
  readonly legacyIndex?: number;
}

/** Kind and size of each field, and a digest for text. */
export type FieldShapes = Readonly<Record<string, string>>;

/** Adds what a reviewer needs to each finding: when the item was written, its place on legacy, and its redacted fields. */
export function detailed(
  findings: readonly ItemFinding[],
  itemsOf: ReadonlyMap<ItemFinding, FoundItems>,
): readonly ItemFinding[] {
  return findings.map((finding, index) => {
    const items = itemsOf.get(finding);
    return items === undefined ? finding : { ...finding, ...detailOf(items, index < MOST_WITH_FIELDS) };
  });
}

function detailOf(items: FoundItems, hasFields: boolean): Partial<ItemFinding> {
  const { legacy, orchestrator, legacyIndex } = items;
  const at =
    legacy === undefined || legacy.isTimeUnknown === true ? orchestrator?.memory.created_at : legacy.at;
  return {
    ...(at !== undefined && { at }),
    ...(legacyIndex !== undefined && { place: legacyIndex + 1 }),
    ...(hasFields && fieldsOf(items)),
  };
}

function fieldsOf({ legacy, orchestrator }: FoundItems): Partial<ItemFinding> {
  // Legacy has no tags, so an item that lacks them differs in nothing else.
  if (orchestrator?.dueTags !== undefined)
    return {
      beforeFields: { tags: shapeOf(orchestrator.memory.tags) },
      afterFields: { tags: shapeOf(orchestrator.dueTags) },
    };
  return {
    ...(orchestrator !== undefined && { beforeFields: shapesOf(orchestrator.fields) }),
    ...(legacy !== undefined && { afterFields: shapesOf(legacy.fields) }),
  };
}

function shapesOf(fields: Readonly<Record<string, string>>): FieldShapes {
  const shown = Object.entries(fields).slice(0, MOST_FIELDS);
  return Object.fromEntries(shown.map(([name, text]) => [nameOf(name), shapeOf(parsed(text))]));
}

function parsed(text: string): unknown {
  try {
    return parseTolerantly(text);
  } catch {
    return text;
  }
}
