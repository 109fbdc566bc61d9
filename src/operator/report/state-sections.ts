import { SERVICE_FLAGS } from '../../domain/flags.ts';
import { flagReason } from '../views/flags.ts';
import { momentOf } from './calendar-day.ts';
import {
  type Block,
  type Cell,
  change,
  code,
  column,
  count,
  counts,
  fact,
  facts,
  linked,
  mark,
  numbers,
  percentage,
  rate,
  remark,
  seconds,
  section,
  type Section,
  type Table,
  tableOf,
} from '../views/document.ts';
import { spoken } from '../views/figures.ts';
import type { Shown } from './progress-sections.ts';
import type { RunNumbers, ServiceReport } from './report.ts';

export function flagsSection({ flags, phase, asked, interlocks }: ServiceReport): Section {
  return section(
    'Stage and percentages',
    facts(
      fact('active stage', spoken(phase)),
      fact('requested stage', spoken(asked)),
      fact('interlocks', interlocks),
    ),
    tableOf(
      SERVICE_FLAGS,
      [
        column('flag', (flag) => code(flag)),
        numbers('requested', (flag) => percentage(flags[flag].asked)),
        numbers('active', (flag) => percentage(flags[flag].in_effect)),
        column('reason', (flag) => {
          const { held_by: held, ...status } = flags[flag];
          return flagReason({ ...status, interlocks: held.map((word) => ({ word })) });
        }),
      ],
      { empty: '' },
    ),
  );
}

const dotted = (...values: readonly number[]): Cell =>
  values.flatMap((value, index) => (index === 0 ? [count(value)] : [' · ', count(value)]));

export function stateSection({ state }: ServiceReport): Section {
  const { lanes, backlog, dead_letters: letters, unknown_outcomes: unknown } = state;
  return section(
    'Lanes, backlog and dead letters',
    facts(
      fact('lanes, of these seeded', ...dotted(lanes.total, lanes.seeded)),
      fact('dirty lanes', count(lanes.dirty), ' (', change(state.dirty_change), ')'),
      fact('copying, stopped, excepted', ...dotted(lanes.copying, lanes.stopped, lanes.excepted)),
      fact('lanes that differ', count(lanes.differs)),
      fact('undelivered writes', count(backlog.writes)),
      fact('age of the oldest', seconds(backlog.oldest_seconds)),
      fact(
        'dead letters open, in lanes',
        count(letters.open),
        ' (',
        change(letters.open_change),
        ') · ',
        count(letters.lanes),
      ),
      fact(
        'new, redriven, skipped, copied',
        ...dotted(letters.new, letters.redriven, letters.skipped, letters.copied),
      ),
      fact('unknown outcomes open, new, closed', ...dotted(unknown.open, unknown.new, unknown.closed)),
    ),
    tableOf(
      state.unwell,
      [
        column('lanes that are not clean', ({ condition }) => condition),
        column('why', ({ reason }) => spoken(reason)),
        counts('lanes', (one) => one.lanes),
      ],
      { empty: 'Every lane is clean.' },
    ),
  );
}

