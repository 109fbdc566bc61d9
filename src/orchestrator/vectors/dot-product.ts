import type { Vector } from './vector-store.ts';

export function dot(one: Vector, other: Vector): number {
  let sum = 0;
  for (let index = 0; index < one.length; index += 1) sum += (one[index] ?? 0) * (other[index] ?? 0);
  return sum;
}

export function lengthOf(vector: Vector): number {
  return Math.sqrt(dot(vector, vector));
}
