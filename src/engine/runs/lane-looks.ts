import type { ItemFinding } from './attribute.ts';
import type { ComparedLane } from './lane-comparer.ts';

/** What a moment later may be over. */
const MAY_PASS: ReadonlySet<string> = new Set(['racy', 'behind', 'dirty', 'copying']);

/** What the looks at one lane have shown: only a difference that two of them show counts. */
export class LaneLooks {
  readonly #shown = new Set<string>();

  /** Whether the next look may say something else. Notes what this one has shown. */
  isWorthAnother(compared: ComparedLane): boolean {
    if (compared.verdict === 'not_comparable') return MAY_PASS.has(compared.reason);
    const shown = compared.findings.map(identityOf);
    const isNews = shown.some((finding) => !this.#shown.has(finding));
    for (const finding of shown) this.#shown.add(finding);
    return isNews;
  }

  /** The last word: a lane of which no earlier look has shown any difference that is there now proves nothing. */
  surviving(compared: ComparedLane): ComparedLane {
    if (compared.verdict !== 'different') return compared;
    const isKnown = compared.findings.some((finding) => this.#shown.has(identityOf(finding)));
    return isKnown ? compared : { verdict: 'not_comparable', reason: 'racy' };
  }
}

/** Who moved may be put down otherwise at the next look. */
function identityOf({ kind, memoryId = '', before = '', after = '' }: ItemFinding): string {
  return `${kind} ${memoryId} ${before} ${after}`;
}
