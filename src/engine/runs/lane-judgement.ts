import type {
  Comparison,
  Difference,
  DifferenceClass,
  Hint,
  NotComparable,
} from '../../domain/comparison.ts';
import type { ItemFinding } from './attribute.ts';
import type { ComparedLane, LaneDifference } from './lane-comparer.ts';

/** The path of a difference between whole lanes. Answers have no such path. */
const PATH = 'whole_lane[]';
/** Characters of a digest that identify an item. */
const DIGEST_CHARACTERS = 8;

const NOT_COMPARABLE: Readonly<Record<string, NotComparable>> = {
  racy: 'racy',
  behind: 'racy',
  not_seeded: 'not_seeded',
};

const CLASSES = {
  altered: 'value',
  added: 'extra_in_orchestrator',
  removed: 'missing_in_orchestrator',
  reordered: 'order',
  resurrected: 'extra_in_orchestrator',
} as const satisfies Partial<Record<ItemFinding['kind'], DifferenceClass>>;

export const LANE_MATCHES: Comparison = { verdict: 'match', differences: [], suppressed: 0 };

/**
 * What a comparison of whole lanes proves about agents' reads. A lost item waits for a person and is not an error of the
 * orchestrator. A lane that was never copied proves nothing.
 */
export function judgementOf(compared: ComparedLane): Comparison {
  if (compared.verdict === 'not_comparable') return notComparable(reasonOf(compared.reason));
  if (isUnknown(compared)) return notComparable('unknown_lane');
  if (compared.findings.some(({ kind }) => kind === 'not_seeded')) return notComparable('not_seeded');
  if (compared.verdict === 'equal') return LANE_MATCHES;
  const differences = compared.findings.flatMap((finding) => differenceOf(finding) ?? []);
  if (differences.length === 0) return notComparable('lost');
  return { verdict: 'mismatch', differences, suppressed: 0 };
}

/** An owner that neither side has. */
function isUnknown({ findings, source, sequence }: LaneDifference): boolean {
  return !source.exists && sequence === 0 && findings.length === 0;
}

function reasonOf(reason: string): NotComparable {
  if (reason.startsWith('unreadable')) return 'unreadable';
  return NOT_COMPARABLE[reason] ?? 'dirty';
}

export function notComparable(reason: NotComparable): Comparison {
  return { verdict: 'not_comparable', reason, differences: [], suppressed: 0 };
}

/** The cause that the class alone shows. An item that was written to legacy past the proxy is not on the orchestrator either. */
const HINTS: Partial<Record<DifferenceClass, Hint>> = {
  missing_in_orchestrator: 'missing_backfill',
  order: 'order',
};

function differenceOf(finding: ItemFinding): Difference | undefined {
  const { kind, side, before, after } = finding;
  if (kind === 'lost' || kind === 'not_seeded') return undefined;
  const isOnlyOnLegacy = kind === 'added' && side === 'legacy';
  const found = isOnlyOnLegacy ? 'missing_in_orchestrator' : CLASSES[kind];
  const hint = finding.hint ?? HINTS[found];
  return {
    path: PATH,
    class: found,
    legacy: shapeOf(after),
    orchestrator: shapeOf(before),
    ...(hint !== undefined && { hint }),
  };
}

function shapeOf(digest: string | undefined): string {
  return digest === undefined ? 'absent' : `item#${digest.slice(0, DIGEST_CHARACTERS)}`;
}
