import type { DeadLetter, PrintedHalt, UnknownOutcome } from '../api/ledgers.ts';
import {
  aside,
  type Cell,
  code,
  column,
  count,
  counts,
  laneLink,
  mark,
  type Table,
  tableOf,
  times,
  words,
} from './document.ts';
import { spoken } from './figures.ts';

/** Writes that the orchestrator refused for good. */
export function deadLettersTable(letters: readonly DeadLetter[]): Table {
  return tableOf(
    letters,
    [
      column('write', writeOf),
      column('state', ({ state }) => mark(spoken(state), state === 'open' ? 'bad' : 'plain')),
      words('reason', ({ code: kind, reason }) => `${spoken(kind)}: ${reason}`),
      times('refused', ({ refused_at: at }) => at),
      counts('attempts', ({ attempts }) => attempts),
      counts('later writes waiting', ({ waiting_behind: waiting }) => waiting),
      column('operation', ({ operation_id: id }) => code(id)),
      words('decision', ({ resolved_by: by, resolved_reason: why }) => decision(by, why)),
    ],
    {
      empty: 'No dead letters',
      advice: 'Every acknowledged write is applied on the orchestrator or is being delivered.',
    },
  );
}

const WAITS: Readonly<Record<NonNullable<UnknownOutcome['waits_for']>, string>> = {
  copy: 'waits for a copy of its lane',
  late_reply: 'a late reply may still come within a minute',
  person: 'a person must decide',
};

/** Writes with an unknown outcome, and how each was resolved. */
export function unknownOutcomesTable(outcomes: readonly UnknownOutcome[]): Table {
  return tableOf(
    outcomes,
    [
      column('write', writeOf),
      column('state', ({ end, waits_for: waits }) =>
        end === null ? mark(waits === null ? 'open' : WAITS[waits], 'warn') : mark(spoken(end), 'good'),
      ),
      times('found', ({ found_at: at }) => at),
      times('closed', ({ closed_at: at }) => at),
      column('operation', ({ operation_id: id }) => code(id)),
      words('decision', ({ decided_by: by, decided_reason: why }) => decision(by, why)),
    ],
    { empty: 'No unknown outcomes', advice: 'No write waits for a result.' },
  );
}

const HALTS: Readonly<Record<PrintedHalt['reason'], string>> = {
  undecided: 'its outcome is unknown, and the items on legacy do not tell it',
  unreadable: 'its outcome is unknown, and the service cannot be read',
  unanswered: 'several attempts had no answer and no effect',
  refused: 'legacy refuses it',
  owner_gone: 'legacy does not have the owner any more, for an unknown reason',
  effect_too_late: 'its side effect would come too late',
  effect_elsewhere: 'the orchestrator has caused its side effect already',
  unnamed: 'it is not certain which items it names',
  impossible: 'the definition cannot send it to legacy',
};

/** Writes that could not be sent to legacy without a decision. */
export function haltedSendsTable(halted: readonly PrintedHalt[]): Table {
  return tableOf(
    halted,
    [
      column('write', writeOf),
      column('state', ({ state }) => mark(spoken(state), state === 'open' ? 'bad' : 'plain')),
      words('reason', ({ reason }) => HALTS[reason]),
      times('halted', ({ halted_at: at }) => at),
      counts('attempts', ({ attempts }) => attempts),
      counts('later writes waiting', ({ waiting_behind: waiting }) => waiting),
      column('operation', ({ operation_id: id }) => code(id)),
      words('decision', ({ decided_by: by, decided_reason: why }) => decision(by, why)),
    ],
    {
      empty: 'No halted writes',
      advice: 'Every write of a flipped lane is on legacy, or is being sent there.',
    },
  );
}

function writeOf({ action, lane, sequence }: DeadLetter | UnknownOutcome | PrintedHalt): Cell {
  return [code(action), ' of ', laneLink(lane), aside('write ', count(sequence))];
}

function decision(by: string | null, why: string | null): string {
  return by === null ? '' : `${by}: ${why ?? ''}`;
}

/** The result of each decision about a write, by its endpoint. */
const DECIDED = {
  redriveDeadLetter: 'is sent again',
  skipDeadLetter: 'is skipped for good',
  copyLaneOfDeadLetter: 'is resolved by a copy of its lane, which has begun',
  retryReverse: 'is sent to legacy again',
  skipReverse: 'is skipped for good: legacy never gets it',
  assumeReverse: 'counts as applied on legacy',
} as const;

export type WriteDecision = keyof typeof DECIDED;

/** @param write its id, or `The write` */
export const decidedWords = (decision: WriteDecision, write: string): string =>
  `${write} ${DECIDED[decision]}.`;

/** After a person has decided about an unknown outcome. */
export const assumedWords = (outcome: string, write: string): string => `${write} counts as ${outcome}.`;