export function reconciliationSection({ service, reconciliation }: ServiceReport, shown: Shown): Section {
  const { last_full: last, runs, unequal_lanes: unequal, lost_items: lost, repairs } = reconciliation;
  return section(
    'Reconciliation and repairs',
    facts(
      fact(
        'last full reconciliation',
        ...(last === null ? ['never'] : [seconds(last.age_seconds), ' before this report']),
      ),
      ...(last === null ? [] : [fact('its result', ...foundCell(last))]),
      fact('lanes that differ', count(unequal.open), ' open, ', count(unequal.found), ' found on this day'),
      fact(
        'of these resolved on this day',
        count(unequal.repaired),
        ' repaired, ',
        count(unequal.equal_again),
        ' equal again',
      ),
      fact(
        'items that legacy lost',
        count(lost.open),
        ' open, ',
        count(lost.found),
        ' found, ',
        count(lost.decided),
        ' decided',
      ),
      fact('lanes changed by repairs', count(repairs.lanes), ' repaired, ', count(repairs.undone), ' undone'),
    ),
    ...differingBlocks(service, reconciliation, shown),
    runTable(runs, shown),
  );
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
  const table = tableOf(
    differing,
    [
      column('lane that differs', ({ owner }) =>
        linked(
          desk,
          `/lanes/${encodeURIComponent(service)}/${encodeURIComponent(owner)}`,
          `${service}/${owner}`,
        ),
      ),
      column('found by run', ({ run }) => linked(desk, `/runs/${run}`, run)),
      column('state', ({ state }) => spoken(state)),
    ],
    { empty: '' },
  );
  const review = runs.flatMap((run) => [' ', code(`crossfade repair plan ${run}`)]);
  return [
    table,
    remark(
      ...(more > 0 ? [`And ${more} more. `] : []),
      'Review the repair with',
      ...review,
      ', then run ',
      code('crossfade repair apply RUN --person NAME --reason TEXT'),
      '. Lost items are decided with ',
      code('crossfade lost list'),
      '.',
    ),
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
  return tableOf(
    runs,
    [
      column('finished run', ({ run, kind, scope }) =>
        linked(desk, `/runs/${run}`, `${run} ${kind}${kind === 'reconcile' ? `, ${scope}` : ''}`),
      ),
      column('when', ({ finished_at: at }) => momentOf(at, zone)),
      counts('lanes', ({ lanes }) => lanes),
      counts('items', ({ items }) => items),
      counts('differ or left', ({ different }) => different),
      counts('not comparable', ({ not_comparable: left }) => left),
    ],
    { empty: 'No run finished on this day.' },
  );
}

export function guardSection({ guard }: ServiceReport, { zone, desk }: Shown): Section {
  const held = guard.held_by === null ? mark('nothing', 'good') : mark(spoken(guard.held_by), 'bad');
  return section(
    'Guard',
    facts(
      fact('what keeps reads on legacy', held),
      fact('latch', guard.latched ? mark('set', 'bad') : mark('not set', 'good')),
    ),
    tableOf(
      guard.trips,
      [
        column('trip', ({ latch }) => linked(desk, `/guard/bundles/${latch}`, latch)),
        column(
          'trigger',
          ({ trigger, action }) => `${spoken(trigger)}${action === null ? '' : `, ${action}`}`,
        ),
        column('tripped', ({ at }) => `${momentOf(at, zone)} (${zone})`),
        column('released', ({ released_at: at }) =>
          at === null ? mark('not yet', 'bad') : `${momentOf(at, zone)} (${zone})`,
        ),
      ],
      { empty: 'The guard did not trip.' },
    ),
    tableOf(
      guard.changes,
      [
        column('changes by people and by the guard', ({ command }) => code(command)),
        counts('times', (one) => one.count),
      ],
      { empty: 'No changes.' },
    ),
  );
}

export function readinessSection({ coverage, rollback }: ServiceReport, zone: string): Section {
  const { compared_reads: compared } = coverage;
  return section(
    'Coverage and rollback',
    facts(
      {
        label: 'writes are journaled',
        cell:
          coverage.since === null
            ? [mark('no', 'warn'), ' coverage ', count(coverage.number)]
            : ['coverage ', count(coverage.number), ` since ${momentOf(coverage.since, zone)}`],
      },
      fact('coverage ended, times', count(coverage.ended)),
      fact('replicas that use it', count(coverage.replicas_acting), ' of ', count(coverage.replicas)),
      fact('lanes the orchestrator holds', rate(coverage.seeded_share)),
      fact(
        'comparisons for reads',
        count(compared.hits),
        ' for ',
        count(compared.of),
        ', ',
        rate(compared.rate),
      ),
      fact(
        'actions never compared',
        coverage.never_compared.length === 0 ? 'none of ' : `${coverage.never_compared.join(', ')} of `,
        count(coverage.actions),
      ),
      fact('rollback to legacy', rollback.ready ? mark('✓ ready', 'good') : mark('✗ not ready', 'bad')),
      fact('lanes with writes on the orchestrator', count(rollback.lanes_on_orchestrator)),
      fact('acknowledged writes that a return would lose', count(rollback.would_be_lost)),
      fact('time that a return would take', seconds(rollback.seconds)),
      fact(
        'way back last proven',
        rollback.proven_at === null ? 'never' : momentOf(rollback.proven_at, zone),
      ),
      fact('items that legacy lost', count(rollback.lost_items)),
      fact('writes of unknown outcome', count(rollback.unknown_outcomes)),
      fact('legacy answers', rollback.legacy_answers ? 'yes' : mark('no', 'bad')),
    ),
  );
}
