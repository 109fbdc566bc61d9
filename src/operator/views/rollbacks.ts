import type { Rollback, RollbackPlan } from '../api/rollbacks.ts';
import {
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
import { counted, spoken } from './figures.ts';

/** The plan in sentences, the losses first. */
export function planSentences(plan: RollbackPlan): readonly string[] {
  const { service, lanes, seconds, would_be_lost: lost, forgotten_by_retention: forgotten } = plan;
  const shift = plan.largest_shift_seconds;
  return [
    `${counted(lanes, 'lane')} of ${service} would return to legacy, in about ${counted(seconds, 'second')}.`,
    lost === 0
      ? 'Would be lost: nothing. Legacy has every acknowledged write, or gets it before the return.'
      : `WOULD BE LOST: ${counted(lost, 'acknowledged write')}, which legacy would lack.`,
    `Forgotten by retention: ${counted(forgotten, 'write')}${forgotten > 0 && plan.forgetting_accepted ? ', accepted before' : ''}.`,
    `${counted(plan.waiting_writes, 'write waits', 'writes wait')} for legacy and ${plan.waiting_writes === 1 ? 'is' : 'are'} sent before the return.`,
    ...(plan.open_writes > 0
      ? [
          `${counted(plan.open_writes, 'write is', 'writes are')} open on the orchestrator: not applied if it stays away.`,
        ]
      : []),
    plan.own_items === null
      ? 'The orchestrator does not answer: what agents wrote to it themselves is unknown.'
      : `Written to the orchestrator by agents themselves, never on legacy: ${counted(plan.own_items, 'item')}.`,
    ...(shift === null ? [] : [`Legacy stamps writes up to ${shift} s later than their agents sent them.`]),
  ];
}

/** How far a rollback is. */
export function progressWords({
  rollback,
  service,
  lanes,
  returned,
}: Pick<Rollback, 'rollback' | 'service' | 'lanes' | 'returned'>): string {
  return `Rollback ${rollback} of ${service}: ${returned} of ${counted(lanes, 'lane')} ${returned === 1 ? 'has' : 'have'} returned to legacy.`;
}

/** What stays after a rollback. */
export const flipsHeldWords = (service: string): string =>
  `Further flips are held until a person lifts that: crossfade flips lift ${service}`;

/** The first acknowledged writes that legacy would lack. */
export function lostWritesTable({ lost }: RollbackPlan): Table {
  return tableOf(
    lost,
    [
      column('lane', ({ lane }) => laneLink(lane)),
      counts('write', ({ sequence }) => sequence),
      column('action', ({ action }) => code(action)),
      words('cause', ({ cause }) => spoken(cause)),
      column('operation', ({ operation_id: id }) => code(id)),
    ],
    { empty: 'No lost writes', advice: 'Legacy would have every acknowledged write.' },
  );
}

/** Returns of lanes to legacy. */
export function rollbacksTable(rollbacks: readonly Rollback[]): Table {
  return tableOf(
    rollbacks,
    [
      column('rollback', ({ rollback }) => count(rollback)),
      words('service', ({ service }) => service),
      column('state', ({ state, lanes, returned }) =>
        mark(
          state === 'ended' && returned < lanes ? 'stopped' : state,
          state === 'running' ? 'warn' : 'good',
        ),
      ),
      words('lanes', ({ lanes, returned }) => `${returned} of ${lanes} returned`),
      times('began', ({ began_at: at }) => at),
      words('by', ({ person, reason }) => `${person}: ${reason}`),
    ],
    { empty: 'No rollbacks', advice: 'No lane was returned to legacy.' },
  );
}

/** Lanes that could not return yet. */
export function stuckLanesTable({ waiting }: Rollback): Table {
  return tableOf(
    waiting,
    [
      column('lane', ({ lane }) => laneLink(lane)),
      words('why', ({ reason }) => spoken(reason)),
      counts('attempts', ({ attempts }) => attempts),
    ],
    { empty: 'No lane waits', advice: 'Every lane has returned.' },
  );
}
