import type { Space } from './vector-store.ts';

/** A text as an SQL literal. */
export function quoted(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

/** The condition for vectors `e` of one space. It uses literals, because the planner cannot use the index of the space with parameters. */
export function spaceCondition({ model, dimension }: Space): string {
  return `e.embedding_model = ${quoted(model)} and e.dimension = ${Math.trunc(dimension)} and e.embedding is not null`;
}
