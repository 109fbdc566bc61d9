import { BREAKAGES } from './breakages.ts';

const MUST_BE_ZERO = ['false_findings', 'duplicates', 'resurrected', 'unequal'] as const;

const BROKEN = Object.values(BREAKAGES).reduce((sum, lanes) => sum + lanes, 0);
/** What was written on legacy past the proxy: each must be named so, with who did it where the item says it. */
const WRITTEN_PAST_THE_PROXY =
  BREAKAGES.altered_on_legacy + BREAKAGES.added_on_legacy + BREAKAGES.reordered_on_legacy;

type Result = Readonly<Record<string, number>>;

/** What is not as it must be at the end, one sentence each. Empty: the acceptance is passed. */
export function problemsOf(result: Result): string[] {
  return [
    ...MUST_BE_ZERO.filter((name) => result[name] !== 0).map((name) => `${name} is not zero`),
    ...[backfillProblem(result), ...foundProblems(result), ...repairProblems(result)].filter(
      (problem) => problem !== undefined,
    ),
  ];
}

function backfillProblem({ items, backfilled }: Result): string | undefined {
  if (items !== undefined && items === backfilled) return undefined;
  return `${items} items were on legacy and ${backfilled} were backfilled`;
}

function foundProblems({ broken, found, bypass_named: named }: Result): (string | undefined)[] {
  return [
    found === broken && found === BROKEN
      ? undefined
      : `${broken} of ${BROKEN} were broken and ${found} found`,
    named === WRITTEN_PAST_THE_PROXY
      ? undefined
      : `${WRITTEN_PAST_THE_PROXY} were written past the proxy and ${named} are named so`,
  ];
}

function repairProblems({ lost_on_legacy: lost, left, repaired }: Result): (string | undefined)[] {
  return [
    left === lost && lost === BREAKAGES.lost ? undefined : `${left} are left and ${lost} lost on legacy`,
    repaired === BROKEN - BREAKAGES.lost
      ? undefined
      : `${repaired} were repaired of ${BROKEN - BREAKAGES.lost}`,
  ];
}
