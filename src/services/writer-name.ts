import { isJsonObject, parseTolerantly } from '../domain/json.ts';

/** Members of an item by which agents give their name. */
const NAMES = ['source_agent', 'agent', 'agent_id', 'source'] as const;
const LONGEST = 64;

/** The writer of an item, if its JSON text names one. */
export function writerIn(raw: string): string | undefined {
  const members = parseTolerantly(raw);
  if (!isJsonObject(members)) return undefined;
  const names = NAMES.map((name) => members[name]);
  const name = names.find((value): value is string => typeof value === 'string' && value !== '');
  return name?.slice(0, LONGEST);
}
