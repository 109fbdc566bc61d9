import type { Status } from '../api/status.ts';
import { flagsInUse, notMovedWords } from '../words.ts';
import { type Block, code, instant, note, remark } from './document.ts';
import { counted, printedFigure, spoken } from './figures.ts';
import { releaseCommand } from './guard.ts';

type ServiceStatus = Status['services'][number];

/** Something that an operator must know first. */
export interface Incident {
  readonly tone: 'bad' | 'warn';
  /** What happened. */
  readonly what: string;
  /** ISO-8601. Absent if unknown. */
  readonly since?: string | undefined;
  /** Whether agents are served, and by which backend. */
  readonly agents: string;
  /** What to do: pages of the desk, with the commands that do the same. */
  readonly next: readonly { readonly to: string; readonly label: string; readonly command?: string }[];
}

/** What happened, whether agents are served, and the commands for it. */
export function incidentBlocks({ tone, what, since, agents, next }: Incident): readonly Block[] {
  const began = since === undefined ? [] : [' Since ', instant(since), '.'];
  return [
    note(tone, `${what}.`, ...began),
    remark(agents),
    ...next.flatMap(({ label, command }) =>
      command === undefined ? [] : [remark(`${label}: `, code(command))],
    ),
  ];
}

/** Legacy lacks nothing of the lanes that it answers for. */
function servedByLegacy(flipped: number): string {
  const stays = notMovedWords(flipped);
  if (stays === undefined)
    return 'Agents are safe: legacy answers every read and has every acknowledged write.';
  return `Agents are safe: legacy answers the reads of the other lanes and has every acknowledged write of them. ${stays}.`;
}

/** @param killedSince when the kill switch was switched on; undefined where the audit does not say */
export function incidentsOf(
  status: Status | undefined,
  killedSince: string | undefined,
): readonly Incident[] {
  if (status === undefined) return [JOURNAL_AWAY];
  return [
    ...(status.proxy.flags.kill_switch ? [killed(killedSince, flippedOf(status))] : []),
    ...status.services.flatMap((service) => ofService(service, status)),
    ...journalOf(status),
    ...flagsOf(status),
  ];
}

const JOURNAL_AWAY: Incident = {
  tone: 'bad',
  what: 'The journal does not answer',
  agents: 'Legacy answers the reads. The setting journal.whenAway decides whether writes are accepted.',
  next: [],
};

/** Lanes of all services that the kill switch does not move. */
export function flippedOf(status: Pick<Status, 'services'> | undefined): number {
  return (status?.services ?? []).reduce((sum, { lanes }) => sum + (lanes?.flipped ?? 0), 0);
}

function killed(since: string | undefined, flipped: number): Incident {
  return {
    tone: 'bad',
    what: 'The kill switch is on',
    since,
    agents: servedByLegacy(flipped),
    next: [
      { to: '/audit', label: 'See why', command: 'crossfade audit' },
      {
        to: '/flags/crossfade.kill-switch?share=0',
        label: 'Switch it off',
        command: 'crossfade flags set crossfade.kill-switch off --person NAME --reason TEXT',
      },
    ],
  };
}

function ofService(service: ServiceStatus, status: Status): Incident[] {
  const isDown = status.readiness[service.service]?.ok === false;
  return [
    ...(isDown ? [legacyDown(service)] : []),
    ...heldReads(service, isDown),
    ...restoredLanes(service),
    ...stoppedLanes(service, isDown),
    ...differingLanes(service, isDown),
    ...differingLegacy(service),
  ];
}

function restoredLanes({ service, restored_lanes: restored }: ServiceStatus): Incident[] {
  if (restored === null || restored === 0) return [];
  return [
    {
      tone: 'bad',
      what: `A restored database lacks something of ${counted(restored, 'lane')} of ${service}`,
      agents: 'Agents get retryable errors in these lanes. All other lanes are served.',
      next: [
        {
          to: `/restored?service=${service}`,
          label: 'See the lanes, and decide',
          command: `crossfade restored list --service ${service}`,
        },
      ],
    },
  ];
}

const LEGACY_DOWN = 'Legacy does not answer either.';

function stoppedLanes(service: ServiceStatus, isDown: boolean): Incident[] {
  const { service: name, lanes, lost_items: lost } = service;
  if (lanes === null || lanes.stopped === 0) return [];
  const stopped = `${counted(lanes.stopped, 'lane')} of ${name} ${lanes.stopped === 1 ? 'is' : 'are'} stopped`;
  const see = seeLanes(name, 'stopped');
  const told = lost === null || lost === 0 ? stoppedWhole(stopped) : stoppedByLoss(stopped, service);
  const agents = isDown ? LEGACY_DOWN : `${told.agents} Their writes are journaled and wait for delivery.`;
  return [{ ...told, tone: 'warn', agents, next: [see, ...told.next] }];
}

/** The command lists all lanes that need attention. */
function seeLanes(service: string, state: 'stopped' | 'differs'): Incident['next'][number] {
  return {
    to: `/lanes?service=${service}&state=${state}`,
    label: 'See the lanes',
    command: `crossfade lanes list ${service} --unwell`,
  };
}

type StoppedBy = Omit<Incident, 'tone'>;

const stoppedWhole = (what: string): StoppedBy => ({
  what,
  agents: 'Agents are safe: legacy answers the reads of these lanes.',
  next: [],
});

const stoppedByLoss = (what: string, service: ServiceStatus): StoppedBy => ({
  what: `${what}, and legacy lost ${counted(service.lost_items ?? 0, 'item')}`,
  since: service.open_since.lost,
  agents: 'Legacy answers the reads of these lanes, without the items that it lost.',
  next: [
    {
      to: `/lost?service=${service.service}`,
      label: 'Restore or accept the items',
      command: 'crossfade lost list',
    },
  ],
});

