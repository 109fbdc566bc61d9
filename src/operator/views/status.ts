import type { ServiceStatus, Status } from '../api/status.ts';
import { armBlocks } from './arms.ts';
import {
  aside,
  type Block,
  type Cell,
  code,
  count,
  fact,
  type Fact,
  facts,
  instant,
  mark,
  more,
  ms,
  note,
  type Piece,
  seconds,
  section,
  type Section,
} from './document.ts';
import { comparedSection, evidenceSection } from './evidence.ts';
import { counted, spoken } from './figures.ts';
import { activeFlagsTable, blockedActions, blockedFlags, stageReason } from './flags.ts';
import { foundBlocks, heldBlocks, heldMark } from './guard.ts';
import { incidentBlocks, incidentsOf } from './incidents.ts';

/** What an operator must know first, then each service: how far it is, what waits, what blocks it, and what is proven. */
export function statusSections(status: Status): readonly Section[] {
  const first = [
    ...incidentsOf(status, undefined).flatMap(incidentBlocks),
    ...readinessBlocks(status.readiness),
  ];
  return [
    ...(first.length === 0 ? [] : [section('Look at this first', ...first)]),
    ...status.services.map(serviceSection),
  ];
}

/** Parts that the services' own lines cover. */
const SHOWN_ELSEWHERE: ReadonlySet<string> = new Set(['journal', 'lanes', 'migration']);

function readinessBlocks(readiness: Status['readiness']): Block[] {
  return Object.entries(readiness).flatMap(([part, { ok, reason }]) => {
    if (!ok) return [note('bad', `${part} is not ready: ${reason ?? 'no reason given'}`)];
    if (reason === undefined || SHOWN_ELSEWHERE.has(part) || reason.startsWith('stale')) return [];
    return [note('warn', `${part}: ${reason}`)];
  });
}

function serviceSection(service: ServiceStatus): Section {
  const { ab } = service;
  const arms = Object.entries(ab)
    .map(([action, seen]) => ({ action, ...seen }))
    .filter(
      ({ orchestrator, legacy, paired }) => paired.pairs > 0 || (orchestrator.reads > 0 && legacy.reads > 0),
    );
  const [seen] = arms;
  const back = wayBackFacts(service);
  return section(
    service.service,
    ...heldNotes(service),
    facts(...standingFacts(service)),
    ...(back.length === 0
      ? []
      : [more('The way back, if every lane returned to legacy now', facts(...back))]),
    more('Flags', activeFlagsTable(service), ...blockedFlags(service)),
    more('Evidence by action', ...evidenceSection(service).blocks, ...blockedActions(service)),
    more('Compared by this process since its start', ...comparedSection(service).blocks),
    ...(seen === undefined
      ? []
      : [
          more(
            `Orchestrator and legacy compared, last ${counted(seen.window_minutes, 'minute')} of all replicas`,
            ...armBlocks(arms),
          ),
        ]),
  );
}

/** What the guard holds and finds. What it leaves alone is not named. */
function heldNotes({ guard }: ServiceStatus): Block[] {
  if (guard === undefined) return [];
  const { mark: held, tone } = heldMark(guard.held_by);
  return [
    ...(guard.held_by === null ? [] : [note(tone, held)]),
    ...heldBlocks(guard),
    ...foundBlocks(guard.findings),
  ];
}

function standingFacts(service: ServiceStatus): Fact[] {
  return [
    ...stageFacts(service),
    ...journalFacts(service),
    ...unwellFacts(service),
    ...reverseFacts(service),
    ...waitingFacts(service),
    ...flipFacts(service),
    ...readFacts(service),
  ];
}

function stageFacts({ stage, requested_stage: requested, flags, interlocks }: ServiceStatus): Fact[] {
  return [
    fact('stage', spoken(stage), aside(`interlocks: ${interlocks}`)),
    ...(stage === requested ? [] : [fact('requested stage', spoken(requested), aside(stageReason(flags)))]),
  ];
}

/** Lanes, and the writes that the orchestrator lacks. */
export function journalFacts(service: ServiceStatus): readonly Fact[] {
  return [
    fact('lanes', ...lanesCell(service)),
    fact('deliveries waiting', count(service.pending)),
    fact('replication lag', ...lagCell(service)),
  ];
}

