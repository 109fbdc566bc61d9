import type { DeadLetter, UnknownOutcome } from '../api/ledgers.ts';
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

function writeOf({ action, lane, sequence }: DeadLetter | UnknownOutcome): Cell {
  return [code(action), ' of ', laneLink(lane), aside('write ', count(sequence))];
}

function decision(by: string | null, why: string | null): string {
  return by === null ? '' : `${by}: ${why ?? ''}`;
}
