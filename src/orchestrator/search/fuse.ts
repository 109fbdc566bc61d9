/** The constant of reciprocal rank fusion, as measured by its authors. Higher values reduce the weight of the first ranks. */
const DAMPING = 60;

export interface Fused {
  readonly memoryId: string;
  /** 1 if first in both lists. */
  readonly score: number;
}

/** Reciprocal rank fusion. Only ranks count, because scores of different kinds cannot be compared. Equal scores are ordered by id. */
export function fuse(rankings: readonly (readonly string[])[]): Fused[] {
  const scores = new Map<string, number>();
  for (const ranking of rankings)
    ranking.forEach((memoryId, index) =>
      scores.set(memoryId, (scores.get(memoryId) ?? 0) + 1 / (DAMPING + 1 + index)),
    );
  const best = rankings.length / (DAMPING + 1);
  return [...scores]
    .map(([memoryId, score]) => ({ memoryId, score: score / best }))
    .toSorted((one, other) => other.score - one.score || (one.memoryId < other.memoryId ? -1 : 1));
}