function differingLanes({ service, lanes, open_since: since }: ServiceStatus, isDown: boolean): Incident[] {
  if (lanes === null || lanes.differs === 0) return [];
  return [
    {
      tone: 'warn',
      what: `${counted(lanes.differs, 'lane')} of ${service} ${lanes.differs === 1 ? 'differs' : 'differ'} between the backends`,
      since: since.differs,
      agents: isDown
        ? LEGACY_DOWN
        : 'Agents are safe: legacy answers the reads of these lanes. A lane that lacks only lost items may still read from the orchestrator, which has these items.',
      next: [
        seeLanes(service, 'differs'),
        { to: '/runs', label: 'Repair or accept', command: 'crossfade runs list' },
      ],
    },
  ];
}

/** The orchestrator is primary for these lanes, so only the way back is in danger. */
function differingLegacy({ service, lanes }: ServiceStatus): Incident[] {
  if (lanes === null || lanes.legacy_differs === 0) return [];
  return [
    {
      tone: 'warn',
      what: `Legacy differs in ${counted(lanes.legacy_differs, 'flipped lane')} of ${service}`,
      agents:
        'Agents are safe: the orchestrator is primary for these lanes and answers them. No further lane is flipped until each difference is gone or accepted.',
      next: [seeLanes(service, 'differs')],
    },
  ];
}

const guardCommand = (service: string): string => `crossfade guard status --service ${service}`;

function legacyDown({ service }: ServiceStatus): Incident {
  return {
    tone: 'bad',
    what: `Legacy ${service} does not answer`,
    agents: 'Agents of this service get errors. Every write acknowledged before is stored.',
    next: [{ to: `/services/${service}`, label: 'See the service' }],
  };
}

function heldReads({ service, guard, lanes }: ServiceStatus, isDown: boolean): Incident[] {
  const { held_by: heldBy = null, latch } = guard ?? {};
  if (heldBy === null) return [];
  const agents = isDown ? LEGACY_DOWN : servedByLegacy(lanes?.flipped ?? 0);
  if (latch === undefined)
    return [
      {
        tone: 'bad',
        what: `The reads of ${service} are held on legacy: ${spoken(heldBy)}`,
        agents,
        next: [{ to: '/guard', label: 'See why', command: guardCommand(service) }],
      },
    ];
  return [
    {
      tone: 'bad',
      what: `The guard stopped orchestrator reads of ${service}: ${causeOf(latch.finding)}`,
      since: latch.tripped_at,
      agents,
      next: [
        { to: `/guard/bundles/${latch.id}`, label: 'See why', command: guardCommand(service) },
        { to: `/guard?release=${service}#g-${service}`, label: 'Release', command: releaseCommand(service) },
      ],
    },
  ];
}

type Numbers = NonNullable<NonNullable<ServiceStatus['guard']>['latch']>['finding']['numbers'];

/** Rates show what the guard counted. Other triggers show their name. */
export function causeOf({
  trigger,
  numbers,
  detail,
}: {
  readonly trigger: string;
  readonly numbers: Numbers;
  readonly detail?: string;
}): string {
  const { hits, of } = numbers;
  if (trigger === 'external') return `a signal from outside${detail === undefined ? '' : ` (${detail})`}`;
  if (hits === undefined || of === undefined) return spoken(trigger);
  const [count, total] = [hits, of].map((value) => printedFigure({ value, unit: 'count' }));
  const share = printedFigure({ value: (100 * hits) / of, unit: 'percentage' });
  return `${spoken(trigger)}, ${count} of ${total} ${trigger === 'errors' ? 'failed' : 'differ'} (${share})`;
}

function journalOf({ spill, proxy }: Status): Incident[] {
  if (spill?.spilling !== true) return [];
  return [
    {
      tone: 'warn',
      what: `The journal (${spoken(proxy.journal)}) does not answer`,
      since: spill.oldest_at ?? undefined,
      agents: `Legacy serves agents. ${counted(spill.writes, 'write waits', 'writes wait')} on disk and will be replayed when the journal answers.`,
      next: [{ to: '/', label: 'See the desk' }],
    },
  ];
}

function flagsOf({ proxy: { flags } }: Status): Incident[] {
  if (flags.fresh) return [];
  return [
    {
      tone: 'warn',
      what: `The flags cannot be read${flags.last_error === undefined ? '' : `: ${flags.last_error}`}`,
      agents: `Agents are safe. ${flagsInUse(flags)}`,
      next: [{ to: '/flags', label: 'See the flags', command: 'crossfade flags list' }],
    },
  ];
}

/** The guard's alerts of a service, in two words. */
export function alertOf(findings: readonly unknown[] = []): string | undefined {
  return findings.length === 0 ? undefined : 'Guard alert';
}

/**
 * What is wrong with a service although its reads are not held, the gravest first. Undefined if nothing is.
 * @param differing comparisons of the last hour that differ
 */
export function troubleOf(service: ServiceStatus, differing = 0): string | undefined {
  const { lanes, lost_items: lost, restored_lanes: restored, dead_letters: letters, guard } = service;
  const { stopped, differs } = lanes ?? { stopped: 0, differs: 0 };
  const found: readonly (readonly [number | null, (number: number) => string])[] = [
    [restored, (number) => `${counted(number, 'lane')} of a restored database`],
    [lost, (number) => counted(number, 'lost item')],
    [stopped, (number) => counted(number, 'stopped lane')],
    [differs, (number) => `${counted(number, 'lane')} with differences`],
    [letters, (number) => counted(number, 'dead letter')],
    [differing, () => 'Answers differ'],
  ];
  for (const [number, words] of found) if (number !== null && number > 0) return words(number);
  return alertOf(guard?.findings);
}
