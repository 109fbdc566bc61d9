import { Random } from '../sim/random.ts';

/** The memories of the benchmark: the same ones on every machine. */
export interface Item {
  readonly memoryId: string;
  readonly sessionId: string;
  readonly text: string;
  readonly words: readonly string[];
  readonly vector: readonly number[];
}

export const DIMENSION = 512;
export const MODEL = 'bench';
/** Whose the filled sessions are: a search of everything names the user. */
export const USER = 'reader';
export const SESSION_ITEMS = 50;

// Vectors of sentences lie near a surface of few dimensions. Independent numbers in 512 would be equally far from each other.
const INNER_DIMENSIONS = 32;
const NOISE = 0.05;
const CLUSTERS = 64;
const CLUSTER_SPREAD = 0.6;
const VOCABULARY = 3_000;
/** Words are as unevenly frequent as in a language; the first ones are in half of the texts. */
const UNEVENNESS = 2.5;
const TOO_FREQUENT = 60;
const SEED = 7_411;

/** What is filled in before, and what is written during the measurement: far from it, so that searches of neither side change. */
export type Region = 'filled' | 'written';

const SURFACE_OF: Readonly<Record<Region, Surface>> = {
  filled: surfaceOf(SEED),
  written: surfaceOf(SEED + 1),
};

interface Surface {
  readonly axes: readonly Float64Array[];
  readonly centres: readonly Float64Array[];
}

function surfaceOf(seed: number): Surface {
  const random = new Random(seed);
  const drawn = (length: number): Float64Array => Float64Array.from({ length }, () => normal(random));
  return {
    axes: Array.from({ length: INNER_DIMENSIONS }, () => drawn(DIMENSION)),
    centres: Array.from({ length: CLUSTERS }, () => drawn(INNER_DIMENSIONS)),
  };
}

function normal(random: Random): number {
  return Math.sqrt(-2 * Math.log(1 - random.next())) * Math.cos(2 * Math.PI * random.next());
}

/** A vector of length 1, its numbers short enough to be sent. */
export function drawVector(random: Random, region: Region = 'filled'): number[] {
  const { axes, centres } = SURFACE_OF[region];
  const vector = Float64Array.from({ length: DIMENSION }, () => NOISE * normal(random));
  const centre = random.pick(centres);
  for (const [at, axis] of axes.entries()) {
    const weight = (centre[at] ?? 0) + CLUSTER_SPREAD * normal(random);
    for (let index = 0; index < DIMENSION; index += 1)
      vector[index] = (vector[index] ?? 0) + weight * (axis[index] ?? 0);
  }
  const length = Math.hypot(...vector);
  return Array.from(vector, (value) => Number((value / length).toFixed(5)));
}

/** What the n-th memory says; of the written ones nothing is found by the words of the filled ones. */
export function drawWords(random: Random, region: Region = 'filled'): string[] {
  const beginning = region === 'filled' ? 'word' : 'note';
  const draw = (): string => `${beginning}${Math.floor(VOCABULARY * random.next() ** UNEVENNESS)}`;
  return Array.from({ length: random.whole(12, 30) }, draw);
}

export function itemAt(index: number): Item {
  const random = new Random(SEED + 1_000 + index);
  const words = drawWords(random);
  return {
    memoryId: `item-${index}`,
    sessionId: sessionAt(index),
    text: words.join(' '),
    words,
    vector: drawVector(random),
  };
}

export function sessionAt(index: number): string {
  return `session-${Math.floor(index / SESSION_ITEMS)}`;
}

/** Two words that one memory has and that not half of all have. */
export function drawQuery(random: Random, items: number): string {
  const { words } = itemTextAt(random.whole(0, items - 1));
  const rare = words.filter((word) => Number(word.slice('word'.length)) >= TOO_FREQUENT);
  return [random.pick(rare.length < 2 ? words : rare), random.pick(rare.length < 2 ? words : rare)].join(' ');
}

function itemTextAt(index: number): { readonly words: readonly string[] } {
  return { words: drawWords(new Random(SEED + 1_000 + index)) };
}
