import { isJsonObject, parseTolerantly } from '../domain/json.ts';

/** Members by which agents say in an item who they are. */
const NAMES = ['source_agent', 'agent', 'agent_id', 'source'] as const;
const LONGEST = 64;

/** Who wrote an item, as far as its JSON text says so. */
export function writerIn(raw: string): string | undefined {
  const members = parseTolerantly(raw);
  if (!isJsonObject(members)) return undefined;
  const names = NAMES.map((name) => members[name]);
  const name = names.find((value): value is string => typeof value === 'string' && value !== '');
  return name?.slice(0, LONGEST);
}
