import type { LaneCounts, ShownFlipFact, ShownFlips } from '../api/flips.ts';
import {
  type Block,
  code,
  column,
  counts,
  fact,
  facts,
  instant,
  laneLink,
  mark,
  note,
  remark,
  section,
  type Section,
  type Table,
  tableOf,
  words,
} from './document.ts';
import { printedFigure, spoken } from './figures.ts';

/** How far the lanes have moved, which are stuck, what a flip needs, and what agents notice afterwards. */
export function flipSections(flips: ShownFlips): readonly Section[] {
  const { share, lanes, stuck, held, facts: needed, goes_first: first } = flips;
  return [
    section(
      'Flips',
      facts(fact('lanes that may be flipped', { value: share, unit: 'percentage' })),
      countsTable(lanes),
      ...(lanes.whole ? [] : [remark('Only the first 10,000 lanes on legacy are counted.')]),
      ...(held === null ? [] : [heldFlips(held)]),
      ...(first === null ? [] : [firstLane(first)]),
    ),
    section(stuckTitle(lanes.stuck, stuck.length), stuckTable(stuck)),
    section('What a flip needs', flipFactsTable(needed)),
    ...noticeSections(flips),
  ];
}

function stuckTitle(many: number, shown: number): string {
  return many > shown ? `Stuck lanes, the first ${shown} of ${many}` : 'Stuck lanes';
}

/** The person who stopped further flips of the service. */
export function heldFlips({ person, reason, at }: NonNullable<ShownFlips['held']>): Block {
  return note('warn', `Further flips are held by ${person} since `, instant(at), `: ${reason}`);
}

/** When a flip or a return is tried again. */
export function nextAttempt(dueInSeconds: number): string {
  return dueInSeconds === 0 ? 'now' : `in ${printedFigure({ value: dueInSeconds, unit: 'seconds' })}`;
}

/** The lane that may be flipped before the way back is proven, and the person who lets it. */
export function firstLane({ lane, person, reason, at }: NonNullable<ShownFlips['goes_first']>): Block {
  return remark(code(lane), ` goes first, by ${person} since `, instant(at), `: ${reason}`);
}

/** What a person should know before the first flip. */
export function noticeSections({
  noticed,
  not_flippable: reasons,
}: Pick<ShownFlips, 'noticed' | 'not_flippable'>): readonly Section[] {
  return [
    ...(reasons.length === 0
      ? []
      : [
          section(
            'Why no lane can be flipped',
            ...reasons.map(({ action, reason: why }) => remark(`${action}: ${why}`)),
          ),
        ]),
    section(
      'What agents notice after a flip',
      ...(noticed.length === 0 ? [remark('Nothing')] : noticed.map((notice) => remark(notice))),
    ),
  ];
}

/** The facts that a lane needs to be flipped, with the reason against each. */
export function flipFactsTable(facts: readonly ShownFlipFact[]): Table {
  return tableOf(
    facts,
    [
      words('fact', ({ fact }) => spoken(fact)),
      column('holds', ({ holds }) => mark(holds ? 'yes' : 'no', holds ? 'good' : 'warn')),
      words('reason', reasonOf),
    ],
    { empty: 'No facts are known' },
  );
}

/** Reasons whose numbers are seconds. */
const TIMES: ReadonlySet<string> = new Set(['proof_too_old', 'not_verified']);

/** In words, with its numbers. */
export function reasonOf({ reason, have, need }: ShownFlipFact): string {
  if (reason === undefined) return '';
  const figure = (value: number): string =>
    printedFigure({ value, unit: TIMES.has(reason) ? 'seconds' : 'count' });
  const numbers = [
    ...(have === undefined ? [] : [`is ${figure(have)}`]),
    ...(need === undefined ? [] : [`needs ${figure(need)}`]),
  ];
  return numbers.length === 0 ? spoken(reason) : `${spoken(reason)} (${numbers.join(', ')})`;
}

/** What a fact needs and has, in one sentence. */
export function factWords(fact: ShownFlipFact): string {
  return `${spoken(fact.fact)}: ${reasonOf(fact)}`;
}

/** What each number counts, and in which time. */
export const COUNT_WORDS = {
  eligible: { window: 'now', meaning: 'on legacy, and nothing is missing' },
  moving: { window: 'last minute', meaning: 'changed their primary' },
  moved: { window: 'now', meaning: 'the orchestrator is their primary' },
  waiting: { window: 'now', meaning: 'on legacy, for a reason that ends by itself' },
  stuck: { window: 'now', meaning: 'on legacy, because a flip failed or a person must act' },
} as const satisfies Partial<Record<keyof LaneCounts, { readonly window: string; readonly meaning: string }>>;

type CountName = keyof typeof COUNT_WORDS;

const COUNT_NAMES = Object.keys(COUNT_WORDS) as CountName[];

/** Each number of lanes, with its window. */
function countsTable(lanes: LaneCounts): Table {
  return tableOf(
    COUNT_NAMES,
    [
      words<CountName>('lanes', (name) => name),
      counts<CountName>('count', (name) => lanes[name]),
      words<CountName>('window', (name) => COUNT_WORDS[name].window),
      words<CountName>('meaning', (name) => COUNT_WORDS[name].meaning),
    ],
    { empty: 'No lanes' },
  );
}

/** Lanes inside the share that do not move. */
function stuckTable(stuck: ShownFlips['stuck']): Table {
  return tableOf(
    stuck,
    [
      column('lane', ({ lane }) => laneLink(lane)),
      words('reason', ({ reason }) => spoken(reason)),
      counts('failed flips', ({ failed }) => failed),
      words('next attempt', ({ failed, due_in_seconds: seconds }) =>
        failed === 0 ? 'when its reason is gone' : nextAttempt(seconds),
      ),
    ],
    { empty: 'No lane is stuck' },
  );
}
