/** The constant of reciprocal rank fusion as its authors measured it: how little the very first ranks stand out. */
const DAMPING = 60;

export interface Fused {
  readonly memoryId: string;
  /** 1: the first of both lists. */
  readonly score: number;
}

/** Reciprocal rank fusion: only ranks count, since scores of different kinds cannot be compared. Equal scores go by id. */
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
