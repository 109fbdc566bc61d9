import { CRITERION_WORDS, type CriterionUnit } from './criterion-words.ts';
import { verdictMark, words, type Cell, type Figure, type Section, type Table } from './document.ts';
import type { Criterion, PhasePlan, ServiceReport } from './report.ts';

const FOR = { stay: 'to stay', go_on: 'to go on' } as const;

/** The criteria of every stage, the present stage first. */
export function planSection({ plan, phase }: ServiceReport): Section {
  const present = plan.find((one) => one.present);
  return {
    title: `Criteria of the stage ${words(phase)}`,
    blocks: [
      ...(present === undefined ? [] : [criteriaTable(present)]),
      {
        kind: 'more',
        title: 'The other stages',
        blocks: plan
          .filter((one) => !one.present)
          .flatMap((one) => [
            { kind: 'note', tone: 'plain', cell: [`Stage ${words(one.phase)}`] } as const,
            criteriaTable(one),
          ]),
      },
    ],
  };
}

function criteriaTable({ criteria }: PhasePlan): Table {
  return {
    kind: 'table',
    columns: [
      { head: 'criterion' },
      { head: 'for' },
      { head: 'is', isNumber: true },
      { head: 'limit', isNumber: true },
      { head: 'verdict' },
    ],
    // Failed criteria come first.
    rows: criteria.toSorted((a, b) => Number(b.verdict === 'fail') - Number(a.verdict === 'fail')).map(rowOf),
    empty: 'This stage has no criteria.',
  };
}

function rowOf(criterion: Criterion): Cell[] {
  const { name, action, have, limit, note, for: purpose } = criterion;
  const { title, unit, sign } = CRITERION_WORDS[name];
  const of = action === null ? '' : ` of ${action}`;
  const said = note === null ? '' : ` (${words(note)})`;
  return [
    [`${title}${of}${said}`],
    [FOR[purpose]],
    [figure(have, unit)],
    unit === 'yes_no' ? [figure(limit, unit)] : [`${sign} `, figure(limit, unit)],
    [verdictMark(criterion)],
  ];
}

function figure(value: number | null, unit: CriterionUnit): Figure {
  return { value, unit };
}
