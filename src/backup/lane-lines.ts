import { createHash } from 'node:crypto';
import type { Readable } from 'node:stream';
import type { Owner } from '../domain/ids.ts';
import { isJsonObject } from '../domain/json.ts';
import type { LegacyItem, LegacyLane } from '../domain/service-definition.ts';

/** A lane of a backup: one line of JSON. */
export interface LaneLine {
  readonly owner: Owner;
  readonly items: readonly LegacyItem[];
}

export function encodeLane(owner: Owner, { items, session, derived }: LegacyLane): string {
  return `${JSON.stringify({ owner, items, session, derived })}\n`;
}

function isLane(value: unknown): value is LaneLine {
  return isJsonObject(value) && typeof value['owner'] === 'string' && Array.isArray(value['items']);
}

/** @throws Error if the line is not a lane */
export function decodeLane(line: string): LaneLine {
  const value: unknown = JSON.parse(line);
  if (!isLane(value)) throw new Error('not a valid lane');
  return value;
}

/** Only a line feed ends a line. node:readline also splits at U+2028, which JSON does not escape in texts. */
export async function* linesIn(content: Readable): AsyncGenerator<string> {
  let begun: string[] = [];
  for await (const chunk of content.setEncoding('utf8') as AsyncIterable<string>) {
    const [first = '', ...others] = chunk.split('\n');
    begun.push(first);
    for (const other of others) {
      yield begun.join('');
      begun = [other];
    }
  }
  const last = begun.join('');
  if (last !== '') yield last;
}

/** A digest of the lane's items. Two readings with the same items in the same order have the same digest, whatever their times. */
export function digestOf({ items }: LaneLine): string {
  const contents = JSON.stringify(items.map(({ fields }) => Object.entries(fields).toSorted(byName)));
  return createHash('sha256').update(contents).digest('base64');
}

function byName([a]: readonly [string, string], [b]: readonly [string, string]): number {
  return a < b ? -1 : 1;
}
