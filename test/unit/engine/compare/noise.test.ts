import { describe, expect, test } from 'vitest';
import type { Comparison, Difference } from '../../../../src/domain/comparison.ts';
import { ActionNoise } from '../../../../src/engine/compare/noise.ts';

const difference = (path: string, kind: Difference['class'] = 'value'): Difference => ({
  path,
  class: kind,
  legacy: 'number',
  orchestrator: 'number',
});
const mismatch = (...paths: string[]): Comparison => ({
  verdict: 'mismatch',
  differences: paths.map((path) => difference(path)),
  suppressed: 0,
});
const MATCH: Comparison = { verdict: 'match', differences: [], suppressed: 0 };

/** So many repeats and comparisons, of which so many differ at `score`. */
function noiseOf(facts: {
  repeats: number;
  noisy: number;
  comparisons: number;
  differing: number;
}): ActionNoise {
  const noise = new ActionNoise();
  for (let at = 0; at < facts.repeats; at += 1) noise.repeated(at < facts.noisy ? mismatch('score') : MATCH);
  for (let at = 0; at < facts.comparisons; at += 1)
    noise.subtract(at < facts.differing ? mismatch('score') : MATCH);
  return noise;
}

describe('noise', () => {
  test('of the primary itself is not a mismatch', () => {
    const noise = noiseOf({ repeats: 200, noisy: 40, comparisons: 2_000, differing: 400 });
    expect(noise.subtract(mismatch('score'))).toEqual({
      verdict: 'not_comparable',
      reason: 'noise',
      differences: [],
      suppressed: 0,
      explained: [{ difference: difference('score'), by: 'noise' }],
    });
  });

  test('does not hide another difference', () => {
    const noise = noiseOf({ repeats: 200, noisy: 40, comparisons: 2_000, differing: 400 });
    expect(noise.subtract(mismatch('score', 'text'))).toMatchObject({
      verdict: 'mismatch',
      differences: [difference('text')],
      explained: [{ by: 'noise' }],
    });
    const order: Comparison = {
      ...mismatch(),
      differences: [difference('score', 'missing_in_orchestrator')],
    };
    expect(noise.subtract(order).verdict).toBe('mismatch');
  });

  test('does not hide a path that differs more often than the noise', () => {
    const noise = noiseOf({ repeats: 200, noisy: 10, comparisons: 2_000, differing: 500 });
    expect(noise.subtract(mismatch('score')).verdict).toBe('mismatch');
  });

  test('is not derived from one repeat, nor from none', () => {
    for (const noisy of [0, 1]) {
      const noise = noiseOf({ repeats: 50, noisy, comparisons: 1_000, differing: 10 });
      expect(noise.subtract(mismatch('score')).verdict).toBe('mismatch');
    }
  });

  test('is shown with its interval, and the rate beyond it', () => {
    const [shown] = noiseOf({ repeats: 200, noisy: 20, comparisons: 2_000, differing: 400 }).report();
    expect(shown).toMatchObject({
      place: 'value score',
      repeats: 200,
      noisy: 20,
      comparisons: 2_000,
      differing: 400,
    });
    expect(shown?.noise[0]).toBeCloseTo(0.0657, 3);
    expect(shown?.noise[1]).toBeCloseTo(0.1494, 3);
    const [lower, upper] = shown?.beyond ?? [0, 0];
    expect(lower).toBeLessThan(0.1);
    expect(lower).toBeGreaterThan(0.04);
    expect(upper).toBeGreaterThan(0.1);
  });
});
