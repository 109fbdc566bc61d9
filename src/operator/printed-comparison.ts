import type { Comparison, RankingMeasure } from '../domain/comparison.ts';
import type { PrintedComparison } from './api/comparisons.ts';

/** What a comparison found, as every answer shows it. */
export function printedComparison(comparison: Comparison): PrintedComparison {
  const { verdict, reason, differences, suppressed, explained, isErrorPair, ranking, deletedReturned } =
    comparison;
  return {
    verdict,
    ...(reason !== undefined && { reason }),
    differences,
    suppressed,
    ...(explained !== undefined && { explained }),
    ...(isErrorPair === true && { error_pair: true }),
    ...(ranking !== undefined && { ranking: printedRanking(ranking) }),
    ...(deletedReturned !== undefined && { deleted_returned: deletedReturned }),
  };
}

function printedRanking({
  overlap,
  rankBiasedOverlap,
  lexical,
}: RankingMeasure): NonNullable<PrintedComparison['ranking']> {
  return {
    overlap,
    rank_biased_overlap: rankBiasedOverlap,
    ...(lexical !== undefined && { lexical }),
  };
}
