import type { Status } from '../api/status.ts';
import { flagsInUse, standingFindings, standingWords } from '../words.ts';
import { counted, spoken } from '../views/figures.ts';
import { when, html, type Html, type Shown } from '../views/html.ts';
import { count, percent } from './figures.ts';

type ServiceStatus = Status['services'][number];

/** Something that an operator must know on every page. */
interface Incident {
  readonly tone: 'bad' | 'warn';
  /** What happened. */
  readonly what: string;
  /** ISO-8601. Absent if unknown. */
  readonly since?: string | undefined;
  /** Whether agents are served, and by which backend. */
  readonly agents: string;
  /** What to do, as links. */
  readonly next: readonly { readonly to: string; readonly label: string }[];
}

const SERVED_BY_LEGACY = 'Agents are safe: legacy answers every read and has every acknowledged write.';

/** @param killedSince when the kill switch was switched on; undefined where the audit does not say */
export function incidentsOf(
  status: Status | undefined,
  killedSince: string | undefined,
): readonly Incident[] {
  if (status === undefined) return [JOURNAL_AWAY];
  return [
    ...(status.proxy.flags.kill_switch ? [killed(killedSince)] : []),
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

function killed(since: string | undefined): Incident {
  return {
    tone: 'bad',
    what: 'The kill switch is on',
    since,
    agents: SERVED_BY_LEGACY,
    next: [
      { to: '/audit', label: 'See why' },
      { to: '/flags/crossfade.kill-switch?share=0', label: 'Switch it off' },
    ],
  };
}

function ofService(service: ServiceStatus, status: Status): Incident[] {
  const isDown = status.readiness[service.service]?.ok === false;
  return [
    ...(isDown ? [legacyDown(service)] : []),
    ...heldReads(service, isDown),
    ...stoppedLanes(service, isDown),
    ...differingLanes(service, isDown),
  ];
}

const LEGACY_DOWN = 'Legacy does not answer either.';

function stoppedLanes(service: ServiceStatus, isDown: boolean): Incident[] {
  const { service: name, lanes, lost_items: lost } = service;
  if (lanes === null || lanes.stopped === 0) return [];
  const stopped = `${counted(lanes.stopped, 'lane')} of ${name} ${lanes.stopped === 1 ? 'is' : 'are'} stopped`;
  const see = { to: `/lanes?service=${name}&state=stopped`, label: 'See the lanes' };
  const told = lost === null || lost === 0 ? stoppedWhole(stopped) : stoppedByLoss(stopped, service);
  const agents = isDown ? LEGACY_DOWN : `${told.agents} Their writes are journaled and wait for delivery.`;
  return [{ ...told, tone: 'warn', agents, next: [see, ...told.next] }];
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
  next: [{ to: `/lost?service=${service.service}`, label: 'Restore or accept the items' }],
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
        { to: `/lanes?service=${service}&state=differs`, label: 'See the lanes' },
        { to: '/runs', label: 'Repair or accept' },
      ],
    },
  ];
}

function legacyDown({ service }: ServiceStatus): Incident {
  return {
    tone: 'bad',
    what: `Legacy ${service} does not answer`,
    agents: 'Agents of this service get errors. Every write acknowledged before is stored.',
    next: [{ to: `/services/${service}`, label: 'See the service' }],
  };
}

function heldReads({ service, guard }: ServiceStatus, isDown: boolean): Incident[] {
  const { held_by: heldBy = null, latch } = guard ?? {};
  if (heldBy === null) return [];
  const agents = isDown ? LEGACY_DOWN : SERVED_BY_LEGACY;
  if (latch === undefined)
    return [
      {
        tone: 'bad',
        what: `The reads of ${service} are held on legacy: ${spoken(heldBy)}`,
        agents,
        next: [{ to: '/guard', label: 'See why' }],
      },
    ];
  return [
    {
      tone: 'bad',
      what: `The guard stopped orchestrator reads of ${service}: ${causeOf(latch.finding)}`,
      since: latch.tripped_at,
      agents,
      next: [
        { to: `/guard/bundles/${latch.id}`, label: 'See why' },
        { to: `/guard?release=${service}#g-${service}`, label: 'Release' },
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
  return `${spoken(trigger)}, ${count(hits)} of ${count(of)} ${trigger === 'errors' ? 'failed' : 'differ'} (${percent((100 * hits) / of)})`;
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
      next: [{ to: '/flags', label: 'See the flags' }],
    },
  ];
}

/** First on every page. An operator who was woken at night reads this first. */
export function incidentBanner(incidents: readonly Incident[]): Html {
  return html`<div data-live="incidents" class="incidents">${incidents.map(oneIncident)}</div>`;
}

function oneIncident({ tone, what, since, agents, next }: Incident): Html {
  return html`<section class="incident ${tone}" role="${tone === 'bad' ? 'alert' : 'status'}">
    <p class="incident-what">
      <strong>${tone === 'bad' ? '▲' : '◆'} ${what}.</strong>
      ${since !== undefined && html`<span class="incident-since">Since ${when(since)}.</span>`}
    </p>
    <p>${agents}</p>
    ${next.length > 0 && html`<p class="incident-next">${next.map(link)}</p>`}
  </section>`;
}

function link({ to, label }: Incident['next'][number]): Shown {
  return html`<a class="button" href="${to}">${label}</a>`;
}

/** The trigger that would trip the guard again right after a release. Undefined if there is none. */
export function stillFound(guard: ServiceStatus['guard']): string | undefined {
  const standing = standingFindings(guard?.findings ?? []);
  return standing.length === 0 ? undefined : standingWords(standing);
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
  const { lanes, lost_items: lost, dead_letters: letters, guard } = service;
  const { stopped, differs } = lanes ?? { stopped: 0, differs: 0 };
  const found: readonly (readonly [number | null, (number: number) => string])[] = [
    [lost, (number) => counted(number, 'lost item')],
    [stopped, (number) => counted(number, 'stopped lane')],
    [differs, (number) => `${counted(number, 'lane')} with differences`],
    [letters, (number) => counted(number, 'dead letter')],
    [differing, () => 'Answers differ'],
  ];
  for (const [number, words] of found) if (number !== null && number > 0) return words(number);
  return alertOf(guard?.findings);
}
