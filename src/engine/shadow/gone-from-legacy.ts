import type { Comparison } from '../../domain/comparison.ts';
import type { Judgement } from '../compare/compare-replies.ts';

/** Why legacy shows less than the orchestrator, according to the comparison of the whole lane. */
export type GoneBy = 'forgotten' | 'lost';

/**
 * Whether legacy showed less than the orchestrator, and nothing else differed. A deleted item that is back is never explained.
 */
export function showsLess({ verdict, reason, differences, deletedReturned }: Comparison): boolean {
  if (deletedReturned !== undefined) return false;
  if (verdict !== 'mismatch') return reason === 'forgotten';
  return differences.every(({ class: kind }) => kind === 'extra_in_orchestrator');
}

/** A difference that the comparison of the whole lane explains counts in no rate. */
export function explainedBy(judgement: Judgement, by: GoneBy): Judgement {
  const { comparison } = judgement;
  if (comparison.verdict !== 'mismatch') return judgement;
  return {
    ...judgement,
    comparison: {
      verdict: 'not_comparable',
      reason: by,
      differences: [],
      suppressed: comparison.suppressed,
      ...(by === 'forgotten' && {
        explained: comparison.differences.map((difference) => ({ difference, by })),
      }),
    },
  };
}
