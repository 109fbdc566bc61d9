import type { Comparison, Difference } from '../../domain/comparison.ts';
import { wilsonLowerBound } from '../evidence/rate-bounds.ts';

/** A path is noisy if the primary's own answers differed there in this many repeats. One difference may have any cause. */
const LEAST_SEEN = 2;
/** Most paths of an action that are counted. Differences at further paths count in full. */
const PLACE_LIMIT = 200;
/** At this number the counts are halved, so that old noise is forgotten. */
const HALVED_AT = 20_000;
/** Standard deviations of a two-sided 95 % interval. */
const Z = 1.96;

interface PlaceCounts {
  /** Repeats in which the primary differed from itself at this path. */
  repeats: number;
  /** Comparisons in which the backends differed at this path. */
  comparisons: number;
}

/** How often a path differs by noise, and how often it differs at all. Rates are 0–1. */
export interface PlaceNoise {
  /** Class and path: `value context[].score`. */
  readonly place: string;
  readonly repeats: number;
  readonly noisy: number;
  readonly noise: readonly [lower: number, upper: number];
  readonly comparisons: number;
  readonly differing: number;
  /** The rate that remains after noise is subtracted. */
  readonly beyond: readonly [lower: number, upper: number];
}

/** The noise of one action: how its answers differ if the same backend is asked twice. */
export class ActionNoise {
  readonly #places = new Map<string, PlaceCounts>();
  #repeats = 0;
  #comparisons = 0;

  /** Records that the primary was asked again at once, while its lane did not change. */
  repeated(comparison: Comparison): void {
    this.#repeats += 1;
    for (const place of placesOf(comparison.differences)) {
      const counts = this.#at(place);
      if (counts !== undefined) counts.repeats += 1;
    }
    if (this.#repeats > HALVED_AT) this.#halve();
  }

  /** Counts a comparison, and returns it with its noise removed. */
  subtract(comparison: Comparison): Comparison {
    this.#comparisons += 1;
    for (const place of placesOf(comparison.differences)) {
      const counts = this.#at(place);
      if (counts !== undefined) counts.comparisons += 1;
    }
    if (comparison.verdict !== 'mismatch') return comparison;
    const noisy = new Set(placesOf(comparison.differences).filter((place) => this.#isNoise(place)));
    return noisy.size === 0 ? comparison : withoutNoise(comparison, noisy);
  }

  report(): readonly PlaceNoise[] {
    const tries = { repeats: this.#repeats, comparisons: this.#comparisons };
    return [...this.#places].flatMap(([place, counts]): PlaceNoise[] =>
      counts.repeats === 0
        ? []
        : [
            {
              place,
              repeats: tries.repeats,
              noisy: counts.repeats,
              noise: interval(counts.repeats, tries.repeats),
              comparisons: tries.comparisons,
              differing: counts.comparisons,
              beyond: this.#beyond(counts),
            },
          ],
    );
  }

  get repeats(): number {
    return this.#repeats;
  }

  /**
   * A path counts only beyond its own noise, that is, if the lower end of the interval of the rates' difference is above 0.
   */
  #isNoise(place: string): boolean {
    const counts = this.#places.get(place);
    return counts !== undefined && counts.repeats >= LEAST_SEEN && this.#beyond(counts)[0] <= 0;
  }

  /** Newcombe's hybrid score interval for the difference of two rates. */
  #beyond(counts: PlaceCounts): readonly [number, number] {
    const differing = rateOf(counts.comparisons, this.#comparisons);
    const noise = rateOf(counts.repeats, this.#repeats);
    const [differingLow, differingHigh] = interval(counts.comparisons, this.#comparisons);
    const [noiseLow, noiseHigh] = interval(counts.repeats, this.#repeats);
    const middle = differing - noise;
    return [
      middle - Math.hypot(differing - differingLow, noiseHigh - noise),
      middle + Math.hypot(differingHigh - differing, noise - noiseLow),
    ];
  }

  #at(place: string): PlaceCounts | undefined {
    const known = this.#places.get(place);
    if (known !== undefined || this.#places.size >= PLACE_LIMIT) return known;
    const counts = { repeats: 0, comparisons: 0 };
    this.#places.set(place, counts);
    return counts;
  }

  #halve(): void {
    this.#repeats = Math.floor(this.#repeats / 2);
    this.#comparisons = Math.floor(this.#comparisons / 2);
    for (const [place, counts] of this.#places) {
      counts.repeats = Math.floor(counts.repeats / 2);
      counts.comparisons = Math.floor(counts.comparisons / 2);
      if (counts.repeats === 0 && counts.comparisons === 0) this.#places.delete(place);
    }
  }
}

/** Noise in the order of a list must not hide a changed element. */
function placeOf({ class: kind, path }: Difference): string {
  return `${kind} ${path}`;
}

function placesOf(differences: readonly Difference[]): string[] {
  return [...new Set(differences.map((difference) => placeOf(difference)))];
}

function rateOf(hits: number, tries: number): number {
  return tries === 0 ? 0 : hits / tries;
}

function interval(hits: number, tries: number): readonly [number, number] {
  return [wilsonLowerBound({ hits, tries }, Z), 1 - wilsonLowerBound({ hits: tries - hits, tries }, Z)];
}

function withoutNoise(comparison: Comparison, noisy: ReadonlySet<string>): Comparison {
  const [noise, counted] = [true, false].map((isNoise) =>
    comparison.differences.filter((difference) => noisy.has(placeOf(difference)) === isNoise),
  ) as [Difference[], Difference[]];
  const explained = [
    ...(comparison.explained ?? []),
    ...noise.map((difference) => ({ difference, by: 'noise' as const })),
  ];
  if (counted.length > 0) return { ...comparison, differences: counted, explained };
  return { ...comparison, verdict: 'not_comparable', reason: 'noise', differences: [], explained };
}
