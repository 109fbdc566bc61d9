import { UndirectedGraph } from 'graphology';
import { pagerank } from 'graphology-metrics/centrality/index.js';
import { sentencesOf, wordsOf } from './sentences.ts';

/** Number of compared sentences, the last ones of the texts. The number of pairs grows with the square; 200 sentences take about 30 ms. */
const SENTENCES_COMPARED = 200;

/**
 * TextRank: selects the most representative sentences, in their original order. The weight of a sentence is the weight of the sentences similar
 * to it. Two sentences are similar if they share words, and rare words count more.
 */
export function extract(texts: readonly string[], count: number): string {
  const sentences = [...new Set(texts.flatMap(sentencesOf))].slice(-SENTENCES_COMPARED);
  if (sentences.length <= count) return sentences.join(' ');
  const ranks = rank(sentences.map(wordsOf));
  return [...sentences.keys()]
    .sort((a, b) => (ranks[b] ?? 0) - (ranks[a] ?? 0) || a - b)
    .slice(0, count)
    .sort((a, b) => a - b)
    .map((index) => sentences[index])
    .join(' ');
}

function rank(words: readonly ReadonlySet<string>[]): Record<number, number> {
  const weights = weightsOf(words);
  const graph = new UndirectedGraph<object, { weight: number }>();
  for (const index of words.keys()) graph.addNode(index);
  for (const [a, left] of words.entries())
    for (const [b, right] of words.entries()) {
      if (b >= a) break;
      const weight = resemblance(left, right, weights);
      if (weight > 0) graph.addEdge(a, b, { weight });
    }
  return pagerank(graph, { getEdgeWeight: 'weight' });
}

function weightsOf(words: readonly ReadonlySet<string>[]): ReadonlyMap<string, number> {
  const sentencesWith = new Map<string, number>();
  for (const word of words.flatMap((set) => [...set]))
    sentencesWith.set(word, (sentencesWith.get(word) ?? 0) + 1);
  return new Map([...sentencesWith].map(([word, some]) => [word, Math.log(words.length / some)]));
}

function resemblance(
  a: ReadonlySet<string>,
  b: ReadonlySet<string>,
  weights: ReadonlyMap<string, number>,
): number {
  const [few, many] = a.size < b.size ? [a, b] : [b, a];
  let shared = 0;
  for (const word of few) if (many.has(word)) shared += weights.get(word) ?? 0;
  // Normalized, because long sentences share more words by chance.
  return shared / (Math.log(1 + a.size) + Math.log(1 + b.size));
}
