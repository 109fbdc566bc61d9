import { SERVICE_FLAGS } from '../../domain/flags.ts';
import { momentOf } from './calendar-day.ts';
import {
  change,
  code,
  count,
  linked,
  mark,
  rate,
  seconds,
  type Block,
  type Cell,
  type Figure,
  type Section,
  type Table,
} from '../views/document.ts';
import { spoken } from '../views/figures.ts';
import type { Shown } from './progress-sections.ts';
import type { RunNumbers, ServiceReport } from './report.ts';

const percentage = (value: number): Figure => ({ value, unit: 'percentage' });

export function flagsSection({ flags, phase, asked, interlocks }: ServiceReport): Section {
  return {
    title: 'Stage and percentages',
    blocks: [
      {
        kind: 'facts',
        facts: [
          { label: 'active stage', cell: [spoken(phase)] },
          { label: 'requested stage', cell: [spoken(asked)] },
          { label: 'interlocks', cell: [interlocks] },
        ],
      },
      {
        kind: 'table',
        columns: [
          { head: 'flag' },
          { head: 'requested', isNumber: true },
          { head: 'active', isNumber: true },
          { head: 'reason' },
        ],
        rows: SERVICE_FLAGS.map((flag) => {
          const { asked: wanted, in_effect: inEffect, reason, held_by: held } = flags[flag];
          const between = held.length === 0 ? spoken(reason) : held.map(spoken).join(', ');
          return [[code(flag)], [percentage(wanted)], [percentage(inEffect)], [between]];
        }),
        empty: '',
      },
    ],
  };
}

export function stateSection({ state }: ServiceReport): Section {
  const { lanes, backlog, dead_letters: letters, unknown_outcomes: unknown } = state;
  return {
    title: 'Lanes, backlog and dead letters',
    blocks: [
      {
        kind: 'facts',
        facts: [
          { label: 'lanes, of these seeded', cell: [count(lanes.total), ' · ', count(lanes.seeded)] },
          { label: 'dirty lanes', cell: [count(lanes.dirty), ' (', change(state.dirty_change), ')'] },
          {
            label: 'copying, stopped, excepted',
            cell: [count(lanes.copying), ' · ', count(lanes.stopped), ' · ', count(lanes.excepted)],
          },
          { label: 'lanes that differ', cell: [count(lanes.differs)] },
          { label: 'undelivered writes', cell: [count(backlog.writes)] },
          { label: 'age of the oldest', cell: [seconds(backlog.oldest_seconds)] },
          {
            label: 'dead letters open, in lanes',
            cell: [count(letters.open), ' (', change(letters.open_change), ') · ', count(letters.lanes)],
          },
          {
            label: 'new, redriven, skipped, copied',
            cell: [
              count(letters.new),
              ' · ',
              count(letters.redriven),
              ' · ',
              count(letters.skipped),
              ' · ',
              count(letters.copied),
            ],
          },
          {
            label: 'unknown outcomes open, new, closed',
            cell: [count(unknown.open), ' · ', count(unknown.new), ' · ', count(unknown.closed)],
          },
        ],
      },
      {
        kind: 'table',
        columns: [{ head: 'lanes that are not clean' }, { head: 'why' }, { head: 'lanes', isNumber: true }],
        rows: state.unwell.map((one) => [[one.condition], [spoken(one.reason)], [count(one.lanes)]]),
        empty: 'Every lane is clean.',
      },
    ],
  };
}

export function reconciliationSection({ service, reconciliation }: ServiceReport, shown: Shown): Section {
  const { last_full: last, runs, unequal_lanes: unequal, lost_items: lost, repairs } = reconciliation;
  return {
    title: 'Reconciliation and repairs',
    blocks: [
      {
        kind: 'facts',
        facts: [
          {
            label: 'last full reconciliation',
            cell: last === null ? ['never'] : [seconds(last.age_seconds), ' before this report'],
          },
          ...(last === null ? [] : [{ label: 'its result', cell: foundCell(last) }]),
          {
            label: 'lanes that differ',
            cell: [count(unequal.open), ' open, ', count(unequal.found), ' found on this day'],
          },
          {
            label: 'of these resolved on this day',
            cell: [count(unequal.repaired), ' repaired, ', count(unequal.equal_again), ' equal again'],
          },
          {
            label: 'items that legacy lost',
            cell: [
              count(lost.open),
              ' open, ',
              count(lost.found),
              ' found, ',
              count(lost.decided),
              ' decided',
            ],
          },
          {
            label: 'lanes changed by repairs',
            cell: [count(repairs.lanes), ' repaired, ', count(repairs.undone), ' undone'],
          },
        ],
      },
      ...differingBlocks(service, reconciliation, shown),
      runTable(runs, shown),
    ],
  };
}

