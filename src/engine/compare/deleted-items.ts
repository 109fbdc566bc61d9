import { itemKeyOf, type ShownItems } from '../../domain/item-key.ts';
import { isJsonObject } from '../../domain/json.ts';
import type { RuleNode } from './compiled-rules.ts';
import { plainOf } from './reply-values.ts';

/** How the items of an answer are identified. */
interface Naming {
  readonly rules: RuleNode;
  readonly items?: ShownItems;
}

/**
 * Counts the removed items that the orchestrator's answer shows and legacy's does not. Looks only at lists whose rules name a
 * key, or whose definition identifies an item. An item that legacy shows too was written again.
 */
export function countReturned(
  { legacy, orchestrator }: { readonly legacy: unknown; readonly orchestrator: unknown },
  naming: Naming,
  deleted: ReadonlySet<string>,
): number {
  if (deleted.size === 0) return 0;
  const shown = shownKeys(orchestrator, naming, deleted);
  if (shown.size === 0) return 0;
  const alive = shownKeys(legacy, naming, deleted);
  return [...shown].filter((key) => !alive.has(key)).length;
}

function shownKeys(
  value: unknown,
  { rules, items }: Naming,
  deleted: ReadonlySet<string>,
): ReadonlySet<string> {
  const found = new Set<string>();
  const tell = (key: string): void => {
    if (deleted.has(key)) found.add(key);
  };
  collect(value, rules, tell);
  if (items !== undefined) collectItems(value, items, tell);
  return found;
}

function collectItems(value: unknown, { list, members }: ShownItems, tell: (key: string) => void): void {
  const items = isJsonObject(value) ? value[list] : undefined;
  if (!Array.isArray(items)) return;
  for (const item of items) if (isJsonObject(item)) tell(itemKeyOf(members.map((member) => item[member])));
}

/** Calls back with every key of the lists whose rules name one. */
function collect(value: unknown, node: RuleNode | undefined, tell: (key: string) => void): void {
  if (node === undefined) return;
  if (Array.isArray(value)) return collectList(value, node, tell);
  if (!isJsonObject(value)) return;
  for (const [name, below] of node.members) collect(value[name], below, tell);
}

function collectList(list: readonly unknown[], node: RuleNode, tell: (key: string) => void): void {
  const key = node.key ?? node.ranking?.key;
  for (const item of list) {
    if (key !== undefined && isJsonObject(item)) tell(String(plainOf(item[key])));
    collect(item, node.elements, tell);
  }
}