/** Lanes by state. A state without lanes is not named. */
function lanesCell({ lanes }: ServiceStatus): Cell {
  if (lanes === null) return ['unknown, because the journal does not answer'];
  const { seeded, flipped, dirty, copying, stopped, excepted, differs, legacy_differs: legacy } = lanes;
  const others = { flipped, dirty, copying, stopped, excepted, differs, 'where legacy differs': legacy };
  const states = Object.entries(others).filter(([, there]) => there > 0);
  return [
    count(lanes.total),
    aside(
      [['seeded', seeded] as const, ...states].map(([what, there]) => counted(there, what, what)).join(', '),
    ),
  ];
}

/** Lanes whose reads may stay on legacy until a person acts. One lane may be counted in several states. */
function unwellFacts({ service, lanes }: ServiceStatus): Fact[] {
  const { stopped = 0, excepted = 0, differs = 0, legacy_differs: legacy = 0 } = lanes ?? {};
  if (stopped + excepted + differs + legacy === 0) return [];
  return [fact('lanes that need attention', code(`crossfade lanes list ${service} --unwell`))];
}

function lagCell(service: ServiceStatus): Cell {
  const { lag } = service;
  if (lag === null) return ['unknown, because the journal does not answer'];
  const open = openBesideLag(service);
  if (lag.oldest_seconds === null) return open === undefined ? ['none'] : ['none', aside(`open: ${open}`)];
  return [
    seconds(lag.oldest_seconds),
    aside(`${counted(lag.writes, 'write')} to deliver, in ${counted(lag.lanes, 'lane')}`),
  ];
}

/** Writes and items that the lag does not count, because it is unknown or undecided what becomes of them. */
function openBesideLag({
  unknown_outcomes: { open: unknown },
  lost_items: lost,
  unmapped_writes: unmapped,
}: ServiceStatus): string | undefined {
  const relayed = sumOf(unmapped);
  const open = [
    ...((unknown ?? 0) > 0 ? [counted(unknown ?? 0, 'unknown outcome')] : []),
    ...((lost ?? 0) > 0 ? [counted(lost ?? 0, 'lost item')] : []),
    ...(relayed > 0 ? [`${counted(relayed, 'write')} that no lane can hold`] : []),
  ];
  return open.length === 0 ? undefined : open.join(' and ');
}

/** What legacy lacks of the lanes whose primary is the orchestrator. */
function reverseFacts({ reverse }: ServiceStatus): Fact[] {
  if (reverse === null || reverse.lanes === 0) return [];
  const {
    waiting_lanes: lanes,
    waiting_writes: writes,
    oldest_seconds: oldest,
    skipped_writes: skipped,
  } = reverse;
  const lag: Cell =
    oldest === null
      ? ['none']
      : [seconds(oldest), aside(`${counted(writes, 'write')} to send, in ${counted(lanes, 'lane')}`)];
  return [
    fact('lag of legacy', ...lag),
    ...(skipped === 0
      ? []
      : [fact('skipped writes', count(skipped), aside('a return to legacy loses them'))]),
  ];
}

interface Waiting {
  readonly what: string;
  /** Null while the journal does not answer. */
  readonly open: number | null;
  readonly note?: string;
  /** The page of the desk that lists them. */
  readonly page: string;
  readonly command: string;
}

/** What waits for a person. */
export function waitingForPerson(service: ServiceStatus): readonly Waiting[] {
  const {
    dead_letters: letters,
    unknown_outcomes: unknown,
    lost_items: lost,
    reverse,
    restored_lanes: restored,
  } = service;
  const of = `--service ${service.service}`;
  return [
    {
      what: 'dead letters',
      open: letters,
      page: '/dead-letters',
      command: `crossfade dead-letters list ${of}`,
    },
    {
      what: 'unknown outcomes',
      open: unknown.open,
      ...(!unknown.readable && { note: 'a person must decide, because the service cannot be read' }),
      page: '/unknown-outcomes',
      command: `crossfade unknown-outcomes list ${of}`,
    },
    {
      what: 'halted writes to legacy',
      open: reverse?.halted_lanes ?? 0,
      page: '/reverse',
      command: `crossfade reverse list ${of}`,
    },
    { what: 'lost items', open: lost, page: '/lost', command: 'crossfade lost list' },
    {
      what: 'lanes of a restored database',
      open: restored,
      page: '/restored',
      command: `crossfade restored list ${of}`,
    },
  ];
}

