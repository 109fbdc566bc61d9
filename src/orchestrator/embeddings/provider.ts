import type { Space, Vector } from '../vectors/vector-store.ts';

/** Turns texts into vectors of one space. */
export interface EmbeddingProvider {
  readonly space: Space;
  /**
   * One vector a text, in order. No text is empty.
   * @throws TextRefusedError when the texts are at fault, ProviderError for anything else
   */
  embed(texts: readonly string[], signal?: AbortSignal): Promise<Vector[]>;
  stop(): Promise<void>;
}

/** The model refuses a text of the batch; another try gives the same answer. */
export class TextRefusedError extends Error {
  override readonly name = 'TextRefusedError';
}

/** The provider does not work now. The message never holds a text. */
export class ProviderError extends Error {
  override readonly name = 'ProviderError';
}

/** @throws ProviderError naming what is not as the space says */
export function checkedVectors(
  vectors: readonly Vector[],
  count: number,
  { model, dimension }: Space,
): Vector[] {
  if (vectors.length !== count)
    throw new ProviderError(`${model} returned ${vectors.length} vectors for ${count} texts`);
  for (const vector of vectors) {
    if (vector.length !== dimension)
      throw new ProviderError(`${model} returned ${vector.length} dimensions, but the settings say ${dimension}`);
    if (!vector.every(Number.isFinite)) throw new ProviderError(`${model} returned a vector with a number that is not finite`);
  }
  return [...vectors];
}

/** The beginning of a text, never half a character. */
export function clipped(text: string, maxCharacters: number): string {
  if (text.length <= maxCharacters) return text;
  const isSplit = /[\ud800-\udbff]/.test(text.charAt(maxCharacters - 1));
  return text.slice(0, isSplit ? maxCharacters - 1 : maxCharacters);
}
