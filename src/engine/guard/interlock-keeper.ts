import { messageOf } from '../../domain/errors.ts';
import { SERVICE_FLAGS, type ServiceFlag } from '../../domain/flags.ts';
import type { ServiceName } from '../../domain/ids.ts';
import {
  addEvidence,
  confidenceOf,
  type Evidence,
  type EvidenceLimits,
  NO_EVIDENCE,
} from '../evidence/confidence.ts';
import type { Emit } from '../ports/events.ts';
import type { Clock } from '../../shared/clock.ts';
import type { Flags, Orchestrator } from '../ports/ports.ts';
import type { ServiceRuntime } from '../ports/service-runtime.ts';
import { within } from '../../shared/within.ts';
import type { CutoverLimit, ReadLimits, WriteLimit } from '../ports/decision.ts';
import type { DigestOf, EvidenceStore } from './guard-ports.ts';
import type { Latches } from './latches.ts';
import type {
  ActionFacts,
  GrantRow,
  InterlockFacts,
  InterlockMode,
  InterlockStore,
  JournalFacts,
  WriteFacts,
} from './interlock-facts.ts';
import {
  type FlagVerdict,
  type Granted,
  type InterlockVerdict,
  judgeFlags,
  NOTHING_GRANTED,
} from './judge-flags.ts';

const EVERY_MS = 1_000;
/** How long facts from the journal are considered current. */
const JOURNAL_FACTS_MS = 5_000;
const ASK_TIMEOUT_MS = 5_000;

interface InterlockKeeperParts {
  readonly services: ReadonlyMap<ServiceName, ServiceRuntime>;
  readonly modes: ReadonlyMap<ServiceName, InterlockMode>;
  readonly digestOf: DigestOf;
  readonly flags: Flags;
  readonly store: InterlockStore;
  readonly evidence: EvidenceStore;
  readonly evidenceLimits: EvidenceLimits;
  readonly board: Latches;
  readonly probes: BackendProbes;
  /** Comparisons that are not stored yet. */
  readonly unwrittenEvidence: (service: ServiceName, action: string) => Evidence;
  readonly addedP95Ms: (service: ServiceName) => number | null;
  readonly coverageOf: (service: ServiceName) => number;
  /** Whether all owners of the service were listed under its present coverage. */
  readonly isBackfillListed: (service: ServiceName) => boolean;
  /** `readOnly.bypassFreeSeconds`. */
  readonly bypassFreeSeconds: number;
  /** Facts of the service's writes that the database does not hold. @throws StorageError */
  readonly writeFacts: (service: ServiceName) => Promise<Omit<WriteFacts, keyof FullFacts>>;
  readonly clock: Clock;
  readonly emit: Emit;
}

type FullFacts = Pick<WriteFacts, 'comparableSinceFull' | 'comparableNeeded' | 'fullForSeconds'>;

/** The facts and the verdict of a service's flags. */
export interface Judged {
  readonly facts: InterlockFacts;
  readonly verdict: InterlockVerdict;
}

/** What the database returned for a service, and when. */
interface Known {
  readonly atMs: number;
  readonly coverage: number;
  readonly journal: JournalFacts;
  readonly accepted: ReadonlySet<string>;
  readonly writes: WriteFacts;
  /** Exact bounds cost 0.1 ms per action, which is too much for every second. */
  readonly actions: Readonly<Record<string, ActionFacts>>;
}

interface Shown {
  readonly evidence: ReadonlyMap<string, Evidence>;
  readonly accepted: ReadonlySet<string>;
  readonly journal: Pick<JournalFacts, 'traffic' | 'lanesPerDay'>;
}

/** The answer of a flag that is not known. */
const UNKNOWN: ReadonlySet<string> = new Set(['unknown_flag', 'not_evaluable']);

const NO_TRAFFIC = { comparablePerDay: 0, notErrorsPerDay: 0 };