/** Kinds of a ledger that every service has. The others are shown only if something waits. */
const ALWAYS: ReadonlySet<string> = new Set(['dead letters', 'unknown outcomes', 'lost items']);

function waitingFacts(service: ServiceStatus): Fact[] {
  return waitingForPerson(service)
    .filter(({ what, open }) => ALWAYS.has(what) || (open ?? 0) > 0)
    .map(({ what, open, note: why, command }) => {
      const asides = [...(why === undefined ? [] : [aside(why)]), aside(code(command))];
      return fact(what, count(open), ...((open ?? 0) > 0 ? asides : []));
    });
}

/** How far writes may move, and what stops them. */
function flipFacts({ service, flips }: ServiceStatus): Fact[] {
  if (flips === undefined) return [];
  const { share, lanes, blocked_by: reasons } = flips;
  const { eligible, moving, moved, waiting, stuck } = lanes;
  return [
    fact(
      'lanes that may be flipped',
      { value: share, unit: 'percentage' },
      aside(
        `${moved} moved, ${moving} moving in the last minute, ${eligible} eligible, ${waiting} waiting, ${stuck} stuck`,
      ),
      ...(lanes.whole ? [] : [aside('only the first 10,000 lanes on legacy are counted')]),
      ...(reasons.length === 0 ? [] : [aside(`stopped by ${reasons.map(spoken).join(', ')}`)]),
      aside(code(`crossfade flips show ${service}`)),
    ),
  ];
}

/** Counted by this process since its start. */
function readFacts({
  reads_by: reads,
  latency_ms: latency,
  fallbacks,
  shadow_dropped: dropped,
  unmapped_writes: unmapped,
}: ServiceStatus): Fact[] {
  const relayed = sumOf(unmapped);
  return [
    fact('reads by legacy', ...answeredCell(reads.legacy, latency.legacy)),
    fact('reads by the orchestrator', ...answeredCell(reads.orchestrator, latency.orchestrator)),
    ...byWord('fallbacks', fallbacks),
    ...byWord('shadow reads dropped', dropped),
    ...(relayed === 0
      ? []
      : [
          fact(
            'writes only on legacy',
            count(relayed),
            aside('no lane can hold the owner: it is empty, too long, or has control characters'),
          ),
        ]),
  ];
}

/** Without reads there is no latency to show. */
function answeredCell(reads: number, { p99 }: ServiceStatus['latency_ms']['legacy']): Cell {
  return reads === 0 ? [count(0)] : [count(reads), aside('p99 ', ms(p99))];
}

function byWord(what: string, counts: Readonly<Record<string, number>>): Fact[] {
  const words = Object.entries(counts).map(([word, times]) => `${times} ${spoken(word)}`);
  return words.length === 0 ? [] : [fact(what, words.join(', '))];
}

/** What a return of every lane to legacy would cost now. Empty while no lane's writes have moved. */
export function wayBackFacts({ way_back: ready }: Pick<ServiceStatus, 'way_back'>): readonly Fact[] {
  if (ready === null || ready.lanes.orchestrator === 0) return [];
  const { lanes, would_be_lost: lost, lost_ways_back: without, returning } = ready;
  return [
    fact('lanes with writes on the orchestrator', count(lanes.orchestrator)),
    fact('lanes with writes on legacy', count(lanes.legacy)),
    fact('acknowledged writes that a return would lose', badAboveZero(lost)),
    fact('writes that wait for legacy', count(ready.waiting_writes)),
    fact('time that a return would take', seconds(ready.seconds)),
    fact(
      'lanes without a way back',
      badAboveZero(without),
      ...(without === 0 ? [] : [aside('too many writes waited for legacy')]),
    ),
    ...(returning === 0 ? [] : [fact('lanes that are returning', count(returning))]),
    fact('way back last proven', ...(ready.proven_at === null ? ['never'] : [instant(ready.proven_at)])),
  ];
}

const badAboveZero = (value: number): Piece => (value === 0 ? count(0) : mark(String(value), 'bad'));

const sumOf = (counts: Readonly<Record<string, number>>): number =>
  Object.values(counts).reduce((sum, times) => sum + times, 0);
