import { isJsonObject } from '../../domain/json.ts';
import { keyOf, rankingRuleOf } from './accepted-difference.ts';
import type { RuleNode } from './compiled-rules.ts';

/** How many items of an answer carry the key of one that was deleted, in the lists whose rules name a key. */
export function countDeleted(
  value: unknown,
  node: RuleNode | undefined,
  deleted: ReadonlySet<string>,
): number {
  if (node === undefined) return 0;
  if (Array.isArray(value)) return countInList(value, node, deleted);
  if (!isJsonObject(value)) return 0;
  let count = 0;
  for (const [name, below] of node.members) count += countDeleted(value[name], below, deleted);
  return count;
}

function countInList(list: readonly unknown[], node: RuleNode, deleted: ReadonlySet<string>): number {
  const key = keyOf(node) ?? rankingRuleOf(node)?.key;
  return list.reduce((count: number, item) => {
    const isDeleted = key !== undefined && isJsonObject(item) && deleted.has(String(item[key]));
    return count + (isDeleted ? 1 : 0) + countDeleted(item, node.elements, deleted);
  }, 0);
}