/**
 * Facts of another coverage do not apply. While replicas have not all reported the coverage, the next heartbeats change the
 * facts.
 */
function keptMs({ coverage, journal }: Known, present: number): number {
  const isSettled = coverage === present && (present === 0 || journal.acting >= journal.replicas);
  return isSettled ? JOURNAL_FACTS_MS : 0;
}

/** Judges every service's flags each second, remembers the granted shares, and answers every read from memory. */
export class InterlockKeeper implements ReadLimits {
  readonly #parts: InterlockKeeperParts;
  readonly #known = new Map<ServiceName, Known>();
  readonly #granted = new Map<ServiceName, Granted>();
  readonly #judged = new Map<ServiceName, Judged>();
  #isStopped = false;
  readonly #wake = new AbortController();
  #loop: Promise<void> | undefined;

  constructor(parts: InterlockKeeperParts) {
    this.#parts = parts;
  }

  /** Loads the shares that were granted before. @throws StorageError */
  async start(): Promise<void> {
    for (const service of this.#parts.services.keys()) await this.#follow(service);
    this.#loop = this.#run();
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#wake.abort();
    await this.#loop;
  }

  /** Undefined before the first judgement. */
  judged(service: ServiceName): Judged | undefined {
    return this.#judged.get(service);
  }

  /** Reloads the facts from the database now, because a person has accepted something. */
  async refresh(service: ServiceName): Promise<void> {
    this.#known.delete(service);
    await this.#follow(service);
  }

  cutover(service: ServiceName, action: string): CutoverLimit {
    if (this.#parts.board.holdOf(service) !== undefined) return { atMost: 0, loweredBy: 'latched' };
    if (this.#modeOf(service) !== 'enforce') return { atMost: 100 };
    const inEffect = this.#judged.get(service)?.verdict.actions[action]?.inEffect ?? 0;
    return { atMost: inEffect, loweredBy: 'interlock' };
  }

  mayShadow(service: ServiceName): boolean {
    if (this.#parts.board.has(service, 'drop_shadow_load')) return false;
    return this.#modeOf(service) !== 'enforce' || this.#inEffect(service, 'shadow-read') > 0;
  }

  mayBegin(service: ServiceName): boolean {
    return this.#modeOf(service) !== 'enforce' || this.#inEffect(service, 'dual-write') > 0;
  }

  writes(service: ServiceName): WriteLimit {
    const { board } = this.#parts;
    const latch = board.holdOf(service)?.cause ?? null;
    const verdict = this.#judged.get(service)?.verdict.flags['write-cutover'];
    const isEnforced = this.#modeOf(service) === 'enforce';
    const permitted = isEnforced ? verdict?.inEffect : 100;
    const ifProven = isEnforced ? percentageIfProven(verdict) : 100;
    const isRampHeld = board.has(service, 'hold_ramp');
    const areFlipsHeld = board.has(service, 'hold_flips');
    const isFree = latch === null;
    return {
      atMost: isFree ? permitted : 0,
      ifProven: isFree ? ifProven : 0,
      latch,
      isRampHeld,
      areFlipsHeld,
    };
  }

  #inEffect(service: ServiceName, flag: ServiceFlag): number {
    return this.#judged.get(service)?.verdict.flags[flag].inEffect ?? 0;
  }

  #modeOf(service: ServiceName): InterlockMode {
    return this.#parts.modes.get(service) ?? 'enforce';
  }

  async #run(): Promise<void> {
    while (!this.#isStopped) {
      await this.#parts.clock.sleep(EVERY_MS, this.#wake.signal);
      if (this.#isStopped) return;
      for (const service of this.#parts.services.keys()) {
        try {
          await within(this.#follow(service), ASK_TIMEOUT_MS, { what: 'the database of the interlocks' });
        } catch (error) {
          // What was active stays. Interlocks act on known facts, and the latch covers the case of a lost database.
          this.#parts.emit('journal:failed', { reason: messageOf(error) });
        }
      }
    }
  }

  async #follow(service: ServiceName): Promise<void> {
    const known = await this.#ask(service);
    const facts = await this.#gather(service, known);
    const granted = this.#granted.get(service) ?? NOTHING_GRANTED;
    const verdict = judgeFlags(facts, granted);
    await this.#grant(service, verdict, granted);
    this.#judged.set(service, { facts, verdict });
  }

  async #ask(service: ServiceName): Promise<Known> {
    const { clock, store, evidence, digestOf, coverageOf } = this.#parts;
    const [last, coverage] = [this.#known.get(service), coverageOf(service)];
    if (last !== undefined && clock.now() - last.atMs < keptMs(last, coverage)) return last;
    // Includes what another replica has lowered or raised since.
    this.#granted.set(service, grantedOf(await store.grants(service)));
    const journal = await store.facts(service, coverage);
    const accepted = await store.accepted(service);
    const shown = await evidence.of(service, (action) => digestOf(service, action));
    const actions = this.#actionFacts(service, { evidence: shown, accepted, journal });
    const writes = await this.#writeFacts(service);
    const known: Known = { atMs: clock.now(), coverage, journal, accepted, actions, writes };
    this.#known.set(service, known);
    return known;
  }

  async #writeFacts(service: ServiceName): Promise<WriteFacts> {
    const { store, writeFacts, evidenceLimits } = this.#parts;
    const full = await store.fullReads(service);
    return {
      comparableSinceFull: full?.comparable ?? 0,
      comparableNeeded: evidenceLimits.comparable,
      fullForSeconds: full?.seconds ?? null,
      ...(await writeFacts(service)),
    };
  }

  async #gather(service: ServiceName, known: Known): Promise<InterlockFacts> {
    const { flags, board, probes, coverageOf, isBackfillListed, addedP95Ms, bypassFreeSeconds } = this.#parts;
    const { journal, accepted } = known;
    const asked = Object.fromEntries(SERVICE_FLAGS.map((flag) => [flag, flags.percentage(flag, service)]));
    const number = coverageOf(service);
    const isBeginning = number === 0 && (asked['dual-write'] ?? 0) > 0;
    return {
      mode: this.#modeOf(service),
      asked: asked as Record<ServiceFlag, number>,
      answers: isBeginning ? await probes.ask(service) : { legacy: true, orchestrator: true },
      coverage: { number, replicas: journal.replicas, acting: journal.acting },
      versions: journal.versions,
      lanes: {
        total: journal.lanes,
        unseeded: journal.unseeded,
        unwell: journal.unwell,
        flipped: journal.flipped,
        isBackfillListed: isBackfillListed(service) || journal.isBackfillRun,
      },
      oldestDeliverySeconds: journal.oldestDeliverySeconds,
      unclassified: { requests: journal.unclassified, isAccepted: accepted.has('unclassified') },
      reconciledAgoSeconds: journal.reconciledAgoSeconds,
      stores: journal.stores,
      ends: { ...journal.ends, bypassFreeSeconds },
      addedP95Ms: addedP95Ms(service),
      isRampHeld: board.has(service, 'hold_ramp'),
      latch: board.holdOf(service)?.cause ?? null,
      isKilled: flags.killSwitch(),
      actions: known.actions,
      writes: known.writes,
    };
  }

