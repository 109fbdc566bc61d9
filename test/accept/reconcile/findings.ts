import { INTRUDER, type Breakage } from './breakages.ts';

/** What a reconciliation says of one lane, as far as it is read here. */
export interface FoundDivergence {
  readonly service: string;
  readonly owner: string;
  readonly findings: readonly { readonly side: string; readonly kind: string; readonly by?: string }[];
}

/** Says what is being done, to whoever watches. */
export type Say = (what: string) => void;

/** As written past the proxy, and by whom. Another order of the same items holds no word of who made it. */
function isNamed({ side, kind, by }: FoundDivergence['findings'][number]): boolean {
  return side === 'legacy' && kind !== 'lost' && (by === INTRUDER || kind === 'reordered');
}

/** Holds what was found against what was broken: by lane, side and kind; and writers past the proxy by name. */
export function judge(
  divergences: readonly FoundDivergence[],
  lanes: ReadonlyMap<string, Breakage>,
  say: Say,
): { found: number; false_findings: number; bypass_named: number } {
  const missing = new Set(lanes.keys());
  let wrong = 0;
  let named = 0;
  for (const { service, owner, findings } of divergences) {
    const breakage = service === 'session-memory' ? lanes.get(owner) : undefined;
    const names = findings.map(({ side, kind }) => (kind === 'lost' ? kind : `${kind}_on_${side}`));
    if (breakage !== undefined && names.join() === breakage) missing.delete(owner);
    else {
      wrong += findings.length;
      say(`${service}/${owner}: ${breakage ?? 'not broken'}, found ${names.join(', ')}`);
    }
    named += findings.filter(isNamed).length;
  }
  for (const owner of missing) say(`${owner}: ${lanes.get(owner) ?? ''} was not found as such`);
  return { found: lanes.size - missing.size, false_findings: wrong, bypass_named: named };
}
