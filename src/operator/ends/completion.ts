import { createHash } from 'node:crypto';
import { definitionDigest } from '../../engine/evidence/orchestrator-release.ts';
import type { ServiceName } from '../../domain/ids.ts';
import type { ServiceDefinition } from '../../domain/service-definition.ts';
import type { ServiceRuntime } from '../../engine/ports/service-runtime.ts';
import {
  type Accepted,
  type Approval,
  APPROVAL_HOURS,
  APPROVERS,
  type EndFacts,
  type EndFactStore,
  type ReadOnlyObstacles,
  type ServiceWrites,
  type ServiceWritesStore,
  type VerifiedBackup,
} from '../../engine/ports/service-writes-ports.ts';
import type { ByPerson } from '../../engine/ports/decision-ports.ts';
import { canonicalText, type CertifiedLane, rootOf, type Statement } from '../certificate/certificate.ts';
import { counted } from '../views/figures.ts';
import { FOREIGN, SCRATCH_WORDS, UNPROVEN } from '../words.ts';

/** A definition's name for requests that it does not know. */
const UNKNOWN_ACTION = 'other';
const DIFFERENCES = 'differences';
/** The subject under which a person accepts that nothing can be sent to legacy again. */
const NO_WAY_BACK = 'no-way-back';
/** The subject under which a person answers for a writer that bypassed the proxy. It does not cover a later one. */
const BYPASS = 'bypass';

/** Everything that a completion is judged by. */
export interface CompletionFacts extends EndFacts {
  readonly definition: ServiceDefinition;
  /** Undefined for a service that is open. */
  readonly writes: ServiceWrites | undefined;
  readonly backup: (VerifiedBackup & { readonly restoredAtMs: number }) | undefined;
  readonly approvals: readonly Approval[];
  /** Names of the ports beside the service's own, which relay to legacy. */
  readonly sidePorts: readonly string[];
  readonly requiredSeconds: number;
  readonly nowMs: number;
}

/** Where the facts of a completion are. */
export interface CompletionSources {
  readonly services: ReadonlyMap<ServiceName, ServiceRuntime>;
  readonly store: Pick<ServiceWritesStore, 'all' | 'newestBackup' | 'approvals'>;
  readonly facts: Pick<EndFactStore, 'facts'>;
  /** Names of the ports beside the service's own, which relay to legacy. */
  readonly sidePorts: (service: ServiceRuntime) => readonly string[];
  readonly requiredSeconds: number;
  readonly nowMs: () => number;
}

const DAY_MS = 86_400_000;

/** Of a service that is open, requests of the last day count. @throws StorageError */
export async function completionFactsOf(
  name: ServiceName,
  { services, store, facts, sidePorts, requiredSeconds, nowMs }: CompletionSources,
): Promise<CompletionFacts> {
  const service = services.get(name);
  if (service === undefined) throw new Error(`unknown service "${name}"`);
  const writes = (await store.all()).find((one) => one.service === name);
  return {
    ...(await facts.facts(name, writes?.sinceMs ?? nowMs() - DAY_MS)),
    definition: service.definition,
    writes,
    backup: await store.newestBackup(name),
    approvals: await store.approvals(name),
    sidePorts: sidePorts(service),
    requiredSeconds,
    nowMs: nowMs(),
  };
}

/** One condition of a completion. */
export interface Need {
  /** A closed word. */
  readonly need: string;
  readonly isMet: boolean;
  readonly says: string;
  /** A person can accept it by this name. */
  readonly accept?: string;
}

/** What a person can accept, with `answer:` and the action or port that only legacy serves. */
export function acceptableSubjects({
  definition,
  sidePorts,
}: Pick<CompletionFacts, 'definition' | 'sidePorts'>): string[] {
  const names = [
    ...Object.keys(reasonsFor(definition)),
    ...ownedActions(definition).map(unmapped),
    ...sidePorts,
  ];
  const requests = names.map((name) => `answer:${name}`);
  return [...requests, UNPROVEN, DIFFERENCES, FOREIGN, NO_WAY_BACK, BYPASS];
}

/** Why each action needs legacy. Actions that the orchestrator answers are left out. */
function reasonsFor({ actions }: ServiceDefinition): Readonly<Record<string, string>> {
  const reasons = Object.entries(actions).flatMap(([name, action]) => {
    if (action.kind === 'passthrough') return [[name, action.reason] as const];
    return action.kind === 'read' && action.legacyOnly !== undefined
      ? [[name, action.legacyOnly] as const]
      : [];
  });
  return { ...Object.fromEntries(reasons), [UNKNOWN_ACTION]: 'the definition does not know these actions' };
}