  #actionFacts(service: ServiceName, { evidence, accepted, journal }: Shown): Record<string, ActionFacts> {
    const { services, unwrittenEvidence, evidenceLimits } = this.#parts;
    const actions = Object.entries(services.get(service)?.definition.actions ?? {});
    const readable = actions.filter(
      ([, action]) => action.kind === 'read' && action.legacyOnly === undefined,
    );
    return Object.fromEntries(
      readable.map(([name]) => {
        const seen = addEvidence(evidence.get(name) ?? NO_EVIDENCE, unwrittenEvidence(service, name));
        const { lanesPerDay } = journal;
        const traffic = { ...(journal.traffic.get(name) ?? NO_TRAFFIC), lanesPerDay };
        const confidence = confidenceOf(seen, traffic, evidenceLimits);
        return [name, { confidence, isAccepted: accepted.has(`action:${name}`) }] as const;
      }),
    );
  }

  /** A granted share is kept while its conditions to stay hold, also over restarts. */
  async #grant(service: ServiceName, verdict: InterlockVerdict, granted: Granted): Promise<void> {
    // Only a known flag lowers a granted share. While the flag server is away, all flags look as if they requested nothing.
    const isKnown = (flag: ServiceFlag): boolean =>
      !UNKNOWN.has(this.#parts.flags.isEnabled(flag, { service }).reason);
    const kept = isKnown('read-cutover') ? {} : granted.actions;
    const next: Granted = {
      flags: Object.fromEntries(
        SERVICE_FLAGS.map((flag) => [
          flag,
          isKnown(flag) ? verdict.flags[flag].permitted : (granted.flags[flag] ?? 0),
        ]),
      ),
      actions: Object.fromEntries(
        Object.entries(verdict.actions).map(([action, { permitted }]) => [action, kept[action] ?? permitted]),
      ),
    };
    const rows = changedRows(next, granted);
    if (rows.length === 0) return;
    await this.#parts.store.grant(service, rows);
    this.#granted.set(service, next);
  }
}

