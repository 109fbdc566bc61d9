import type { DayEvent, DaySpan, ServiceDay } from '../../engine/report/report-ports.ts';
import { timeOf } from './calendar-day.ts';
import { counted } from './figures.ts';
import type { EventNumbers, ServiceReport } from './report.ts';

/** What happened to a service on a day: one sentence for managers, each event for engineers. */
export function storyOf(day: ServiceDay, { span, zone, moved }: StoryFacts): ServiceReport['today'] {
  const moves = day.events
    .flatMap((event) => moveOf(event))
    .concat(day.trips.flatMap((trip) => tripMoves(trip, span)))
    .toSorted((one, other) => one.atMs - other.atMs)
    .slice(0, MOVES_TOLD)
    .map(({ atMs, what }) => `${what} at ${timeOf(atMs, zone)}`);
  return {
    sentence: `${moves.length === 0 ? unauditedWords(moved) : movesWords(moves)} ${lossWords(day)}`,
    events: day.events.map(eventNumbers),
  };
}

interface StoryFacts {
  readonly span: DaySpan;
  readonly zone: string;
  /** Percent of read-cutover in effect: in the report of the day before, and now. */
  readonly moved: { readonly before: number | undefined; readonly now: number };
}

/** If a server keeps the flags, the audit does not hold their changes. Only the shares in effect show them. */
function unauditedWords({ before = 0, now }: StoryFacts['moved']): string {
  if (before === now) return 'No reads were moved.';
  return `Reads moved from ${before} % to ${now} % since the last report.`;
}

/** Further moves are only in the table of events. */
const MOVES_TOLD = 6;

interface Move {
  readonly atMs: number;
  readonly what: string;
}

function movesWords(moves: readonly string[]): string {
  const [first = '', ...others] = moves;
  const last = others.pop();
  const between = others.map((move) => `, ${move}`).join('');
  return `Reads were ${first}${between}${last === undefined ? '' : `, and ${last}`}.`;
}

/** A change of read-cutover, or the release of a latch. */
function moveOf({ atMs, person, command, details }: DayEvent): Move[] {
  const { flag, from, to } = details;
  if (command === 'flags set' && String(flag).endsWith('.read-cutover'))
    return [
      { atMs, what: `${Number(to) > Number(from) ? 'raised' : 'lowered'} to ${Number(to)} % by ${person}` },
    ];
  return command === 'guard release' ? [{ atMs, what: `released by ${person}` }] : [];
}

function tripMoves({ trigger, trippedAtMs }: ServiceDay['trips'][number], span: DaySpan): Move[] {
  const isToday = trippedAtMs >= span.fromMs && trippedAtMs < span.toMs;
  return isToday
    ? [{ atMs: trippedAtMs, what: `moved back by the guard (${trigger.replaceAll('_', ' ')})` }]
    : [];
}

/** Whether agents lost data. Open items wait for a person. */
function lossWords({ lost, unknown }: ServiceDay): string {
  const open = [
    ...(lost.open > 0
      ? [
          counted(
            lost.open,
            'item that legacy lost waits for a decision',
            'items that legacy lost wait for a decision',
          ),
        ]
      : []),
    ...(unknown.open > 0
      ? [counted(unknown.open, 'write has an unknown result', 'writes have an unknown result')]
      : []),
  ];
  return open.length === 0 ? 'No agent lost data.' : `${open.join('; ')}.`;
}

function eventNumbers({ atMs, person, command, reason, details }: DayEvent): EventNumbers {
  const { flag, from, to } = details;
  const change = typeof flag === 'string' ? ` ${flag}: ${String(from)} % → ${String(to)} %` : '';
  return { at: new Date(atMs).toISOString(), person, what: `${command}${change}`, reason };
}
