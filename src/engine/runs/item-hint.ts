import type { Hint } from '../../domain/comparison.ts';
import { compareReplies } from '../compare/compare-replies.ts';

/** Names and JSON texts, as both stores show an item. */
type Fields = Readonly<Record<string, string>>;

/** Rules that could end are not asked. */
const NO_TIME = new Date(0).toISOString();

/** What two spellings of one item have in common, so that a person knows where to look first; of several fields the first that tells. */
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