/** What a service needs to become read-only. Empty if it is. */
export function readOnlyNeeds(
  {
    definition,
    writes,
    accepted,
    nowMs,
  }: Pick<CompletionFacts, 'definition' | 'writes' | 'accepted' | 'nowMs'>,
  { notFlipped, examples, overdue, bypassedAgoSeconds }: ReadOnlyObstacles,
  bypassFreeSeconds: number | undefined,
): readonly Need[] {
  if (writes !== undefined && writes.state !== 'open') return [];
  const hasWayBack = definition.lanes.restoreRequest !== undefined;
  const isAccepted = accepted.some(({ subject }) => subject === NO_WAY_BACK);
  return [
    {
      need: 'every_lane_flipped',
      isMet: notFlipped === 0,
      says:
        notFlipped === 0
          ? 'every lane has moved or is given up'
          : `${counted(notFlipped, 'lane')} not moved and not given up (--give-up LANE): ${examples.join(', ')}`,
    },
    {
      need: 'reverse_backlog_empty',
      isMet: overdue === 0,
      says: overdue === 0 ? 'legacy has every write' : `${counted(overdue, 'write')} overdue on legacy`,
    },
    {
      need: 'way_back',
      isMet: hasWayBack || isAccepted,
      says: hasWayBack
        ? 'the way back is a rebuild afterwards: legacy gets what the journal has kept, in order'
        : 'the definition has no restoreRequest, so that there is no way back afterwards',
      accept: NO_WAY_BACK,
    },
    ...(bypassFreeSeconds === undefined || bypassedAgoSeconds === null
      ? []
      : [bypassNeed({ accepted, nowMs, bypassedAgoSeconds, bypassFreeSeconds })]),
  ];
}

interface Bypass extends Pick<CompletionFacts, 'accepted' | 'nowMs'> {
  readonly bypassedAgoSeconds: number;
  readonly bypassFreeSeconds: number;
}

function bypassNeed({ accepted, nowMs, bypassedAgoSeconds: ago, bypassFreeSeconds: free }: Bypass): Need {
  const atMs = nowMs - ago * 1_000;
  const isAccepted = accepted.some((one) => one.subject === BYPASS && one.atMs >= atMs);
  return {
    need: 'no_writer_bypasses',
    isMet: ago >= free || isAccepted,
    says: `a writer that bypasses the proxy was found ${Math.floor(ago)} s ago, needed ${free} s without one`,
    accept: BYPASS,
  };
}

/** Actions that the orchestrator answers for an owner. A request that names none that a lane can have goes to legacy. */
function ownedActions({ actions }: ServiceDefinition): string[] {
  return Object.entries(actions).flatMap(([name, action]) => {
    const isAnswered = action.kind === 'write' || (action.kind === 'read' && action.legacyOnly === undefined);
    return isAnswered ? [name] : [];
  });
}

/** The subject of requests of an action without an owner that a lane can have. */
function unmapped(action: string): string {
  return `unmapped:${action}`;
}

/** Every condition, met or not. The statement that completes the service checks the durable ones again. */
export function needsOf(facts: CompletionFacts): readonly Need[] {
  const isAccepted = (subject: string): boolean =>
    facts.accepted.some((accepted) => accepted.subject === subject);
  const acceptable = (subject: string, need: Omit<Need, 'accept'>): Need => ({
    ...need,
    isMet: need.isMet || isAccepted(subject),
    accept: subject,
  });
  return [
    ...periodNeeds(facts),
    acceptable(UNPROVEN, unprovenNeed(facts)),
    acceptable(DIFFERENCES, {
      need: 'no_open_difference',
      isMet: facts.openDifferences === 0,
      says: `${counted(facts.openDifferences, 'difference or lost item', 'differences or lost items')} without a decision`,
    }),
    acceptable(FOREIGN, foreignNeed(facts)),
    ...legacyNeeds(facts).map(({ name, says }) =>
      acceptable(`answer:${name}`, { need: 'answered_without_legacy', isMet: false, says }),
    ),
    approvalNeed(facts),
  ];
}

