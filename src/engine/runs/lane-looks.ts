import type { ItemFinding } from './attribute.ts';
import type { ComparedLane } from './lane-comparer.ts';

/** Results that may change a moment later. */
const MAY_PASS: ReadonlySet<string> = new Set(['racy', 'behind', 'dirty', 'copying']);

/** The results of the looks at one lane. A difference counts only if two looks show it. */
export class LaneLooks {
  readonly #shown = new Set<string>();

  /** Whether another look may give another result. Records the result of this one. */
  isWorthAnother(compared: ComparedLane): boolean {
    if (compared.verdict === 'not_comparable') return MAY_PASS.has(compared.reason);
    const shown = compared.findings.map(identityOf);
    const isNews = shown.some((finding) => !this.#shown.has(finding));
    for (const finding of shown) this.#shown.add(finding);
    return isNews;
  }

  /** The final result. If no earlier look has shown any difference of this one, the lane proves nothing. */
  surviving(compared: ComparedLane): ComparedLane {
    if (compared.verdict !== 'different') return compared;
    const isKnown = compared.findings.some((finding) => this.#shown.has(identityOf(finding)));
    return isKnown ? compared : { verdict: 'not_comparable', reason: 'racy' };
  }
}

/** The side may be attributed differently at the next look. */
function identityOf({ kind, memoryId = '', before = '', after = '' }: ItemFinding): string {
  return `${kind} ${memoryId} ${before} ${after}`;
}