/** Lanes that are not repaired, by name, and the command that repairs them. */
function differingBlocks(
  service: string,
  { differing, unequal_lanes: unequal }: ServiceReport['reconciliation'],
  { desk }: Shown,
): Block[] {
  if (differing.length === 0) return [];
  const runs = [...new Set(differing.map(({ run }) => run))];
  const more = unequal.open - differing.length;
  const table: Table = {
    kind: 'table',
    columns: [{ head: 'lane that differs' }, { head: 'found by run' }, { head: 'state' }],
    rows: differing.map(({ owner, run, state }) => [
      [
        linked(
          desk,
          `/lanes/${encodeURIComponent(service)}/${encodeURIComponent(owner)}`,
          `${service}/${owner}`,
        ),
      ],
      [linked(desk, `/runs/${run}`, run)],
      [spoken(state)],
    ]),
    empty: '',
  };
  const review = runs.flatMap((run) => [' ', code(`crossfade repair plan ${run}`)]);
  return [
    table,
    {
      kind: 'remark',
      cell: [
        ...(more > 0 ? [`And ${more} more. `] : []),
        'Review the repair with',
        ...review,
        ', then run ',
        code('crossfade repair apply RUN --person NAME --reason TEXT'),
        '. Lost items are decided with ',
        code('crossfade lost list'),
        '.',
      ],
    },
  ];
}

function foundCell({ lanes, items, different, not_comparable: notComparable }: RunNumbers): Cell {
  return [
    count(different),
    ' of ',
    count(lanes),
    ' lanes differ, ',
    count(notComparable),
    ' not comparable, ',
    count(items),
    ' items',
  ];
}

function runTable(runs: readonly RunNumbers[], { zone, desk }: Shown): Table {
  return {
    kind: 'table',
    columns: [
      { head: 'finished run' },
      { head: 'when' },
      { head: 'lanes', isNumber: true },
      { head: 'items', isNumber: true },
      { head: 'differ or left', isNumber: true },
      { head: 'not comparable', isNumber: true },
    ],
    rows: runs.map((one) => [
      [
        linked(
          desk,
          `/runs/${one.run}`,
          `${one.run} ${one.kind}${one.kind === 'reconcile' ? `, ${one.scope}` : ''}`,
        ),
      ],
      [momentOf(one.finished_at, zone)],
      [count(one.lanes)],
      [count(one.items)],
      [count(one.different)],
      [count(one.not_comparable)],
    ]),
    empty: 'No run finished on this day.',
  };
}

export function guardSection({ guard }: ServiceReport, { zone, desk }: Shown): Section {
  const held = guard.held_by === null ? mark('nothing', 'good') : mark(spoken(guard.held_by), 'bad');
  return {
    title: 'Guard',
    blocks: [
      {
        kind: 'facts',
        facts: [
          { label: 'what keeps reads on legacy', cell: [held] },
          { label: 'latch', cell: [guard.latched ? mark('set', 'bad') : mark('not set', 'good')] },
        ],
      },
      {
        kind: 'table',
        columns: [{ head: 'trip' }, { head: 'trigger' }, { head: 'tripped' }, { head: 'released' }],
        rows: guard.trips.map((one) => [
          [linked(desk, `/guard/bundles/${one.latch}`, one.latch)],
          [`${spoken(one.trigger)}${one.action === null ? '' : `, ${one.action}`}`],
          [`${momentOf(one.at, zone)} (${zone})`],
          one.released_at === null
            ? [mark('not yet', 'bad')]
            : [`${momentOf(one.released_at, zone)} (${zone})`],
        ]),
        empty: 'The guard did not trip.',
      },
      {
        kind: 'table',
        columns: [{ head: 'changes by people and by the guard' }, { head: 'times', isNumber: true }],
        rows: guard.changes.map((one) => [[code(one.command)], [count(one.count)]]),
        empty: 'No changes.',
      },
    ],
  };
}

export function readinessSection({ coverage, rollback }: ServiceReport, zone: string): Section {
  const { compared_reads: compared } = coverage;
  return {
    title: 'Coverage and rollback',
    blocks: [
      {
        kind: 'facts',
        facts: [
          {
            label: 'writes are journaled',
            cell:
              coverage.since === null
                ? [mark('no', 'warn'), ' coverage ', count(coverage.number)]
                : ['coverage ', count(coverage.number), ` since ${momentOf(coverage.since, zone)}`],
          },
          { label: 'coverage ended, times', cell: [count(coverage.ended)] },
          {
            label: 'replicas that use it',
            cell: [count(coverage.replicas_acting), ' of ', count(coverage.replicas)],
          },
          { label: 'lanes the orchestrator holds', cell: [rate(coverage.seeded_share)] },
          {
            label: 'comparisons for reads',
            cell: [count(compared.hits), ' for ', count(compared.of), ', ', rate(compared.rate)],
          },
          {
            label: 'actions never compared',
            cell: [
              coverage.never_compared.length === 0 ? 'none of ' : `${coverage.never_compared.join(', ')} of `,
              count(coverage.actions),
            ],
          },
          {
            label: 'rollback to legacy',
            cell: [rollback.ready ? mark('✓ ready', 'good') : mark('✗ not ready', 'bad')],
          },
          {
            label: 'lanes whose writes have moved',
            cell: [count(rollback.lanes_on_orchestrator)],
          },
          { label: 'items that legacy lost', cell: [count(rollback.lost_items)] },
          { label: 'writes of unknown outcome', cell: [count(rollback.unknown_outcomes)] },
          { label: 'legacy answers', cell: [rollback.legacy_answers ? 'yes' : mark('no', 'bad')] },
        ],
      },
    ],
  };
}