function periodNeeds(facts: CompletionFacts): Need[] {
  const { settledAtMs } = facts.writes ?? {};
  const isSettled = facts.writes?.state === 'read_only' && settledAtMs !== undefined;
  return [
    {
      need: 'read_only',
      isMet: isSettled,
      says: isSettled ? 'legacy has its last write' : 'legacy may still get writes',
    },
    timeNeed(facts),
    backupNeed(facts),
  ];
}

function timeNeed({ writes, requiredSeconds, nowMs }: CompletionFacts): Need {
  const need = 'time_without_foreign_writer';
  if (writes?.clockBeganAtMs === undefined) {
    const command = 'crossfade read-only SERVICE --backup FOLDER';
    return { need, isMet: false, says: `the time begins with a backup that was restored: ${command}` };
  }
  const seconds = Math.floor((nowMs - writes.clockBeganAtMs) / 1_000);
  const restarts = counted(writes.clockRestarts, 'restart');
  return {
    need,
    isMet: seconds >= requiredSeconds,
    says: `${seconds} of ${requiredSeconds} s without a foreign writer, ${restarts}`,
  };
}

function backupNeed({ writes, backup }: CompletionFacts): Need {
  const need = 'final_backup';
  if (backup === undefined || backup.madeAtMs < (writes?.clockBeganAtMs ?? Infinity)) {
    const says = 'no backup of this time was restored and read back (--confirm makes it)';
    return { need, isMet: false, says };
  }
  const says = `restored and read back from ${backup.folder}; ${SCRATCH_WORDS[backup.scratchInstance]}`;
  return { need, isMet: true, says };
}

function unprovenNeed({ writes }: CompletionFacts): Omit<Need, 'accept'> {
  const { census, clockBeganAtMs = Infinity } = writes ?? {};
  if (census === undefined || census.atMs < clockBeganAtMs)
    return { need: 'lanes_proven', isMet: false, says: "legacy's store was not compared in this time yet" };
  const examples = census.unprovenExamples.join(', ');
  return {
    need: 'lanes_proven',
    isMet: census.unproven === 0,
    says:
      census.unproven === 0
        ? `${counted(census.equal, 'lane')} of legacy hold what both sides were found to hold`
        : `${counted(census.unproven, 'lane')} without a record of what legacy should hold: ${examples}`,
  };
}

/** What foreign writers left on legacy is not on the orchestrator. A person decides about it, at any time. */
function foreignNeed({ foreign }: CompletionFacts): Omit<Need, 'accept'> {
  const owners = new Set(foreign.filter(({ kind }) => kind === 'writer').map(({ owner }) => owner));
  const names = [...owners].slice(0, 20).join(', ');
  return {
    need: 'no_foreign_change',
    isMet: owners.size === 0,
    says:
      owners.size === 0
        ? 'no foreign writer changed legacy'
        : `${counted(owners.size, 'owner')} changed on legacy by foreign writers, which the orchestrator does not have: ${names}`,
  };
}

interface LegacyNeed {
  readonly name: string;
  readonly says: string;
}

function legacyNeeds({ definition, requests, relayed, sidePorts }: CompletionFacts): LegacyNeed[] {
  const seen = Object.entries(reasonsFor(definition)).flatMap(([name, reason]) => {
    const times = requests.get(name) ?? 0;
    const says = `${counted(times, 'request')} of ${name} in this time, which only legacy answers (${reason})`;
    return times === 0 ? [] : [{ name, says }];
  });
  const unowned = ownedActions(definition).flatMap((action) => {
    const times = relayed.get(action) ?? 0;
    const says = `${counted(times, 'request')} of ${action} in this time without an owner that a lane can have, which only legacy answers`;
    return times === 0 ? [] : [{ name: unmapped(action), says }];
  });
  const ports = sidePorts.map((name) => ({ name, says: `the port ${name} relays to legacy` }));
  return [...seen, ...unowned, ...ports];
}

function approvalNeed(facts: CompletionFacts): Need {
  const digest = factsDigest(facts);
  const valid = facts.approvals.filter((approval) => approval.facts === digest);
  const persons = new Set(valid.map(({ person }) => person.toLowerCase()));
  const names = valid.map(({ person }) => person).join(', ');
  return {
    need: 'two_approvals',
    isMet: persons.size >= APPROVERS,
    says: `${persons.size} of ${APPROVERS} persons approve these facts${names === '' ? '' : ` (${names})`}; an approval counts for ${APPROVAL_HOURS} h`,
  };
}

/** What a service without a row in `service_writes` counts as. */
const OPEN = { sinceMs: 0, clockBeganAtMs: 0, clockRestarts: 0 } satisfies Partial<ServiceWrites>;

