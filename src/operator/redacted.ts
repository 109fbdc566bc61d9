import { parseTolerantly } from '../domain/json.ts';
import { nameOf, shapeOf } from '../engine/compare/reply-values.ts';

/** Nested values below this depth are shown as a shape only. */
const DEEPEST = 4;

/** A request as people may see it: the names of its members, and of each value its kind, its size and, for text, a digest. */
export function redacted(text: string): unknown {
  try {
    return shapesOf(parseTolerantly(text), 0);
  } catch {
    return shapeOf(text);
  }
}

function shapesOf(value: unknown, depth: number): unknown {
  if (typeof value !== 'object' || value === null || depth >= DEEPEST) return shapeOf(value);
  if (Array.isArray(value)) return value.map((member) => shapesOf(member, depth + 1));
  const members = Object.entries(value).map(([key, member]) => [nameOf(key), shapesOf(member, depth + 1)]);
  return Object.fromEntries(members) as object;
}
