import type { AcceptedLane, Divergence, PrintedFinding, RepairPlan } from '../api/repairs.ts';
import { changeWords, findingWords, itemWords } from '../words.ts';
import {
  type Block,
  code,
  column,
  instant,
  more,
  note,
  remark,
  section,
  type Section,
  type Table,
  tableOf,
  words,
} from './document.ts';
import { counted, printedFigure, spoken } from './figures.ts';

/** The members of a plan that are shown. */
type PlannedLane = Pick<Divergence, 'service' | 'owner' | 'findings' | 'before' | 'after'>;
type ShownPlan = Omit<RepairPlan, 'limits' | 'lanes'> & { readonly lanes: readonly PlannedLane[] };

const LANES_SHOWN = 50;
const FINDINGS_SHOWN = 200;

/** What a repair of a reconciliation would change, lane by lane, and the next command. */
export function planSection(plan: ShownPlan): Section {
  const { run, refusal, untouched, lanes } = plan;
  const left = lanes.length - LANES_SHOWN;
  const next =
    refusal === null
      ? remark('Apply it with: ', code(`crossfade repair apply ${run} --person NAME --reason TEXT`))
      : refusalNote(refusal);
  return section(
    `Repair of run ${run}`,
    remark(planWords(plan)),
    ...lanes.slice(0, LANES_SHOWN).map(laneBlock),
    ...(left > 0 ? [remark(`And ${counted(left, 'more lane')}: --json shows all.`)] : []),
    ...untouchedBlocks(untouched),
    ...(lanes.length === 0 ? [] : [next]),
  );
}

/** How much a repair would resolve. */
export function planWords({
  findings,
  lanes,
  share,
}: Pick<ShownPlan, 'findings' | 'lanes' | 'share'>): string {
  if (lanes.length === 0) return 'Nothing to repair.';
  return `A repair would resolve ${counted(findings, 'finding')} in ${counted(lanes.length, 'lane')}, ${printedFigure({ value: share, unit: 'rate' })} of the compared items.`;
}

export const refusalNote = (refusal: string): Block => note('warn', `A repair would be refused: ${refusal}`);

/** Lanes of the run that no repair of it changes. */
export function untouchedBlocks({ undone, lost, flipped }: ShownPlan['untouched']): readonly Block[] {
  return [
    ...(undone > 0
      ? [
          remark(
            `${counted(undone, 'lane')} whose repair was undone: reconcile again, then repair or accept.`,
          ),
        ]
      : []),
    ...(lost > 0 ? [remark(`${counted(lost, 'lane')} with lost items: `, code('crossfade lost list'))] : []),
    ...(flipped > 0
      ? [remark(`${counted(flipped, 'flipped lane')} in which legacy differs: no repair changes a primary.`)]
      : []),
  ];
}

const DIGEST_SHOWN = 12;

function laneBlock({ service, owner, findings, before, after }: PlannedLane): Block {
  const side = ({ items, digest }: PlannedLane['before']): string =>
    `${counted(items, 'item')} ${digest.slice(0, DIGEST_SHOWN)}`;
  const title = `${service}/${owner}: ${side(before)} → ${side(after)}`;
  return more(title, ...findingBlocks(findings));
}

/** The first findings of a lane, item by item. */
export function findingBlocks(findings: readonly PrintedFinding[]): readonly Block[] {
  if (findings.length === 0) return [];
  const left = findings.length - FINDINGS_SHOWN;
  return [
    findingsTable(findings.slice(0, FINDINGS_SHOWN)),
    ...(left > 0
      ? [
          remark(
            `And ${counted(left, 'more finding')}: `,
            code('crossfade repair plan --json'),
            ' shows all.',
          ),
        ]
      : []),
  ];
}

/** After the differences of a lane were accepted. */
export function acceptedWords(
  lane: string,
  { run, findings, stopped }: Omit<AcceptedLane, 'accepted'>,
): string {
  const accepted = `${counted(findings, 'difference')} of ${lane}, found by run ${run}, accepted`;
  if (stopped === undefined) return `${accepted}. Its reads may move again.`;
  return `${accepted}. The lane stays stopped (${spoken(stopped)}), so legacy answers its reads.`;
}

/** After a repair was undone. */
export function undoneWords(lanes: number): string {
  if (lanes === 0) return 'No lane was changed.';
  const [are, their] = lanes === 1 ? ['lane is', 'its'] : ['lanes are', 'their'];
  return `${lanes} ${are} as before the repair, and stopped. Legacy answers ${their} reads until a new reconciliation and its repair.`;
}

/** Each item: what the orchestrator holds, and what it will hold after a repair. No content. */
function findingsTable(findings: readonly PrintedFinding[]): Table {
  return tableOf(
    findings,
    [
      words('item', itemWords),
      column('written', ({ at = null }) => instant(at)),
      column('side', ({ side }) => side),
      words('finding', findingWords),
      words('before', (finding) => changeWords(finding).before),
      words('after', (finding) => changeWords(finding).after),
    ],
    { empty: 'No findings' },
  );
}