/**
 * The digest that an approval names. It changes with every fact that a person decides by. It does not change with the passing time, with
 * what legacy forgets by itself, with the final backup, or with the approvals.
 */
export function factsDigest(facts: CompletionFacts): string {
  const { writes, accepted, openDifferences, sidePorts } = facts;
  const { sinceMs, clockBeganAtMs, clockRestarts } = { ...OPEN, ...writes };
  const text = canonicalText({
    service: facts.definition.name,
    sinceMs,
    clockBeganAtMs,
    clockRestarts,
    root: rootOf(certifiedLanes(facts)).digest,
    unproven: writes?.census?.unproven ?? 0,
    openDifferences,
    sidePorts,
    legacyOnly: legacyNeeds(facts).map(({ name }) => name),
    accepted: accepted.map(({ subject, person }) => ({ subject, person })),
    foreign: facts.foreign.map(({ owner, digest }) => ({ owner, digest })),
  });
  return createHash('sha256').update(text).digest('hex');
}

export function certifiedLanes({ lanes }: Pick<EndFacts, 'lanes'>): CertifiedLane[] {
  return lanes.map(({ lane, sequence, items, digest, atMs, isGivenUp }) => ({
    lane,
    sequence,
    items,
    digest,
    equal_at: iso(atMs),
    given_up: isGivenUp,
  }));
}

/** What a certificate says besides the facts. */
interface Closing {
  readonly by: ByPerson;
  /** Of Crossfade. */
  readonly version: string;
}

/** @throws Error if the service is not read-only with a running clock, or has no backup */
export function statementOf(facts: CompletionFacts, { by, version }: Closing): Statement {
  const { writes, backup, accepted, requiredSeconds, nowMs } = facts;
  const { clockBeganAtMs, census } = writes ?? {};
  if (writes === undefined || clockBeganAtMs === undefined || backup === undefined)
    throw new Error('a service without a finished time and a backup has no certificate');
  const digest = factsDigest(facts);
  const lanes = certifiedLanes(facts);
  return {
    format: 'crossfade-certificate-1',
    service: facts.definition.name,
    completed_at: at(nowMs),
    completed_by: by,
    approvals: facts.approvals
      .filter((approval) => approval.facts === digest)
      .map(({ person, atMs }) => ({ person, at: at(atMs), facts: digest })),
    versions: {
      crossfade: version,
      definition: definitionDigest(facts.definition, version),
      orchestrator: facts.orchestratorVersion,
    },
    read_only: {
      since: at(writes.sinceMs),
      clock_began_at: at(clockBeganAtMs),
      required_seconds: requiredSeconds,
      clock_restarts: writes.clockRestarts,
    },
    root: rootOf(lanes),
    lanes,
    forgotten: census?.forgotten ?? { items: 0, lanes: 0 },
    backup: {
      folder: backup.folder,
      made_at: at(backup.madeAtMs),
      manifest_sha256: backup.manifestSha256,
      lanes: backup.lanes,
      items: backup.items,
      restored_at: at(backup.restoredAtMs),
      scratch_instance: backup.scratchInstance,
    },
    accepted: decisions(accepted, (subject) => !subject.startsWith(ANSWER)),
    answers_without_legacy: decisions(accepted, (subject) => subject.startsWith(ANSWER)),
    no_longer_possible: noLongerPossible(facts),
  };
}

const ANSWER = 'answer:';

function decisions(
  accepted: readonly Accepted[],
  isShown: (subject: string) => boolean,
): Statement['accepted'] {
  return accepted
    .filter(({ subject }) => isShown(subject))
    .map(({ subject, person, reason, atMs }) => ({ subject, person, reason, at: at(atMs) }));
}

/** What ends with legacy, in words for people. */
export function noLongerPossible(
  facts: Pick<CompletionFacts, 'definition' | 'requests' | 'sidePorts'>,
): string[] {
  const names = [...Object.keys(reasonsFor(facts.definition)), ...facts.sidePorts];
  return [
    'to let legacy answer reads or writes again (crossfade rollback)',
    'to compare or repair a lane against legacy',
    'to restore an item on legacy',
    'to get an answer other than an error for a request without an owner that a lane can have',
    `to get an answer other than an error for: ${names.join(', ')}`,
  ];
}

function at(ms: number): string {
  return new Date(ms).toISOString();
}

function iso(ms: number | null): string | null {
  return ms === null ? null : at(ms);
}
