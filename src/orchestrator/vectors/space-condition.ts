import type { Space } from './vector-store.ts';

/** A text as SQL spells it. */
export function quoted(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

/** The vectors `e` of one space. Spelled out, not bound: the planner takes the index of the space for no other reason. */
export function spaceCondition({ model, dimension }: Space): string {
  return `e.embedding_model = ${quoted(model)} and e.dimension = ${Math.trunc(dimension)} and e.embedding is not null`;
}
