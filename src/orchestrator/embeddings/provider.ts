import type { Space, Vector } from '../vectors/vector-store.ts';

/** Converts texts to vectors of one space. */
export interface EmbeddingProvider {
  readonly space: Space;
  /**
   * Returns one vector per text, in order. No text is empty.
   * @throws TextRefusedError if the model refuses a text, ProviderError for any other failure
   */
  embed(texts: readonly string[], signal?: AbortSignal): Promise<Vector[]>;
  stop(): Promise<void>;
}

/** The model refuses a text of the batch; a repetition would fail too. */
export class TextRefusedError extends Error {
  override readonly name = 'TextRefusedError';
}

/** The provider fails at the moment. The message never contains a text. */
export class ProviderError extends Error {
  override readonly name = 'ProviderError';
}

/** @throws ProviderError if the vectors do not match the space */
export function checkedVectors(
  vectors: readonly Vector[],
  count: number,
  { model, dimension }: Space,
): Vector[] {
  if (vectors.length !== count)
    throw new ProviderError(`${model} returned ${vectors.length} vectors for ${count} texts`);
  for (const vector of vectors) {
    if (vector.length !== dimension)
      throw new ProviderError(
        `${model} returned ${vector.length} dimensions, but the settings say ${dimension}`,
      );
    if (!vector.every(Number.isFinite))
      throw new ProviderError(`${model} returned a vector with a number that is not finite`);
  }
  return [...vectors];
}

/** The beginning of a text, never half a character. */
export function clipped(text: string, maxCharacters: number): string {
  if (text.length <= maxCharacters) return text;
  const isSplit = /[\ud800-\udbff]/.test(text.charAt(maxCharacters - 1));
  return text.slice(0, isSplit ? maxCharacters - 1 : maxCharacters);
}
