import type { Hint } from '../../domain/comparison.ts';
import { compareReplies } from '../compare/compare-replies.ts';

/** Names and JSON texts, as both stores show an item. */
type Fields = Readonly<Record<string, string>>;

/** Rules with an expiry are not used. */
const NO_TIME = new Date(0).toISOString();

/**
 * The likely cause of a difference in one item, so that a person knows where to look first. Among several fields, the first with
 * a likely cause.
 */
export function hintOfItems(legacy: Fields, orchestrator: Fields): Hint | undefined {
  const { comparison } = compareReplies({
    legacy: textOf(legacy),
    orchestrator: textOf(orchestrator),
    rules: [],
    nowIso: NO_TIME,
  });
  return comparison.differences.find(({ hint }) => hint !== undefined)?.hint;
}

function textOf(fields: Fields): string {
  const members = Object.entries(fields).map(([name, text]) => `${JSON.stringify(name)}:${text}`);
  return `{${members.join(',')}}`;
}