/** What would be active if the way back were proven and nothing else changed. */
function percentageIfProven(verdict: FlagVerdict | undefined): number {
  if (verdict === undefined) return 0;
  const isOnlyUnproven = verdict.reasons.every(({ word }) => word === 'reverse_delivery_not_proven');
  return isOnlyUnproven ? verdict.asked : verdict.inEffect;
}

function grantedOf(rows: readonly GrantRow[]): Granted {
  const flags = rows.filter(({ action }) => action === '').map(({ flag, percentage }) => [flag, percentage]);
  const actions = rows
    .filter(({ action, flag }) => action !== '' && flag === 'read-cutover')
    .map(({ action, percentage }) => [action, percentage]);
  return { flags: Object.fromEntries(flags), actions: Object.fromEntries(actions) };
}

function changedRows(next: Granted, granted: Granted): GrantRow[] {
  const flags = SERVICE_FLAGS.filter((flag) => (next.flags[flag] ?? 0) !== (granted.flags[flag] ?? 0)).map(
    (flag): GrantRow => ({ flag, action: '', percentage: next.flags[flag] ?? 0 }),
  );
  const actions = Object.entries(next.actions)
    .filter(([action, percentage]) => percentage !== (granted.actions[action] ?? 0))
    .map(([action, percentage]): GrantRow => ({ flag: 'read-cutover', action, percentage }));
  return [...flags, ...actions];
}

const PROBE_TIMEOUT_MS = 1_000;

/** Sends a harmless request to both backends, end to end. */
export interface BackendProbes {
  ask(service: ServiceName): Promise<{ readonly legacy: boolean; readonly orchestrator: boolean }>;
}

export function createBackendProbes(parts: {
  readonly services: ReadonlyMap<ServiceName, ServiceRuntime>;
  readonly orchestrator: Orchestrator;
  readonly clock: Clock;
}): BackendProbes {
  const { services, orchestrator, clock } = parts;
  const answered = (call: Promise<unknown>): Promise<boolean> =>
    call.then(
      () => true,
      () => false,
    );
  return {
    async ask(service) {
      const runtime = services.get(service);
      const asked = { purpose: 'probe', deadlineAtMs: clock.now() + PROBE_TIMEOUT_MS } as const;
      const [legacy, other] = await Promise.all([
        runtime === undefined
          ? false
          : answered(runtime.legacy.send({ ...asked, body: Buffer.from(runtime.definition.probe) })),
        answered(orchestrator.read({ action: 'health', payload: {} }, asked)),
      ]);
      return { legacy, orchestrator: other };
    },
  };
}
